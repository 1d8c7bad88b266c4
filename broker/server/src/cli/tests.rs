mod tools;

use std::time::Duration;

use clap::Parser;
use client::Host;
use expect_test::{Expect, expect};

use super::arguments::TopicArgs;
use super::report::{
    Changing, Config, ConfigsOfTopic, CreatedTopic, Creation, DeletedTopic, DeletedTopics,
    Deletion, DescribedPartition, DescribedTopic, DescribedTopics, ListedTopic, ListedTopics,
    Report, TrimmedPartition, TrimmedTopic,
};
use super::table::{Align, Table, size_text, visible};

#[derive(Debug, Parser)]
#[command(name = "topic")]
struct Program {
    #[command(flatten)]
    args: TopicArgs,
}

/// What is understood of a command line, or what is said of it.
fn check_arguments(line: &str, expected: Expect) {
    let words = ["topic"].into_iter().chain(line.split_whitespace());
    let understood = match Program::try_parse_from(words) {
        Ok(Program { args }) => match args.check() {
            Ok(()) => format!("{:#?}", args.command),
            Err(text) => text,
        },
        // The rest is advice.
        Err(error) => {
            let text = error.to_string();
            text.lines().next().unwrap_or_default().replace(": ", ":\n")
        }
    };
    expected.assert_eq(&understood);
}

fn check_text(report: &Report, expected: Expect) {
    expected.assert_eq(&report.text());
}

fn check_json(report: &Report, expected: Expect) {
    expected.assert_eq(&report.json().unwrap());
}

#[test]
fn common_options_stand_before_or_behind_the_command() {
    let all = "--bootstrap a:1,[::1]:2 --json --timeout 500ms";
    for line in [format!("topic {all} list"), format!("topic list {all}")] {
        let Program { args } = Program::try_parse_from(line.split_whitespace()).unwrap();
        let brokers: Vec<String> = args.common.bootstrap.iter().map(Host::to_string).collect();
        assert_eq!(brokers, ["a:1", "[::1]:2"]);
        assert!(args.common.json);
        assert_eq!(args.common.timeout, Duration::from_millis(500));
    }
    let Program { args } = Program::try_parse_from(["topic", "list"]).unwrap();
    assert_eq!(args.common.bootstrap[0].to_string(), "127.0.0.1:9092");
    assert!(!args.common.json);
    assert_eq!(args.common.timeout, Duration::from_secs(30));
    check_arguments(
        "list --all",
        expect![[r#"
        List(
            ListArgs {
                all: true,
            },
        )"#]],
    );
}

#[test]
fn topics_are_created_as_the_broker_likes_unless_somebody_says_otherwise() {
    check_arguments(
        "create orders",
        expect![[r#"
        Create(
            CreateArgs {
                name: "orders",
                partitions: -1,
                replication_factor: -1,
                config: [],
                if_not_exists: false,
                dry_run: false,
            },
        )"#]],
    );
    check_arguments(
        "create orders --partitions 4 --replication-factor 3 --config a=b=c --config d= --dry-run",
        expect![[r#"
            Create(
                CreateArgs {
                    name: "orders",
                    partitions: 4,
                    replication_factor: 3,
                    config: [
                        (
                            "a",
                            "b=c",
                        ),
                        (
                            "d",
                            "",
                        ),
                    ],
                    if_not_exists: false,
                    dry_run: true,
                },
            )"#]],
    );
    check_arguments(
        "create orders --partitions -1 --if-not-exists",
        expect![[r#"
        Create(
            CreateArgs {
                name: "orders",
                partitions: -1,
                replication_factor: -1,
                config: [],
                if_not_exists: true,
                dry_run: false,
            },
        )"#]],
    );
}

#[test]
fn other_commands_take_names_configs_and_offsets() {
    check_arguments(
        "describe a b",
        expect![[r#"
        Describe(
            DescribeArgs {
                names: [
                    "a",
                    "b",
                ],
            },
        )"#]],
    );
    check_arguments(
        "config a --set b=c --unset d --all",
        expect![[r#"
        Config(
            ConfigArgs {
                name: "a",
                set: [
                    (
                        "b",
                        "c",
                    ),
                ],
                unset: [
                    "d",
                ],
                all: true,
                dry_run: false,
            },
        )"#]],
    );
    check_arguments(
        "trim a --before 7 --partition 1 --partition 2",
        expect![[r#"
        Trim(
            TrimArgs {
                name: "a",
                before: Offset(
                    Offset(
                        7,
                    ),
                ),
                partition: [
                    PartitionIndex(
                        1,
                    ),
                    PartitionIndex(
                        2,
                    ),
                ],
            },
        )"#]],
    );
    check_arguments(
        "trim a --before end",
        expect![[r#"
        Trim(
            TrimArgs {
                name: "a",
                before: End,
                partition: [],
            },
        )"#]],
    );
    check_arguments(
        "delete a b --if-exists",
        expect![[r#"
        Delete(
            DeleteArgs {
                names: [
                    "a",
                    "b",
                ],
                if_exists: true,
            },
        )"#]],
    );
}

#[test]
fn what_is_wrong_is_told_with_what_is_right() {
    check_arguments(
        "list --bootstrap a",
        expect![[r#"
        error:
        invalid value 'a' for '--bootstrap <HOST:PORT>':
        `a` has no port:
        write HOST:PORT, for example 127.0.0.1:9092"#]],
    );
    check_arguments(
        "list --timeout 30",
        expect![[r#"
        error:
        invalid value '30' for '--timeout <TIME>':
        write a time from 1ms to 35791m, for example 500ms, 30s or 2m"#]],
    );
    check_arguments(
        "list --timeout 0s",
        expect![[r#"
        error:
        invalid value '0s' for '--timeout <TIME>':
        write a time from 1ms to 35791m, for example 500ms, 30s or 2m"#]],
    );
    check_arguments(
        "create a --partitions -2",
        expect![[r#"
        error:
        invalid value '-2' for '--partitions <N>':
        -2 is not in -1..=2147483647"#]],
    );
    check_arguments(
        "create a --config b",
        expect![[r#"
        error:
        invalid value 'b' for '--config <KEY=VALUE>':
        write KEY=VALUE, for example flush.messages=1"#]],
    );
    check_arguments(
        "create a --config b=1 --config b=2",
        expect!["the config `b` is named twice: name it once"],
    );
    check_arguments(
        "config a --set b=1 --unset b",
        expect!["the config `b` is named twice: name it once"],
    );
    check_arguments(
        "config a --dry-run",
        expect!["--dry-run without --set or --unset: there is nothing to try"],
    );
    check_arguments(
        "trim a --before -1",
        expect![[r#"
        error:
        invalid value '-1' for '--before <OFFSET|end>':
        write an offset from 0 on, or `end`"#]],
    );
    check_arguments(
        "trim a --before start",
        expect![[r#"
        error:
        invalid value 'start' for '--before <OFFSET|end>':
        write an offset from 0 on, or `end`"#]],
    );
    check_arguments(
        "trim a --before 1 --partition -1",
        expect![[r#"
        error:
        invalid value '-1' for '--partition <N>':
        write the number of a partition, from 0 on"#]],
    );
}

#[test]
fn what_is_missing_is_told() {
    for line in ["describe", "delete", "create", "trim a"] {
        let words = ["topic"].into_iter().chain(line.split_whitespace());
        let error = Program::try_parse_from(words).unwrap_err();
        assert_eq!(error.kind(), clap::error::ErrorKind::MissingRequiredArgument, "{line}");
        assert_eq!(error.exit_code(), 2, "{line}");
    }
}

#[test]
fn columns_are_as_wide_as_their_widest_cell() {
    let columns = [("name", Align::Left), ("count", Align::Right), ("note", Align::Left)];
    let mut table = Table::new(&columns);
    table.push(["ä", "1000000", ""].map(str::to_owned).to_vec());
    table.push(["longer", "2", "control \u{1b}[31m\n"].map(str::to_owned).to_vec());
    expect![[r#"
        indented
          name      count  note
          ä       1000000
          longer        2  control \u{1b}[31m\n
    "#]]
    .assert_eq(&format!("indented\n{}", table.text(2)));
    expect![[r#"
        name  count  note
    "#]]
    .assert_eq(&Table::new(&columns).text(0));
}

#[test]
fn control_characters_are_shown_and_nothing_else_is_changed() {
    assert_eq!(visible("a\tb\u{7f}\u{9b}ü"), "a\\tb\\u{7f}\\u{9b}ü");
}

#[test]
fn sizes_have_three_digits_and_a_unit() {
    let sizes = [0, 999, 1000, 9994, 9996, 99_940, 99_960, 999_499, 999_500, 1 << 30, u64::MAX];
    let texts = sizes.map(size_text).join("\n");
    expect![[r#"
        0 B
        999 B
        1.00 kB
        9.99 kB
        10.0 kB
        99.9 kB
        100 kB
        999 kB
        1.00 MB
        1.07 GB
        18.4 EB"#]]
    .assert_eq(&texts);
}

fn creation(outcome: Creation) -> CreatedTopic {
    CreatedTopic {
        name: "orders".to_owned(),
        outcome,
        id: None,
        partitions: Some(1),
        replication_factor: Some(3),
    }
}

#[test]
fn a_creation_tells_what_there_is_now() {
    let id = Some("yzTBFVoDQBObPkzXbMSgsA".to_owned());
    let created = Report::Created(CreatedTopic { id, ..creation(Creation::Created) });
    check_text(
        &created,
        expect![[r#"
        created orders: 1 partition, replication factor 3
    "#]],
    );
    check_json(
        &created,
        expect![[r#"
        {
          "name": "orders",
          "outcome": "created",
          "id": "yzTBFVoDQBObPkzXbMSgsA",
          "partitions": 1,
          "replication_factor": 3
        }
    "#]],
    );
    check_text(
        &Report::Created(creation(Creation::Exists)),
        expect![[r#"
        orders exists already: 1 partition, replication factor 3
    "#]],
    );
    let untold =
        CreatedTopic { partitions: None, replication_factor: None, ..creation(Creation::Valid) };
    check_text(
        &Report::Created(untold),
        expect![[r#"
        orders could be created
    "#]],
    );
}

#[test]
fn a_list_has_names_and_partitions() {
    let topic = |name: &str, partitions, internal| ListedTopic {
        name: name.to_owned(),
        id: None,
        partitions,
        internal,
    };
    let topics = || vec![topic("__consumer_offsets", 50, true), topic("orders", 4, false)];
    check_text(
        &Report::Listed(ListedTopics { topics: topics(), all: false }),
        expect![[r#"
        topic               partitions
        __consumer_offsets          50
        orders                       4
    "#]],
    );
    let all = Report::Listed(ListedTopics { topics: topics(), all: true });
    check_text(
        &all,
        expect![[r#"
        topic               partitions  internal
        __consumer_offsets          50  yes
        orders                       4  no
    "#]],
    );
    check_json(
        &all,
        expect![[r#"
        {
          "topics": [
            {
              "name": "__consumer_offsets",
              "id": null,
              "partitions": 50,
              "internal": true
            },
            {
              "name": "orders",
              "id": null,
              "partitions": 4,
              "internal": false
            }
          ]
        }
    "#]],
    );
}

fn config(name: &str, value: Option<&str>, source: &'static str) -> Config {
    Config {
        name: name.to_owned(),
        value: value.map(str::to_owned),
        source,
        read_only: false,
        sensitive: value.is_none(),
    }
}

/// A topic with everything, and one with nothing.
fn descriptions() -> Report {
    let whole = DescribedPartition {
        partition: 0,
        leader: Some(1),
        leader_epoch: Some(12),
        replicas: vec![1, 2, 3],
        isr: vec![1, 3],
        start_offset: Some(0),
        end_offset: Some(1_234_567),
        size_bytes: Some(1_234_567_890),
    };
    let headless = DescribedPartition {
        partition: 10,
        leader: None,
        leader_epoch: None,
        replicas: vec![2],
        isr: vec![],
        start_offset: None,
        end_offset: None,
        size_bytes: None,
    };
    let orders = DescribedTopic {
        name: "orders".to_owned(),
        id: Some("yzTBFVoDQBObPkzXbMSgsA".to_owned()),
        internal: false,
        partitions: vec![whole, headless],
        configs: vec![config("flush.messages", Some("9"), "topic")],
        notes: vec!["partition 10: NOT_LEADER_OR_FOLLOWER (6)".to_owned()],
    };
    let offsets = DescribedTopic {
        name: "__consumer_offsets".to_owned(),
        id: None,
        internal: true,
        partitions: vec![],
        configs: vec![],
        notes: vec![],
    };
    Report::Described(DescribedTopics { topics: vec![orders, offsets] })
}

#[test]
fn a_description_has_partitions_configs_and_what_is_not_known() {
    check_text(
        &descriptions(),
        expect![[r#"
        orders
          id          yzTBFVoDQBObPkzXbMSgsA
          partitions  2

          partition  leader  epoch  replicas  isr  start      end     size
                  0       1     12  1,2,3     1,3      0  1234567  1.23 GB
                 10    none      -  2         -        -        -        -

          config          value  source
          flush.messages  9      topic

          partition 10: NOT_LEADER_OR_FOLLOWER (6)

        __consumer_offsets
          internal    yes
          partitions  0
          size        0 B

          partition  leader  epoch  replicas  isr  start  end  size
    "#]],
    );
}

#[test]
fn a_description_for_programs_has_all_fields_always() {
    check_json(
        &descriptions(),
        expect![[r#"
        {
          "topics": [
            {
              "name": "orders",
              "id": "yzTBFVoDQBObPkzXbMSgsA",
              "internal": false,
              "partitions": [
                {
                  "partition": 0,
                  "leader": 1,
                  "leader_epoch": 12,
                  "replicas": [
                    1,
                    2,
                    3
                  ],
                  "isr": [
                    1,
                    3
                  ],
                  "start_offset": 0,
                  "end_offset": 1234567,
                  "size_bytes": 1234567890
                },
                {
                  "partition": 10,
                  "leader": null,
                  "leader_epoch": null,
                  "replicas": [
                    2
                  ],
                  "isr": [],
                  "start_offset": null,
                  "end_offset": null,
                  "size_bytes": null
                }
              ],
              "configs": [
                {
                  "name": "flush.messages",
                  "value": "9",
                  "source": "topic",
                  "read_only": false,
                  "sensitive": false
                }
              ],
              "notes": [
                "partition 10: NOT_LEADER_OR_FOLLOWER (6)"
              ]
            },
            {
              "name": "__consumer_offsets",
              "id": null,
              "internal": true,
              "partitions": [],
              "configs": [],
              "notes": []
            }
          ]
        }
    "#]],
    );
}

#[test]
fn configs_have_values_and_where_they_are_from() {
    let configs = |outcome, configs| {
        Report::Configs(ConfigsOfTopic { name: "orders".to_owned(), outcome, configs })
    };
    let some = || {
        vec![
            config("empty", Some(""), "topic"),
            config("flush.messages", Some("9"), "default"),
            config("secret", None, "static-broker"),
        ]
    };
    check_text(
        &configs(Changing::Unchanged, vec![]),
        expect![[r#"
        orders: every config has its default, --all shows them
    "#]],
    );
    check_text(
        &configs(Changing::Unchanged, some()),
        expect![[r#"
        orders
          config          value     source
          empty           ""        topic
          flush.messages  9         default
          secret          (hidden)  static-broker
    "#]],
    );
    check_text(
        &configs(Changing::Changed, some()),
        expect![[r#"
        orders: changed
          config          value     source
          empty           ""        topic
          flush.messages  9         default
          secret          (hidden)  static-broker
    "#]],
    );
    check_text(
        &configs(Changing::Valid, some()),
        expect![[r#"
        orders: could be changed so, and is as before
          config          value     source
          empty           ""        topic
          flush.messages  9         default
          secret          (hidden)  static-broker
    "#]],
    );
    check_json(
        &configs(Changing::Changed, some()),
        expect![[r#"
        {
          "name": "orders",
          "outcome": "changed",
          "configs": [
            {
              "name": "empty",
              "value": "",
              "source": "topic",
              "read_only": false,
              "sensitive": false
            },
            {
              "name": "flush.messages",
              "value": "9",
              "source": "default",
              "read_only": false,
              "sensitive": false
            },
            {
              "name": "secret",
              "value": null,
              "source": "static-broker",
              "read_only": false,
              "sensitive": true
            }
          ]
        }
    "#]],
    );
}

#[test]
fn what_was_trimmed_or_deleted_is_told() {
    let trimmed =
        |partitions| Report::Trimmed(TrimmedTopic { name: "orders".to_owned(), partitions });
    let partitions = || {
        vec![
            TrimmedPartition { partition: 0, start_offset: 7 },
            TrimmedPartition { partition: 10, start_offset: 1000 },
        ]
    };
    check_text(
        &trimmed(partitions()),
        expect![[r#"
        orders
          partition  start
                  0      7
                 10   1000
    "#]],
    );
    check_json(
        &trimmed(partitions()),
        expect![[r#"
        {
          "name": "orders",
          "partitions": [
            {
              "partition": 0,
              "start_offset": 7
            },
            {
              "partition": 10,
              "start_offset": 1000
            }
          ]
        }
    "#]],
    );
    check_text(&trimmed(vec![]), expect![""]);
    let topic = |name: &str, outcome| DeletedTopic { name: name.to_owned(), outcome };
    let topics = vec![topic("orders", Deletion::Deleted), topic("payments", Deletion::Absent)];
    let deleted = Report::Deleted(DeletedTopics { topics });
    check_text(
        &deleted,
        expect![[r#"
        deleted orders
        payments is not there
    "#]],
    );
    check_json(
        &deleted,
        expect![[r#"
        {
          "topics": [
            {
              "name": "orders",
              "outcome": "deleted"
            },
            {
              "name": "payments",
              "outcome": "absent"
            }
          ]
        }
    "#]],
    );
}
