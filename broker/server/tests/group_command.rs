//! `highwater group` and `highwater cluster`, as a user runs them, against a running broker.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod support;

use std::time::{Duration, Instant};

use expect_test::expect;
use serde_json::{Value, json};
use support::tool::{Running, Told, check, run, run_with};
use support::{Broker, Directory};

/// In a debug build, with other tests beside it.
const SETTLED_MAX: Duration = Duration::from_secs(60);

/// A broker that does not wait for more members than there are.
fn start(directory: &Directory) -> Broker {
    let file = directory.0.join("highwater.toml");
    std::fs::write(&file, "[groups]\ninitial-rebalance-delay-ms = 0\n").unwrap();
    let file = file.to_str().unwrap();
    Broker::start(&directory.data(), &["--cores", "2", "--config", file])
}

fn ask(broker: &Broker, arguments: &str) -> Told {
    run(&broker.address.to_string(), arguments)
}

fn produce(broker: &Broker, topic: &str, partition: i32, count: usize) {
    let lines: String = (0..count).map(|number| format!("{number}\n")).collect();
    let arguments = format!("produce {topic} --partition {partition}");
    let told = run_with(&broker.address.to_string(), &arguments, lines.as_bytes());
    assert_eq!((told.code, told.shown().as_str()), (0, "exit 0\n"));
}

/// Describes a group again and again until it is as it should be.
#[track_caller]
fn wait_until(broker: &Broker, group: &str, is_so: impl Fn(&Value) -> bool) -> Value {
    let begun = Instant::now();
    loop {
        let told = ask(broker, &format!("group describe {group} --json"));
        if told.code == 0 {
            let group = told.json()["groups"][0].take();
            if is_so(&group) {
                return group;
            }
        }
        assert!(begun.elapsed() < SETTLED_MAX, "{}", told.shown());
        std::thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn a_group_without_members_is_reset_listed_described_and_deleted() {
    let directory = Directory::new();
    let broker = start(&directory);
    ask(&broker, "topic create orders --partitions 2 --json").json();
    produce(&broker, "orders", 0, 20);
    let commands = [
        "group list",
        "group reset billing --topic orders:0 --to-offset 5",
        "group list",
        "group reset billing --topic orders --to-offset 5 --execute",
        "group list --state empty,stable",
        "group list --state stable",
        "group describe billing --members",
        "group reset billing --all-topics --shift-by -3 --execute",
        "group reset billing --topic orders:0 --to-datetime 2001-02-03T04:05:06Z",
        "group reset billing --topic orders:0 --by-duration PT0S",
        "group delete billing",
        "group list",
    ];
    check(
        &broker,
        &commands,
        expect![[r#"
        $ group list
        group  type  protocol  state
        exit 0
        $ group reset billing --topic orders:0 --to-offset 5
        billing: would be set so, and is as before; see --execute
          topic   partition  committed  new  start  end  lag
          orders          0          -    5      0   20   15
        exit 0
        $ group list
        group  type  protocol  state
        exit 0
        $ group reset billing --topic orders --to-offset 5 --execute
        billing: set
          topic   partition  committed  new  start  end  lag
          orders          0          -    5      0   20   15
          orders          1          -    0      0    0    0
          orders 1: 5 is outside of the log, 0 is the nearest
        exit 0
        $ group list --state empty,stable
        group    type     protocol  state
        billing  classic  -         Empty
        exit 0
        $ group list --state stable
        group  type  protocol  state
        exit 0
        $ group describe billing --members
        billing
          state        Empty
          type         classic
          coordinator  1
          members      0
          lag          15

          topic   partition  committed  end  lag  client
          orders          0          5   20   15  -
          orders          1          0    0    0  -
        exit 0
        $ group reset billing --all-topics --shift-by -3 --execute
        billing: set
          topic   partition  committed  new  start  end  lag
          orders          0          5    2      0   20   18
          orders          1          0    0      0    0    0
          orders 1: -3 is outside of the log, 0 is the nearest
        exit 0
        $ group reset billing --topic orders:0 --to-datetime 2001-02-03T04:05:06Z
        billing: would be set so, and is as before; see --execute
          topic   partition  committed  new  start  end  lag
          orders          0          2    0      0   20   20
        exit 0
        $ group reset billing --topic orders:0 --by-duration PT0S
        billing: would be set so, and is as before; see --execute
          topic   partition  committed  new  start  end  lag
          orders          0          2   20      0   20    0
        exit 0
        $ group delete billing
        deleted billing
        exit 0
        $ group list
        group  type  protocol  state
        exit 0
    "#]],
    );
}

#[test]
fn what_cannot_be_done_with_groups_is_told_and_the_rest_is_done() {
    let directory = Directory::new();
    let broker = start(&directory);
    ask(&broker, "topic create orders --json").json();
    ask(&broker, "group reset billing --topic orders --to-latest --execute --json").json();
    let commands = [
        "group describe nowhere billing",
        "group delete nowhere billing",
        "group delete nowhere --if-exists",
        "group reset billing --all-topics --to-latest --execute",
        "group reset billing --topic nowhere --to-latest --execute",
        "group reset billing --topic orders:7 --to-latest --execute",
        "group reset billing --topic orders --shift-by 1 --execute",
        "group list",
    ];
    check(
        &broker,
        &commands,
        expect![[r#"
        $ group describe nowhere billing
        billing
          state        Empty
          type         classic
          coordinator  1
          members      0
          lag          0

          topic   partition  committed  end  lag  client
          orders          0          0    0    0  -
        error: cannot describe group nowhere: GROUP_ID_NOT_FOUND (69): Group nowhere not found.
        exit 1
        $ group delete nowhere billing
        deleted billing
        error: cannot delete group nowhere: GROUP_ID_NOT_FOUND (69): there is no such group
        exit 1
        $ group delete nowhere --if-exists
        nowhere is not there
        exit 0
        $ group reset billing --all-topics --to-latest --execute
        error: cannot reset group billing: it has read nothing yet: name a topic, for example --topic orders
        exit 1
        $ group reset billing --topic nowhere --to-latest --execute
        error: cannot reset group billing, topic nowhere: UNKNOWN_TOPIC_OR_PARTITION (3): there is no such topic
        exit 1
        $ group reset billing --topic orders:7 --to-latest --execute
        error: cannot reset group billing, topic orders: it has no partition 7: it has 1
        exit 1
        $ group reset billing --topic orders --shift-by 1 --execute
        billing: would be set so, and is as before; see --execute
          topic  partition  committed  new  start  end  lag
        error: cannot reset group billing, topic orders, partition 0: it has no offset to shift: use --to-earliest, --to-latest or --to-offset
        exit 1
        $ group list
        group  type  protocol  state
        exit 0
    "#]],
    );
}

#[test]
fn members_divide_partitions_commit_and_leave() {
    let directory = Directory::new();
    let broker = start(&directory);
    let address = broker.address.to_string();
    ask(&broker, "topic create orders --partitions 2 --json").json();
    produce(&broker, "orders", 0, 20);
    let consume = "consume orders --group billing --format %p:%s\\n";
    let first = Running::start(&address, consume);
    let is_read = |group: &Value| group["partitions"][0]["lag"] == 0;
    wait_until(&broker, "billing", |group| group["state"] == "Stable" && is_read(group));
    let second = Running::start(&address, consume);
    let group = wait_until(&broker, "billing", |group| {
        let members = group["members"].as_array().unwrap();
        group["state"] == "Stable" && members.len() == 2
    });
    let mut assigned: Vec<&Value> =
        group["members"].as_array().unwrap().iter().map(|member| &member["partitions"]).collect();
    assigned.sort_by_key(|it| it.to_string());
    let part = |partition: i32| json!([{ "topic": "orders", "partitions": [partition] }]);
    assert_eq!(assigned, [&part(0), &part(1)]);
    assert_eq!(group["members"][0]["client"], "highwater-consume");
    assert_eq!(group["members"][0]["topics"], json!(["orders"]));
    assert_eq!((&group["assignor"], &group["type"]), (&json!("range"), &json!("classic")));
    for refused in ["reset billing --all-topics --to-earliest --execute", "delete billing"] {
        let told = ask(&broker, &format!("group {refused}"));
        assert_eq!((told.code, told.out.as_str()), (1, ""));
        assert!(
            told.err.contains("members") && told.err.contains(": stop them first"),
            "{}",
            told.err
        );
    }
    produce(&broker, "orders", 1, 10);
    wait_until(&broker, "billing", |group| {
        is_read(group) && group["partitions"][1]["committed_offset"] == 10
    });
    let first = first.stop();
    // Whoever leaves is not waited for: well before its session would be over.
    wait_until(&broker, "billing", |group| {
        let members = group["members"].as_array().unwrap();
        group["state"] == "Stable" && members.len() == 1
    });
    let second = second.stop();
    wait_until(&broker, "billing", |group| group["state"] == "Empty");
    assert_eq!((first.code, first.err.as_str()), (0, ""));
    assert_eq!((second.code, second.err.as_str()), (0, ""));
    let mut read: Vec<&str> = first.out.lines().chain(second.out.lines()).collect();
    read.sort_unstable();
    let of = |partition: i32, count: i32| (0..count).map(move |it| format!("{partition}:{it}"));
    let mut expected: Vec<String> = of(0, 20).chain(of(1, 10)).collect();
    expected.sort_unstable();
    assert_eq!(read, expected);
    // Nothing is left for the next one, even after a restart.
    broker.kill();
    let broker = start(&directory);
    assert_eq!(ask(&broker, "consume orders --group billing --until end").shown(), "exit 0\n");
    let told = ask(&broker, "group describe billing --json").json();
    assert_eq!(told["groups"][0]["partitions"][0]["committed_offset"], 20);
}

#[test]
fn a_cluster_is_described() {
    let directory = Directory::new();
    let broker = start(&directory);
    ask(&broker, "topic create orders --partitions 2 --json").json();
    let before = ask(&broker, "cluster --json").json();
    assert_eq!(before["id"].as_str().unwrap().len(), 22);
    let address = broker.address;
    let brokers = json!([{
        "id": 1, "host": address.ip().to_string(), "port": address.port(), "rack": null,
    }]);
    let facts =
        ["controller", "brokers", "topics", "internal_topics", "partitions", "groups", "notes"];
    let expected = [json!(1), brokers, json!(1), json!(0), json!(2), json!(0), json!([])];
    assert_eq!(facts.map(|fact| before[fact].clone()), expected);
    ask(&broker, "group reset billing --topic orders --to-latest --execute --json").json();
    let after = ask(&broker, "cluster --json").json();
    assert_eq!((&after["groups"], &after["internal_topics"]), (&json!(1), &json!(1)));
    let text = ask(&broker, "cluster");
    assert!(
        text.out
            .starts_with(&format!("cluster {}\n  controller  1\n", after["id"].as_str().unwrap()))
    );
}
