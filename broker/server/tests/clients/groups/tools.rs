//! What Kafka's tools print of groups, and of elections, moves and speed.
//!
//! What they should print was made with Apache Kafka 4.1.1: the whole script was run against such a
//! broker, with HIGHWATER_TOOLS_ADDRESS set to its address and UPDATE_EXPECT=1. It has to have no topics
//! or groups yet, and group.initial.rebalance.delay.ms=0.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::process::Command;
use std::time::{Duration, Instant, SystemTime};

use expect_test::expect_file;
use nix::sys::signal::Signal;
use serde_json::Value;

use crate::admin::Tools;
use crate::broker::{Broker, DataDir};
use crate::process::{Running, run};
use crate::scripts::{Client, PROGRAM_LIMIT, json, python};

use super::raw::Connection;
use super::{CONFIG, TOPIC};

const GROUPS: &str = "org.apache.kafka.tools.consumer.group.ConsumerGroupCommand";
const ELECTION: &str = "org.apache.kafka.tools.LeaderElectionCommand";
const REASSIGN: &str = "org.apache.kafka.tools.reassign.ReassignPartitionsCommand";
const VERSIONS: &str = "org.apache.kafka.tools.BrokerApiVersionsCommand";
const PRODUCER_PERFORMANCE: &str = "org.apache.kafka.tools.ProducerPerformance";
const CONSUMER_PERFORMANCE: &str = "org.apache.kafka.tools.ConsumerPerformance";
const CONSOLE: &str = "org.apache.kafka.tools.consumer.ConsoleConsumer";

/// Of each of two partitions, half of them before a time that is known.
const RECORDS: i64 = 20;

/// A broker, ours or the one that says what is right.
struct Side {
    broker: Option<Broker>,
    address: String,
    _data: DataDir,
}

impl Side {
    fn start(name: &str) -> Side {
        let data = DataDir::new(&format!("groups-{name}"));
        if let Ok(address) = std::env::var("HIGHWATER_TOOLS_ADDRESS") {
            return Side { broker: None, address, _data: data };
        }
        let broker = Broker::start_configured(&data, CONFIG, &["--listen", "127.0.0.1:0"]);
        let address = broker.address().to_owned();
        Side { broker: Some(broker), address, _data: data }
    }
}

/// What was asked for and what was printed, one after the other.
struct Script {
    tools: Tools,
    address: String,
    text: String,
}

impl Script {
    fn note(&mut self, class: &str, arguments: &[&str]) {
        let (lines, is_content) = self.tools.run(class, arguments);
        let lines = lines.iter().filter(|line| !line.trim().is_empty() && !is_noise(line));
        let mut lines: Vec<String> = lines.map(|line| masked(line, &self.address)).collect();
        // Groups and partitions come in any order, behind the head of a table if there is one.
        let is_head = |line: &String| line.starts_with("GROUP ") || line.starts_with("TOPIC ");
        match lines.iter().position(is_head) {
            Some(head) => lines[head + 1..].sort_unstable(),
            None if arguments == ["--list"] => lines.sort_unstable(),
            None => {}
        }
        let name = class.rsplit('.').next().expect("it has a name");
        // A time is another one each time.
        let arguments =
            arguments.iter().map(|word| if word.starts_with("20") { "TIME" } else { word });
        let arguments: Vec<&str> = arguments.collect();
        let status = if is_content { "" } else { " (fails)" };
        writeln!(self.text, "$ {name} {}{status}", arguments.join(" ")).unwrap();
        for line in lines {
            writeln!(self.text, "{line}").unwrap();
        }
        self.text.push('\n');
    }

    fn groups(&mut self, arguments: &str) {
        self.note(GROUPS, &arguments.split(' ').collect::<Vec<_>>());
    }
}

/// Where in a tool something came from, what Java's logging says of itself, and groups that the console
/// has for itself.
fn is_noise(line: &str) -> bool {
    let line = line.trim_start();
    let starts = ["at ", "... ", "SLF4J", "console-consumer-"];
    starts.iter().any(|start| line.starts_with(start))
}

/// Without columns' widths, and without members' ids and the broker's address.
fn masked(line: &str, address: &str) -> String {
    let line = line.replace(address, "ADDRESS");
    let words = line.split_whitespace().map(|word| {
        let is_uuid = word.len() == 22
            && word.bytes().all(|it| it.is_ascii_alphanumeric() || b"-_+/".contains(&it))
            && word.bytes().any(|it| it.is_ascii_uppercase())
            && word.bytes().any(|it| it.is_ascii_lowercase());
        match is_uuid || word.starts_with("rdkafka-") || word.starts_with("instance-") {
            true => "MEMBER",
            false => word,
        }
    });
    words.collect::<Vec<_>>().join(" ")
}

/// The only member of a group. It commits every record.
fn start_member(
    client: Client,
    address: &str,
    group: &str,
    instance: &str,
    protocol: &str,
) -> Running {
    let mut command = client.member().expect("its library is there");
    command.args([address, group, TOPIC, instance, protocol, "each"]);
    let member = Running::start(group, &mut command).unwrap();
    let begun = Instant::now();
    let mut connection = Connection::open(address).unwrap();
    while connection.committed(group, &[0, 1]).unwrap() != Some(vec![RECORDS, RECORDS]) {
        assert!(begun.elapsed() < PROGRAM_LIMIT, "{group} does not read: {}", member.errors());
        std::thread::sleep(Duration::from_millis(10));
    }
    member
}

fn stop_member(member: Running) {
    member.signal(Signal::SIGTERM);
    let (status, _, errors) = member.finish(PROGRAM_LIMIT).unwrap();
    assert!(status.success(), "{status}: {errors}");
}

/// A time that begins after this function is called and has come when it ends, as tools understand it.
fn time_between() -> String {
    let milliseconds = || {
        let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap();
        since.as_millis()
    };
    let time = milliseconds() + 1;
    while milliseconds() < time {
        std::thread::sleep(Duration::from_millis(1));
    }
    let (seconds, rest) = (time / 1000, time % 1000);
    let mut command = Command::new("date");
    command.args(["-u", "-d", &format!("@{seconds}"), "+%FT%T"]);
    let lines = run("date", &mut command, "", PROGRAM_LIMIT).unwrap();
    format!("{}.{rest:03}", lines[0])
}

/// Everything that concerns offsets of a group without members, which is made by them.
fn reset(script: &mut Script, between: &str) {
    script.groups("--list");
    script.groups("--describe --group none");
    script.groups("--describe --members --group none");
    script.groups("--describe --state --group none");
    script.groups("--delete --group none");
    script.groups("--delete-offsets --group none --topic work");
    script.groups("--reset-offsets --group idle --topic work --to-earliest");
    script.groups("--list");
    script.groups("--reset-offsets --group idle --topic work --to-earliest --execute");
    script.groups("--list --state");
    script.groups("--list --type");
    script.groups("--describe --group idle");
    script.groups("--describe --group idle --members --verbose");
    script.groups("--describe --group idle --state");
    script.groups("--reset-offsets --group idle --topic work:0 --to-offset 5 --execute");
    script.groups("--reset-offsets --group idle --topic work:0 --to-offset 99 --dry-run");
    script.groups("--reset-offsets --group idle --all-topics --shift-by 2 --execute");
    script.groups("--describe --group idle");
    script.groups("--reset-offsets --group idle --topic work --shift-by -100 --dry-run");
    script.groups("--reset-offsets --group idle --topic work --to-latest --dry-run");
    script.groups("--reset-offsets --group idle --topic work --to-current --dry-run");
    script.groups("--reset-offsets --group idle --topic nowhere --to-earliest --execute");
    for time in ["2020-01-01T00:00:00.000", between, "2099-01-01T00:00:00.000"] {
        let reset = format!("--reset-offsets --group idle --topic work --to-datetime {time}");
        script.groups(&format!("{reset} --dry-run"));
    }
    script.groups(&format!(
        "--reset-offsets --group idle --topic work --to-datetime {between} --execute"
    ));
    script.groups("--describe --group idle --offsets --verbose");
}

/// What is said of groups with a member, by either protocol.
fn active(script: &mut Script) {
    script.groups("--list");
    script.groups("--list --state");
    script.groups("--list --state Stable");
    script.groups("--list --type consumer");
    script.groups("--list --type classic --state");
    for group in ["classic", "consumer"] {
        for what in ["", " --verbose", " --members", " --members --verbose", " --state"] {
            script.groups(&format!("--describe --group {group}{what}"));
        }
        script.groups(&format!("--describe --group {group} --state --verbose"));
        let topic = format!("--group {group} --topic work");
        script.groups(&format!("--reset-offsets {topic} --to-earliest --execute"));
        script.groups(&format!("--delete-offsets {topic}"));
        script.groups(&format!("--delete --group {group}"));
    }
    script.groups("--describe --all-groups");
    script.groups("--describe --all-groups --state");
    script.groups("--describe --all-groups --members");
}

/// After the members have left.
fn ends(script: &mut Script) {
    script.groups("--list --state");
    for group in ["classic", "consumer"] {
        script.groups(&format!("--describe --group {group}"));
        script.groups(&format!("--describe --group {group} --members"));
        script.groups(&format!("--describe --group {group} --state"));
        let topic = format!("--group {group} --topic work:0");
        script.groups(&format!("--reset-offsets {topic} --to-offset 3 --execute"));
        script.groups(&format!("--delete-offsets {topic} --topic nowhere"));
        script.groups(&format!("--describe --group {group}"));
    }
    script.groups("--delete --group classic --group none");
    script.groups("--list");
    script.groups("--delete --group idle --group consumer");
    script.groups("--list");
}

/// Members that stay when they end, until their sessions time out: nothing is listed after this.
fn static_members(script: &mut Script) {
    let address = script.address.clone();
    for (group, protocol) in [("static-classic", "range"), ("static-consumer", "consumer")] {
        let member = start_member(Client::Java, &address, group, "instance", protocol);
        for what in ["", " --members", " --members --verbose", " --state --verbose"] {
            script.groups(&format!("--describe --group {group}{what}"));
        }
        stop_member(member);
        script.groups(&format!("--describe --group {group} --members"));
        script.groups(&format!("--delete --group {group}"));
    }
}

/// What a formatter of Kafka's prints of the groups' topic: of each key of a group of ours, the last
/// value.
fn formatted(tools: &mut Tools, formatter: &str) -> BTreeMap<String, Value> {
    let formatter = format!("org.apache.kafka.tools.consumer.{formatter}");
    let arguments =
        ["--topic", "__consumer_offsets", "--from-beginning", "--formatter", &formatter];
    let internal = ["--consumer-property", "exclude.internal.topics=false"];
    let end = ["--timeout-ms", "5000"];
    let arguments = [&arguments[..], &internal, &end].concat();
    let (lines, is_content) = tools.run(CONSOLE, &arguments);
    assert!(is_content, "{lines:?}");
    // It writes one after the other without anything in between.
    let text = lines.concat();
    let mut found = BTreeMap::new();
    for record in serde_json::Deserializer::from_str(&text).into_iter::<Value>() {
        // How many there were comes last.
        let Ok(record) = record else { break };
        let data = &record["key"]["data"];
        if ["idle", "classic", "consumer"].iter().any(|group| data["group"] == *group) {
            found.insert(data.to_string(), record["value"].clone());
        }
    }
    found
}

/// Without what differs from run to run, and without the version of a record: Kafka 4.1 writes offsets
/// in one that has room for the topic's id.
fn without_ids(mut value: Value) -> String {
    let data = value["data"].as_object_mut().expect("it is not deleted");
    for name in ["commitTimestamp", "currentStateTimestamp", "leader"] {
        data.remove(name);
    }
    for member in data.get_mut("members").and_then(Value::as_array_mut).into_iter().flatten() {
        member.as_object_mut().expect("it is an object").remove("memberId");
    }
    value["data"].to_string()
}

fn formatters(script: &mut Script) {
    for formatter in ["OffsetsMessageFormatter", "GroupMetadataMessageFormatter"] {
        writeln!(script.text, "$ ConsoleConsumer --formatter {formatter}").unwrap();
        for (key, value) in formatted(&mut script.tools, formatter) {
            writeln!(script.text, "{key} {}", without_ids(value)).unwrap();
        }
        script.text.push('\n');
    }
}

#[test]
fn tools_print_of_groups_what_they_print_of_apache_kafkas() {
    let side = Side::start("tools");
    let address = side.address.as_str();
    let Some(tools) = Tools::start(address) else { return };
    let Some(mut create) = python("log.py") else { return };
    json("log.py create", create.args(["create", address, TOPIC, "2"]));
    let fill = |first: i64| {
        let (first, count) = (first.to_string(), (RECORDS / 2).to_string());
        let mut fill = python("log.py").expect("it is there");
        json("log.py fill", fill.args(["fill", address, TOPIC, "2", &first, &count, "9", "none"]));
    };
    fill(0);
    let between = time_between();
    fill(RECORDS / 2);

    let mut script = Script { tools, address: address.to_owned(), text: String::new() };
    reset(&mut script, &between);
    let members = [("classic", "range"), ("consumer", "consumer")]
        .map(|(group, protocol)| start_member(Client::Librdkafka, address, group, "-", protocol));
    active(&mut script);
    formatters(&mut script);
    members.into_iter().for_each(stop_member);
    ends(&mut script);
    static_members(&mut script);
    script.note(ELECTION, &["--election-type", "preferred", "--all-topic-partitions"]);
    script.note(ELECTION, &["--election-type", "preferred", "--topic", TOPIC, "--partition", "1"]);
    script.note(ELECTION, &["--election-type", "preferred", "--topic", TOPIC, "--partition", "7"]);
    script.note(REASSIGN, &["--list"]);
    expect_file!["tools.txt"].assert_eq(&script.text);
    if let Some(broker) = side.broker {
        broker.stop();
    }
}

#[test]
fn tools_measure_and_ask_for_versions() {
    const COUNT: &str = "5000";
    let side = Side::start("speed");
    let Some(mut tools) = Tools::start(&side.address) else { return };
    let (lines, is_content) = tools.run(VERSIONS, &[]);
    let text = lines.join("\n");
    assert!(is_content && !text.contains("ERROR"), "{text}");
    let line = lines.iter().find(|line| line.contains("ConsumerGroupHeartbeat(68): "));
    assert!(line.is_some_and(|line| line.contains("[usable: 1]")), "{text}");

    let address = format!("bootstrap.servers={}", side.address);
    let send = ["--topic", "speed", "--num-records", COUNT, "--record-size", "100"];
    let properties = ["--throughput", "-1", "--producer-props", &address];
    let words = [&[PRODUCER_PERFORMANCE][..], &send, &properties].concat();
    let (lines, is_content) = tools.run_words(&words);
    let text = lines.join("\n");
    assert!(is_content, "{text}");
    assert!(text.contains(&format!("{COUNT} records sent, ")), "{text}");

    let arguments = ["--topic", "speed", "--messages", COUNT, "--timeout", "60000"];
    let (lines, is_content) = tools.run(CONSUMER_PERFORMANCE, &arguments);
    assert!(is_content, "{lines:?}");
    let head = lines.iter().position(|line| line.starts_with("start.time")).expect("it has a head");
    let column = lines[head].split(", ").position(|name| name == "data.consumed.in.nMsg");
    let count = column.and_then(|column| lines[head + 1].split(", ").nth(column));
    assert_eq!(count, Some(COUNT), "{lines:?}");
    if let Some(broker) = side.broker {
        broker.stop();
    }
}
