//! Tests of what is written behind `highwater group`, `cluster`, `produce` and `consume`, and of what
//! is shown of groups.

use clap::Parser;
use expect_test::{Expect, expect};
use model::{Offset, PartitionIndex, Timestamp};

use crate::cli::Tool;
use crate::cli::arguments::{ConsumeArgs, From, GroupCommand, ProduceArgs, Target, Until};
use crate::cli::report::{
    AssignedTopic, DescribedBroker, DescribedCluster, DescribedGroup, DescribedGroups,
    DescribedMember, GroupPartition, Report,
};

#[derive(Debug, Parser)]
#[command(name = "highwater")]
struct Program {
    #[command(subcommand)]
    tool: Tool,
}

fn parse(line: &str) -> Result<Tool, String> {
    let words = ["highwater"].into_iter().chain(line.split_whitespace());
    let tool = match Program::try_parse_from(words) {
        Ok(program) => program.tool,
        Err(error) => {
            let text = error.to_string();
            // The rest is advice.
            return Err(text.lines().next().unwrap_or_default().to_owned());
        }
    };
    tool.check().map(|()| tool)
}

fn refused(line: &str, expected: Expect) {
    expected.assert_eq(&parse(line).unwrap_err());
}

fn target(line: &str) -> Target {
    let Ok(Tool::Group(args)) = parse(&format!("group reset g --all-topics {line}")) else {
        panic!("{line}");
    };
    let GroupCommand::Reset(args) = args.command else { panic!("{line}") };
    assert_eq!(args.scope(), None);
    args.target()
}

fn consume(line: &str) -> ConsumeArgs {
    match parse(&format!("consume orders {line}")) {
        Ok(Tool::Consume(args)) => args,
        other => panic!("{line}: {other:?}"),
    }
}

fn produce(line: &str) -> ProduceArgs {
    match parse(&format!("produce orders {line}")) {
        Ok(Tool::Produce(args)) => args,
        other => panic!("{line}: {other:?}"),
    }
}

#[test]
fn groups_are_reset_to_one_target() {
    assert_eq!(target("--to-earliest"), Target::Earliest);
    assert_eq!(target("--to-latest"), Target::Latest);
    assert_eq!(target("--to-offset 7"), Target::Offset(Offset(7)));
    assert_eq!(target("--shift-by -7"), Target::Shift(-7));
    assert_eq!(target("--to-datetime 1970-01-01T00:00:01Z"), Target::Time(Timestamp(1000)));
    assert_eq!(target("--by-duration PT1M"), Target::Ago(std::time::Duration::from_secs(60)));
    refused(
        "group reset g --all-topics --to-latest --to-earliest",
        expect!["error: the argument '--to-latest' cannot be used with '--to-earliest'"],
    );
    refused(
        "group reset g --all-topics --topic orders --to-latest",
        expect!["error: the argument '--all-topics' cannot be used with '--topic <TOPIC[:N,N]>'"],
    );
    refused(
        "group reset g --to-latest",
        expect!["error: the following required arguments were not provided:"],
    );
    refused(
        "group reset g --topic orders:0 --topic orders:1 --to-latest",
        expect![
            "the topic `orders` is named twice: name all its partitions at once, for example orders:0,1"
        ],
    );
    refused(
        "group reset g --topic orders:0,x --to-latest",
        expect![
            "error: invalid value 'orders:0,x' for '--topic <TOPIC[:N,N]>': write TOPIC or TOPIC:N,N, for example orders:0,3"
        ],
    );
    refused(
        "group reset g --topic orders --to-offset -1",
        expect!["error: invalid value '-1' for '--to-offset <OFFSET>': write an offset from 0 on"],
    );
    refused(
        "group list --state stable,asleep",
        expect![
            "error: invalid value 'asleep' for '--state <STATE>': write one of PreparingRebalance, CompletingRebalance, Stable, Dead, Empty, Assigning, Reconciling, NotReady"
        ],
    );
}

#[test]
fn reading_begins_and_ends_at_offsets_and_times() {
    let args = consume("");
    assert_eq!((args.from, args.until, args.count), (From::Earliest, None, None));
    let places = [
        ("earliest", From::Earliest),
        ("latest", From::Latest),
        ("7", From::Offset(Offset(7))),
        ("@1234", From::Time(Timestamp(1234))),
        ("@1970-01-01T00:00:01Z", From::Time(Timestamp(1000))),
    ];
    for (text, from) in places {
        assert_eq!(consume(&format!("--from {text}")).from, from);
    }
    assert_eq!(consume("--until end").until, Some(Until::End));
    assert_eq!(consume("--until 7").until, Some(Until::Offset(Offset(7))));
    assert_eq!(consume("--until @7").until, Some(Until::Time(Timestamp(7))));
    assert_eq!(consume("--partition 1 --partition 2").partition, [1, 2].map(PartitionIndex));
    refused(
        "consume orders --from -1",
        expect![
            "error: invalid value '-1' for '--from <WHERE>': write earliest, latest, an offset from 0 on, or @ and a time"
        ],
    );
    refused(
        "consume orders --until @soon",
        expect![
            "error: invalid value '@soon' for '--until <WHERE>': write milliseconds from 0 on; or write a date, a time and a zone, for example 2026-11-28T09:30:00Z or 2026-11-28T09:30:00+02:00"
        ],
    );
    refused(
        "consume orders --format %z",
        expect![
            "error: invalid value '%z' for '--format <FORMAT>': there is no `%z`: use %s, %S, %R, %k, %K, %t, %p, %o, %T, %h or %%"
        ],
    );
    refused(
        "consume orders --group g --partition 1",
        expect!["error: the argument '--group <NAME>' cannot be used with '--partition <N>'"],
    );
}

#[test]
fn records_are_acknowledged_by_all_unless_somebody_says_otherwise() {
    let args = produce("");
    assert_eq!((args.acks, args.compression.name(), args.partition), (-1, "none", None));
    assert_eq!(produce("--acks 0").acks, 0);
    assert_eq!(produce("--acks 1 --compression zstd").compression.name(), "zstd");
    assert_eq!(produce("--header a=b=c").header, [("a".to_owned(), "b=c".to_owned())]);
    refused("produce orders --acks 2", expect!["error: invalid value '2' for '--acks <ACKS>'"]);
    refused(
        "produce orders --header a",
        expect![
            "error: invalid value 'a' for '--header <NAME=VALUE>': write NAME=VALUE, for example source=import"
        ],
    );
}

/// A group with a member that can be read, one that cannot, and a topic that is gone.
fn group(with_members: bool) -> Report {
    let member = |id: &str, partitions: Option<Vec<AssignedTopic>>| DescribedMember {
        id: id.to_owned(),
        instance: partitions.is_none().then(|| "i-1".to_owned()),
        client: "app".to_owned(),
        host: "/10.0.0.1".to_owned(),
        topics: None,
        partitions,
    };
    let partition = |topic: &str, end: Option<i64>, client: Option<&str>| GroupPartition {
        topic: topic.to_owned(),
        partition: 0,
        committed_offset: Some(40),
        end_offset: end,
        lag: end.map(|end| end - 40),
        metadata: None,
        member: client.map(|_| "m-1".to_owned()),
        client: client.map(str::to_owned),
    };
    let reads = vec![AssignedTopic { topic: "orders".to_owned(), partitions: vec![0, 2] }];
    let group = DescribedGroup {
        name: "billing".to_owned(),
        group_type: "consumer".to_owned(),
        protocol_type: "consumer".to_owned(),
        state: "Stable".to_owned(),
        assignor: Some("uniform".to_owned()),
        epoch: Some(3),
        coordinator: 1,
        members: vec![member("m-1", Some(reads)), member("m-2", None)],
        partitions: vec![partition("gone", None, None), partition("orders", Some(42), Some("app"))],
        notes: vec!["cannot tell the offsets of topic gone".to_owned()],
    };
    Report::GroupsDescribed(DescribedGroups { groups: vec![group], with_members })
}

#[test]
fn a_group_is_shown_with_what_is_left_to_read() {
    expect![[r#"
        billing
          state        Stable
          type         consumer
          protocol     consumer
          assignor     uniform
          epoch        3
          coordinator  1
          members      2
          lag          2

          topic   partition  committed  end  lag  client
          gone            0         40    -    -  -
          orders          0         40   42    2  app

          cannot tell the offsets of topic gone
    "#]]
    .assert_eq(&group(false).text());
    expect![[r#"
        billing
          state        Stable
          type         consumer
          protocol     consumer
          assignor     uniform
          epoch        3
          coordinator  1
          members      2
          lag          2

          member  instance  client  host       partitions
          m-1     -         app     /10.0.0.1  orders:0,2
          m-2     i-1       app     /10.0.0.1  -

          topic   partition  committed  end  lag  client
          gone            0         40    -    -  -
          orders          0         40   42    2  app

          cannot tell the offsets of topic gone
    "#]]
    .assert_eq(&group(true).text());
}

#[test]
fn a_group_for_programs_has_all_fields_always() {
    expect![[r#"
        {
          "groups": [
            {
              "name": "billing",
              "type": "consumer",
              "protocol_type": "consumer",
              "state": "Stable",
              "assignor": "uniform",
              "epoch": 3,
              "coordinator": 1,
              "members": [
                {
                  "id": "m-1",
                  "instance": null,
                  "client": "app",
                  "host": "/10.0.0.1",
                  "topics": null,
                  "partitions": [
                    {
                      "topic": "orders",
                      "partitions": [
                        0,
                        2
                      ]
                    }
                  ]
                },
                {
                  "id": "m-2",
                  "instance": "i-1",
                  "client": "app",
                  "host": "/10.0.0.1",
                  "topics": null,
                  "partitions": null
                }
              ],
              "partitions": [
                {
                  "topic": "gone",
                  "partition": 0,
                  "committed_offset": 40,
                  "end_offset": null,
                  "lag": null,
                  "metadata": null,
                  "member": null,
                  "client": null
                },
                {
                  "topic": "orders",
                  "partition": 0,
                  "committed_offset": 40,
                  "end_offset": 42,
                  "lag": 2,
                  "metadata": null,
                  "member": "m-1",
                  "client": "app"
                }
              ],
              "notes": [
                "cannot tell the offsets of topic gone"
              ]
            }
          ]
        }
    "#]]
    .assert_eq(&group(false).json().unwrap());
}

#[test]
fn a_cluster_is_shown_with_its_brokers() {
    let broker = |id, rack: Option<&str>| DescribedBroker {
        id,
        host: format!("host-{id}"),
        port: 9092,
        rack: rack.map(str::to_owned),
    };
    let cluster = Report::Cluster(DescribedCluster {
        id: None,
        controller: Some(2),
        brokers: vec![broker(1, None), broker(12, Some("a"))],
        topics: 3,
        internal_topics: 0,
        partitions: 7,
        groups: None,
        notes: vec!["a note".to_owned()],
    });
    expect![[r#"
        cluster -
          controller  2
          topics      3
          partitions  7
          groups      -

          broker  host     port  rack
               1  host-1   9092  -
              12  host-12  9092  a

          a note
    "#]]
    .assert_eq(&cluster.text());
    expect![[r#"
        {
          "id": null,
          "controller": 2,
          "brokers": [
            {
              "id": 1,
              "host": "host-1",
              "port": 9092,
              "rack": null
            },
            {
              "id": 12,
              "host": "host-12",
              "port": 9092,
              "rack": "a"
            }
          ],
          "topics": 3,
          "internal_topics": 0,
          "partitions": 7,
          "groups": null,
          "notes": [
            "a note"
          ]
        }
    "#]]
    .assert_eq(&cluster.json().unwrap());
}
