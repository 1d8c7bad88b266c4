//! Kafka's tools that administer topics, run against this broker and against Apache Kafka: what they
//! print is the same, but for what has to differ.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use crate::broker::{Broker, DataDir, free_address};
use crate::install;
use crate::process::Running;
use crate::scripts::{PROGRAM_LIMIT, java};

const TOPICS: &str = "org.apache.kafka.tools.TopicCommand";
const CONFIGS: &str = "kafka.admin.ConfigCommand";
const DELETE_RECORDS: &str = "org.apache.kafka.tools.DeleteRecordsCommand";
const LOG_DIRS: &str = "org.apache.kafka.tools.LogDirsCommand";
const GET_OFFSETS: &str = "org.apache.kafka.tools.GetOffsetShell";

const START_LIMIT: Duration = Duration::from_secs(90);

/// A virtual machine that runs Kafka's tools, one after the other.
pub(crate) struct Tools {
    running: Running,
    address: String,
}

impl Tools {
    pub(crate) fn start(address: &str) -> Option<Tools> {
        let running = Running::start("Kafka's tools", &mut java("Tools")?).unwrap();
        Some(Tools { running, address: address.to_owned() })
    }

    /// What a tool prints, and whether it was content.
    pub(crate) fn run(&mut self, class: &str, arguments: &[&str]) -> (Vec<String>, bool) {
        let address = self.address.clone();
        self.run_words(&[&[class, "--bootstrap-server", &address][..], arguments].concat())
    }

    /// For a tool that is told in another way where the broker is.
    pub(crate) fn run_words(&mut self, words: &[&str]) -> (Vec<String>, bool) {
        self.running.say(&words.join("\t")).unwrap();
        let mut lines = Vec::new();
        loop {
            let line = self.running.expect_line(PROGRAM_LIMIT).unwrap();
            match (line.strip_prefix("| "), line.strip_prefix("status ")) {
                (Some(printed), _) => lines.push(printed.to_owned()),
                (None, Some(status)) => return (lines, status == "0"),
                (None, None) => panic!("not a line of ours: {line}"),
            }
        }
    }
}

/// Apache Kafka alone, on a directory of its own.
struct Kafka {
    _running: Running,
    address: String,
}

impl Kafka {
    fn start(data: &DataDir) -> Option<Kafka> {
        let [address, controller] = [free_address(), free_address()];
        let file = data.path().join("server.properties");
        let log_dirs = data.path().join("kafka");
        let mut properties = String::new();
        for (name, value) in [
            ("process.roles", "broker,controller".to_owned()),
            ("node.id", "1".to_owned()),
            ("controller.quorum.voters", format!("1@{controller}")),
            ("listeners", format!("PLAINTEXT://{address},CONTROLLER://{controller}")),
            ("advertised.listeners", format!("PLAINTEXT://{address}")),
            ("controller.listener.names", "CONTROLLER".to_owned()),
            (
                "listener.security.protocol.map",
                "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT".to_owned(),
            ),
            ("log.dirs", log_dirs.display().to_string()),
            ("offsets.topic.replication.factor", "1".to_owned()),
        ] {
            writeln!(properties, "{name}={value}").unwrap();
        }
        std::fs::write(&file, properties).unwrap();
        let file = file.to_str().unwrap();
        let mut format = java("kafka.tools.StorageTool")?;
        format.args(["format", "-t", "aGlnaHdhdGVyLXRlc3RzLg", "-c", file]);
        crate::process::run("StorageTool", &mut format, "", PROGRAM_LIMIT).unwrap();
        let mut server = java("kafka.Kafka")?;
        server.arg(file);
        let running = Running::start("Apache Kafka", &mut server).unwrap();
        let begun = Instant::now();
        while std::net::TcpStream::connect(address).is_err() {
            assert!(begun.elapsed() < START_LIMIT, "Kafka does not start");
            std::thread::sleep(Duration::from_millis(50));
        }
        Some(Kafka { _running: running, address: address.to_string() })
    }
}

/// What differs from broker to broker: addresses, directories, ids, times.
fn masked(lines: &[String], address: &str, data: &Path) -> Vec<String> {
    let data = data.display().to_string();
    let mask = |line: &String| {
        let line = line.replace(address, "ADDRESS");
        let words = line.split_inclusive([' ', '\t', '"', ',', '\n']).map(|word| {
            let is_id = word.trim_end().len() == 22
                && word
                    .trim_end()
                    .bytes()
                    .all(|it| it.is_ascii_alphanumeric() || b"-_".contains(&it));
            let is_time = word.starts_with("[20") || word.contains(":") && word.ends_with("] ");
            match word {
                word if word.contains(&data) => "DIRECTORY ".to_owned(),
                _ if is_id => "ID ".to_owned(),
                _ if is_time => String::new(),
                word => word.to_owned(),
            }
        });
        words.collect::<String>().trim_end().to_owned()
    };
    let without = |line: String| {
        // Kafka tells this default only once some broker's config was changed.
        let line = line.replace(", DEFAULT_CONFIG:log.retention.hours=168", "");
        let line = line.replace("Configs: min.insync.replicas=1,", "Configs: ");
        line.replace("Configs: min.insync.replicas=1", "Configs:")
    };
    let lines = lines.iter().map(mask).map(without).filter(|line| !line.is_empty());
    lines.filter(|line| !line.starts_with("SLF4J")).collect()
}

/// Highwater is durable by default. Kafka writes down for its brokers what min.insync.replicas is.
const DIFFERENT: [&str; 2] = ["flush.messages", "min.insync.replicas"];
/// Kafka's own that no document names.
const INTERNAL: [&str; 1] = ["internal."];

fn names_any(line: &str, names: &[&str]) -> bool {
    names.iter().any(|name| line.trim_start().starts_with(name))
}

#[test]
fn tools_print_the_same_of_this_broker_and_of_apache_kafka() {
    let (ours, theirs) = (DataDir::new("admin"), DataDir::new("admin-kafka"));
    if install::java().is_none() {
        return;
    }
    let Some(kafka) = Kafka::start(&theirs) else { return };
    let broker = Broker::start(&ours);
    let mut sides = [
        (Tools::start(broker.address()).unwrap(), ours.path().to_owned()),
        (Tools::start(&kafka.address).unwrap(), theirs.path().to_owned()),
    ];
    let (mut compared, mut differences) = (0, Vec::new());
    let mut both = |class: &str, arguments: &[&str], is_wanted: &dyn Fn(&str) -> bool| {
        let [ours, theirs] = sides.each_mut().map(|(tools, data)| {
            let (lines, is_content) = tools.run(class, arguments);
            let lines = masked(&lines, &tools.address, data);
            let mut kept: Vec<String> = lines.into_iter().filter(|line| is_wanted(line)).collect();
            if class == DELETE_RECORDS {
                // It prints partitions in any order.
                kept.sort_unstable();
            }
            (kept, is_content)
        });
        compared += 1;
        if ours != theirs {
            let (ours, theirs) = (ours.0.join("\n  "), theirs.0.join("\n  "));
            differences
                .push(format!("{class} {arguments:?}\nours:\n  {ours}\ntheirs:\n  {theirs}"));
            return Vec::new();
        }
        ours.0
    };
    let all = |_: &str| true;
    let without_traces =
        |line: &str| !line.trim_start().starts_with("at ") && !line.contains("...");
    // Whoever sends what Kafka's tools send gets what they expect, in words as well.
    let create = ["--create", "--topic", "t", "--partitions", "3", "--replication-factor", "1"];
    both(TOPICS, &create, &all);
    let with_config = [&create[..2], &["u"], &["--config", "retention.ms=1000000"]].concat();
    both(TOPICS, &with_config, &all);
    both(TOPICS, &["--create", "--topic", "t"], &without_traces);
    both(TOPICS, &["--list"], &all);
    both(TOPICS, &["--describe", "--topic", "t"], &all);
    both(TOPICS, &["--describe", "--topic", "u"], &all);
    both(TOPICS, &["--alter", "--topic", "t", "--partitions", "4"], &all);
    both(TOPICS, &["--alter", "--topic", "t", "--partitions", "2"], &|line| {
        // The sentence is each broker's own.
        line.contains("Exception") && !line.contains("partition")
    });

    let topic = ["--entity-type", "topics", "--entity-name", "t"];
    let change = |what: &[&'static str]| [&["--alter"][..], &topic, what].concat();
    both(CONFIGS, &[&["--describe"][..], &topic].concat(), &all);
    both(CONFIGS, &change(&["--add-config", "retention.ms=5000000,segment.bytes=2000000"]), &all);
    both(CONFIGS, &[&["--describe"][..], &topic].concat(), &all);
    both(CONFIGS, &change(&["--delete-config", "segment.bytes"]), &all);
    both(CONFIGS, &[&["--describe"][..], &topic].concat(), &all);
    both(CONFIGS, &change(&["--add-config", "retention.ms=soon"]), &without_traces);
    both(CONFIGS, &change(&["--add-config", "no.such.config=1"]), &without_traces);
    both(CONFIGS, &change(&["--delete-config", "segment.ms"]), &without_traces);
    let known = |line: &str| !names_any(line, &DIFFERENT) && !names_any(line, &INTERNAL);
    let described = both(CONFIGS, &[&["--describe", "--all"][..], &topic].concat(), &known);
    let described_count = described.len();

    let brokers = ["--entity-type", "brokers", "--entity-default"];
    let of_brokers = |what: &[&'static str]| [&["--alter"][..], &brokers, what].concat();
    both(CONFIGS, &of_brokers(&["--add-config", "log.retention.ms=7000000"]), &all);
    both(CONFIGS, &[&["--describe"][..], &brokers].concat(), &known);
    both(CONFIGS, &[&["--describe"][..], &topic].concat(), &all);
    both(CONFIGS, &of_brokers(&["--delete-config", "log.retention.ms"]), &all);
    both(CONFIGS, &[&["--describe"][..], &brokers].concat(), &known);

    both(GET_OFFSETS, &["--topic", "t"], &all);
    both(GET_OFFSETS, &["--topic", "t", "--time", "-2"], &all);
    both(GET_OFFSETS, &["--topic", "t", "--time", "-3"], &all);
    let deletions = ours.path().join("deletions.json");
    let text = r#"{"partitions": [{"topic": "t", "partition": 1, "offset": -1},
                   {"topic": "t", "partition": 0, "offset": 0}], "version": 1}"#;
    std::fs::write(&deletions, text).unwrap();
    both(DELETE_RECORDS, &["--offset-json-file", deletions.to_str().unwrap()], &all);
    let text = r#"{"partitions": [{"topic": "t", "partition": 1, "offset": 99}], "version": 1}"#;
    std::fs::write(&deletions, text).unwrap();
    both(DELETE_RECORDS, &["--offset-json-file", deletions.to_str().unwrap()], &without_traces);
    both(LOG_DIRS, &["--describe", "--topic-list", "t,u"], &all);
    both(TOPICS, &["--delete", "--topic", "u"], &all);
    both(TOPICS, &["--delete", "--topic", "u"], &without_traces);
    both(TOPICS, &["--list"], &all);
    for address in [broker.address(), &kafka.address] {
        our_command_serves(address);
    }
    assert!(differences.is_empty(), "{}", differences.join("\n\n"));
    assert_eq!(compared, 31);
    assert!(25 < described_count, "{described_count} configs are the same");
    broker.stop();
}

/// `highwater topic` asks any broker.
fn our_command_serves(address: &str) {
    let topic = |arguments: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_highwater"));
        command.arg("topic").args(arguments).args(["--bootstrap", address, "--json"]);
        let lines = crate::process::run("highwater topic", &mut command, "", PROGRAM_LIMIT);
        let lines = lines.unwrap_or_else(|error| panic!("{arguments:?} of {address}: {error}"));
        serde_json::from_str::<serde_json::Value>(&lines.join("\n")).unwrap()
    };
    topic(&["create", "ours", "--partitions", "2", "--config", "retention.ms=123456"]);
    let listed = topic(&["list"]).to_string();
    assert!(listed.contains("\"ours\"") && listed.contains("\"t\""), "{listed}");
    topic(&["config", "ours", "--set", "segment.ms=7777777", "--unset", "retention.ms"]);
    let described = topic(&["describe", "ours"]).to_string();
    assert!(described.contains("7777777") && !described.contains("123456"), "{described}");
    topic(&["trim", "ours", "--before", "end"]);
    topic(&["delete", "ours"]);
    let listed = topic(&["list"]).to_string();
    assert!(!listed.contains("\"ours\""), "{listed}");
}

/// The visible one: old segments go within seconds.
#[test]
fn kafka_configs_shortens_the_retention_of_a_live_topic() {
    let data = DataDir::new("shortened");
    let broker = Broker::start(&data);
    let Some(mut tools) = Tools::start(broker.address()) else { return };
    let create = ["--create", "--topic", "t", "--config", "segment.bytes=1048576"];
    let (lines, is_content) = tools.run(TOPICS, &create);
    assert!(is_content, "{lines:?}");
    let mut producer =
        crate::scripts::java("org.apache.kafka.tools.ProducerPerformance").expect("it is there");
    producer.args(["--topic", "t", "--num-records", "20000", "--record-size", "500"]);
    let address = format!("bootstrap.servers={}", broker.address());
    producer.args(["--throughput", "-1", "--producer-props", &address]);
    crate::process::run("ProducerPerformance", &mut producer, "", PROGRAM_LIMIT).unwrap();
    let segments_before = segments(&data);
    assert!(8 < segments_before.len(), "{segments_before:?}");
    let change = ["--alter", "--entity-type", "topics", "--entity-name", "t", "--add-config"];
    let begun = Instant::now();
    let (lines, is_content) = tools.run(CONFIGS, &[&change[..], &["retention.ms=1000"]].concat());
    assert!(is_content, "{lines:?}");
    while segments(&data).keys().any(|name| segments_before.contains_key(name)) {
        assert!(begun.elapsed() < Duration::from_secs(30), "{:?}", segments(&data));
        std::thread::sleep(Duration::from_millis(50));
    }
    let (offsets, _) = tools.run(GET_OFFSETS, &["--topic", "t", "--time", "-2"]);
    assert_eq!(offsets, ["t:0:20000"]);
    broker.stop();
}

/// Sizes of the segments of the only topic, by their names.
fn segments(data: &DataDir) -> BTreeMap<String, u64> {
    let mut found = BTreeMap::new();
    for topic in std::fs::read_dir(data.path().join("data/topics")).unwrap() {
        let topic = topic.unwrap().path();
        let own = model::TopicId::CLUSTER_METADATA.to_hex();
        let Ok(files) = std::fs::read_dir(topic.join("0")) else { continue };
        for file in files.filter(|_| !topic.ends_with(&own)) {
            let file = file.unwrap();
            let name = file.file_name().to_str().unwrap().to_owned();
            if name.ends_with(".log")
                && let Ok(metadata) = file.metadata()
            {
                found.insert(name, metadata.len());
            }
        }
    }
    found
}
