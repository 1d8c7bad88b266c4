//! The broker's life: starts, ends, and what it says when it cannot.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod support;

use std::io::Write;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

use model::PartitionIndex;
use model::record_batch::{Batches, ProducerStamp, Records, check_crc};
use support::{
    Broker, Directory, batch, free_address, get, metric, now_ms, produce, refused_start,
};
use wire::fetch::{FetchPartition, FetchTopic};
use wire::list_offsets::{ListOffsetsPartition, ListOffsetsTopic};
use wire::{ErrorCode, Text};

fn append(broker: &Broker, topic: &'static str, partition: i32, count: usize) -> i64 {
    let mut client = broker.connect();
    let mut base_offset = -1;
    for _ in 0..count {
        let batch = batch(&[b"value"], now_ms(), ProducerStamp::NONE);
        let response = client.call(9, &produce(topic, partition, -1, batch));
        let answer = &response.responses[0].partition_responses[0];
        assert_eq!(answer.error_code, ErrorCode::None, "{:?}", answer.error_message);
        base_offset = answer.base_offset.0;
    }
    base_offset
}

#[test]
fn sigterm_ends_in_good_order_and_a_kill_loses_nothing() {
    let directory = Directory::new();
    let mut next = 0;
    for life in 0..6 {
        let broker = Broker::start(&directory.data(), &["--cores", "2"]);
        broker.connect().auto_create("kept");
        assert_eq!(append(&broker, "kept", 0, 20), next + 19);
        next += 20;
        if life % 2 == 0 {
            assert!(broker.stop().success());
        } else {
            broker.kill();
        }
    }
}

#[test]
fn sigterm_ends_a_broker_with_clients_that_wait() {
    let directory = Directory::new();
    let broker = Broker::start(&directory.data(), &["--cores", "2"]);
    let mut client = broker.connect();
    client.auto_create("silent");
    let partition = wire::fetch::FetchPartition { partition_max_bytes: 1000, ..Default::default() };
    let request = wire::FetchRequest {
        max_wait_ms: 600_000,
        min_bytes: 1,
        max_bytes: 1000,
        topics: vec![wire::fetch::FetchTopic {
            topic: wire::Text::from_static("silent"),
            partitions: vec![partition],
            ..Default::default()
        }],
        ..Default::default()
    };
    client.send(12, &request);
    std::thread::sleep(Duration::from_millis(50));
    assert!(broker.stop().success());
}

#[test]
fn the_number_of_cores_may_change_between_starts() {
    let directory = Directory::new();
    let config = directory.0.join("broker.toml");
    std::fs::write(&config, "[topics]\npartitions = 7\n").unwrap();
    let config = config.to_str().unwrap();
    let mut next = 0;
    for (life, cores) in ["2", "1", "3", "5", "2"].into_iter().enumerate() {
        let arguments = ["--cores", cores, "--config", config];
        let broker = Broker::start(&directory.data(), &arguments);
        let topic = broker.connect().auto_create("spread").topics.remove(0);
        assert_eq!(topic.partitions.len(), 7);
        for partition in 0..7 {
            assert_eq!(append(&broker, "spread", partition, 3), next + 2, "{cores} cores");
        }
        next += 3;
        // Journals of cores that are gone are gone, too.
        let journals = std::fs::read_dir(directory.data().join("journal")).unwrap().count();
        assert_eq!(journals.to_string(), cores);
        if life % 2 == 0 {
            broker.kill();
        } else {
            assert!(broker.stop().success());
        }
    }
}

#[test]
fn a_directory_or_port_in_use_is_said_so() {
    let directory = Directory::new();
    let broker = Broker::start(&directory.data(), &[]);
    let text = refused_start(&directory.data(), &[]);
    let expected = format!(
        "error: data directory {} is in use by process {}: stop that process, or choose another \
         directory with --data-dir\n",
        directory.data().display(),
        broker.pid()
    );
    assert_eq!(text, expected);
    let other = Directory::new();
    let address = broker.address.to_string();
    let text = refused_start(&other.data(), &["--listen", &address]);
    let expected = format!("error: cannot listen on {address}: ");
    assert!(text.starts_with(&expected), "{text}");
    assert!(text.contains("stop the program that has the port, or choose another"), "{text}");
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = listener.local_addr().unwrap().to_string();
    let text = refused_start(&other.data(), &["--metrics", &taken]);
    assert!(text.contains("choose another with --metrics"), "{text}");
}

#[test]
fn bad_settings_are_said_so() {
    let directory = Directory::new();
    let config = directory.0.join("broker.toml");
    std::fs::write(&config, "[journal]\nfile-bytes = 1\n").unwrap();
    let text = refused_start(&directory.data(), &["--config", config.to_str().unwrap()]);
    let expected = format!(
        "error: {}:2: file-bytes = 1: choose a number between 65536 and 1073741824\n",
        config.display()
    );
    assert_eq!(text, expected);
    let text = refused_start(&directory.data(), &["--listen", "0.0.0.0:0"]);
    assert!(text.contains("add --insecure if the network is yours alone"), "{text}");
    let text = refused_start(&directory.data(), &["--config", "/no/such/file"]);
    assert!(text.starts_with("error: cannot read /no/such/file: "), "{text}");
    // Nothing was made.
    assert!(!directory.data().exists());
}

#[test]
fn a_directory_that_cannot_be_written_is_said_so() {
    if nix::unistd::geteuid().is_root() {
        // Root may write anywhere; what it may not is a file in the place of a directory.
        let directory = Directory::new();
        let file = directory.0.join("file");
        std::fs::write(&file, "").unwrap();
        let text = refused_start(&file, &[]);
        assert!(text.contains("choose another with --data-dir"), "{text}");
        return;
    }
    let directory = Directory::new();
    std::fs::set_permissions(&directory.0, std::fs::Permissions::from_mode(0o500)).unwrap();
    let text = refused_start(&directory.data(), &[]);
    std::fs::set_permissions(&directory.0, std::fs::Permissions::from_mode(0o700)).unwrap();
    assert!(text.contains("choose another with --data-dir"), "{text}");
}

/// Deletions and checkpoints want the same files, and an end in good order wants nobody to come or go
/// any more.
#[test]
fn topics_come_and_go_during_checkpoints_and_at_the_end() {
    let directory = Directory::new();
    let config = directory.0.join("broker.toml");
    let text = "[topics]\npartitions = 30\n[journal]\ncheckpoint-interval-ms = 10\n";
    std::fs::write(&config, text).unwrap();
    let arguments = ["--cores", "2", "--config", config.to_str().unwrap()];
    let names = ["one", "two", "three"];
    for _ in 0..4 {
        let broker = Broker::start(&directory.data(), &arguments);
        let clients = names.map(|name| {
            let mut client = broker.connect();
            std::thread::spawn(move || come_and_go(&mut client, name))
        });
        std::thread::sleep(Duration::from_millis(700));
        assert!(broker.stop().success());
        for client in clients {
            assert!(client.join().is_err(), "it goes on until the broker ends");
        }
    }
    let broker = Broker::start(&directory.data(), &arguments);
    for name in names {
        assert_eq!(broker.connect().auto_create(name).topics[0].partitions.len(), 30);
        append(&broker, name, 29, 1);
    }
}

fn come_and_go(client: &mut support::Client, name: &'static str) {
    for n in 0.. {
        client.auto_create(name);
        for partition in 0..30 {
            let batch = batch(&[&[7; 5000]], now_ms(), ProducerStamp::NONE);
            client.send(9, &produce(name, partition, -1, batch));
        }
        for _ in 0..30 {
            client.receive::<wire::ProduceRequest>(9);
        }
        if n % 2 == 0 {
            let topic_names = vec![wire::Text::from_static(name)];
            client.call(5, &wire::DeleteTopicsRequest { topic_names, ..Default::default() });
        }
    }
}

/// A byte that has changed in the journal: what may have been lost with it is neither made up nor
/// cut away. The other core goes on.
#[test]
fn a_damaged_journal_is_only_read_and_nothing_is_removed() {
    let directory = Directory::new();
    let config = directory.0.join("broker.toml");
    std::fs::write(&config, "[topics]\npartitions = 6\n").unwrap();
    let arguments = ["--cores", "2", "--config", config.to_str().unwrap()];
    let broker = Broker::start(&directory.data(), &arguments);
    broker.connect().auto_create("spread");
    for partition in 0..6 {
        append(&broker, "spread", partition, 20);
    }
    broker.kill();
    let path = directory.data().join("journal/1/durable-0");
    let mut bytes = std::fs::read(&path).unwrap();
    // A commit is at least a block, so there are many behind this one.
    let written = bytes.chunks(4096).take_while(|block| block.iter().any(|b| *b != 0)).count();
    assert!(40 < written, "{written} blocks");
    bytes[written / 2 * 4096 + 100] ^= 1;
    std::fs::write(&path, bytes).unwrap();
    for _ in 0..2 {
        let broker = Broker::start(&directory.data(), &arguments);
        let mut client = broker.connect();
        let topic = client.auto_create("spread").topics.remove(0);
        assert_eq!(topic.partitions.len(), 6);
        let mut codes = Vec::new();
        for partition in 0..6 {
            let batch = batch(&[b"value"], now_ms(), ProducerStamp::NONE);
            let response = client.call(9, &produce("spread", partition, -1, batch));
            codes.push(response.responses[0].partition_responses[0].error_code);
        }
        let good = codes.iter().filter(|code| **code == ErrorCode::None).count();
        assert_eq!(good, 3, "{codes:?}");
        let refused = [ErrorCode::KafkaStorageError, ErrorCode::NotLeaderOrFollower];
        assert!(
            codes.iter().all(|code| *code == ErrorCode::None || refused.contains(code)),
            "{codes:?}"
        );
        broker.kill();
    }
    let text = refused_start(&directory.data(), &["--cores", "1"]);
    assert!(text.contains("journal 1 is damaged"), "{text}");
    assert!(text.contains("start with as many cores as before: --cores 2"), "{text}");
    // Without the journal of the metadata nothing is taken for garbage.
    std::fs::rename(directory.data().join("journal/0"), directory.0.join("kept")).unwrap();
    let text = refused_start(&directory.data(), &arguments);
    assert!(text.contains("none of the cluster's metadata"), "{text}");
}

fn fetch_all(client: &mut support::Client, topic: &'static str, partition: i32) -> Vec<Vec<u8>> {
    let partition = FetchPartition {
        partition: PartitionIndex(partition),
        partition_max_bytes: 1 << 20,
        ..Default::default()
    };
    let topic = Text::from_static(topic);
    let topics = vec![FetchTopic { topic, partitions: vec![partition], ..Default::default() }];
    let request = wire::FetchRequest { max_bytes: 1 << 20, topics, ..Default::default() };
    let data = client.call(12, &request).responses.remove(0).partitions.remove(0);
    assert_eq!(data.error_code, ErrorCode::None);
    let bytes = data.records.unwrap().contiguous().cloned().unwrap_or_default();
    let mut values = Vec::new();
    for batch in Batches::new(&bytes) {
        let (_, batch) = batch.unwrap();
        check_crc(batch).unwrap();
        let records = Records::read(batch).unwrap();
        values.extend(records.map(|record| record.unwrap().value.unwrap().to_vec()));
    }
    values
}

fn end_of(client: &mut support::Client, topic: &'static str, partition: i32) -> i64 {
    let partition = ListOffsetsPartition {
        partition_index: PartitionIndex(partition),
        timestamp: -1,
        ..Default::default()
    };
    let name = Text::from_static(topic);
    let topics = vec![ListOffsetsTopic { name, partitions: vec![partition] }];
    let request = wire::ListOffsetsRequest { topics, ..Default::default() };
    let found = client.call(7, &request).topics.remove(0).partitions.remove(0);
    assert_eq!(found.error_code, ErrorCode::None);
    found.offset.0
}

/// One flipped bit: the partitions that it may concern are read up to what is proven and take nothing
/// more, those of the other core are as they were, and the log and the metrics say so.
#[test]
fn with_a_flipped_bit_doubtful_partitions_are_read_and_the_others_are_served() {
    let directory = Directory::new();
    let config = directory.0.join("broker.toml");
    std::fs::write(&config, "[topics]\npartitions = 6\n").unwrap();
    let free = free_address();
    let arguments =
        ["--cores", "2", "--config", config.to_str().unwrap(), "--metrics", free.as_str()];
    let broker = Broker::start(&directory.data(), &arguments);
    let mut client = broker.connect();
    client.auto_create("spread");
    let value = |partition: i32, n: usize| format!("{partition}, {n}").into_bytes();
    let produce_one = |client: &mut support::Client, partition, n| {
        let batch = batch(&[&value(partition, n)], now_ms(), ProducerStamp::NONE);
        let response = client.call(9, &produce("spread", partition, -1, batch));
        response.responses[0].partition_responses[0].error_code
    };
    for n in 0..20 {
        for partition in 0..6 {
            assert_eq!(produce_one(&mut client, partition, n), ErrorCode::None);
        }
    }
    assert_eq!(metric(&get(&free, "/metrics"), "highwater_doubtful_partitions", ""), 0.0);
    broker.kill();
    let path = directory.data().join("journal/1/durable-0");
    let mut bytes = std::fs::read(&path).unwrap();
    let written = bytes.chunks(4096).take_while(|block| block.iter().any(|b| *b != 0)).count();
    bytes[written / 2 * 4096 + 200] ^= 1;
    std::fs::write(&path, bytes).unwrap();
    for life in 0..2 {
        let said = directory.0.join("said");
        let mut command = support::command(&directory.data(), &arguments);
        let broker = Broker::start_with(command.stderr(std::fs::File::create(&said).unwrap()));
        let mut client = broker.connect();
        let mut doubtful_count = 0;
        for partition in 0..6 {
            let values = fetch_all(&mut client, "spread", partition);
            assert!((0..).zip(&values).all(|(n, found)| *found == value(partition, n)));
            let end = usize::try_from(end_of(&mut client, "spread", partition)).unwrap();
            assert_eq!(values.len(), end);
            match produce_one(&mut client, partition, end) {
                ErrorCode::None => {
                    assert_eq!(end, 20 + life, "{partition}");
                    assert_eq!(fetch_all(&mut client, "spread", partition).len(), end + 1);
                }
                code => {
                    assert_eq!(code, ErrorCode::KafkaStorageError, "{partition}");
                    assert!(0 < end && end < 20, "{partition}: {end}");
                    doubtful_count += 1;
                }
            }
        }
        assert_eq!(doubtful_count, 3);
        let text = get(&free, "/metrics");
        assert_eq!(metric(&text, "highwater_doubtful_partitions", "core=\"0\""), 0.0);
        assert_eq!(metric(&text, "highwater_doubtful_partitions", "core=\"1\""), 3.0);
        let said = std::fs::read_to_string(said).unwrap();
        assert!(said.contains("a journal is damaged and only read"), "{said}");
        assert!(said.contains("journal/1/durable-0"), "{said}");
        broker.kill();
    }
}

#[test]
fn a_kernel_that_forbids_io_uring_is_said_so() {
    let directory = Directory::new();
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/without_io_uring.py");
    let broker = support::command(&directory.data(), &[]);
    let mut command = std::process::Command::new("python3");
    command.arg(script).arg(broker.get_program()).args(broker.get_args());
    let output = match command.output() {
        Ok(output) => output,
        Err(error) => {
            let text = format!("SKIPPED: python3 cannot be run: {error}");
            assert!(std::env::var("CI").as_deref() != Ok("true"), "{text}");
            return writeln!(std::io::stderr(), "{text}").unwrap();
        }
    };
    let text = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(text.starts_with("error: io_uring is not allowed here"), "{text}");
    assert!(text.contains("kernel.io_uring_disabled"), "{text}");
}

/// Through the page cache, and with flushes of their own: for file systems and devices that want it.
#[test]
fn the_other_ways_to_write_keep_what_was_acknowledged() {
    let directory = Directory::new();
    let config = directory.0.join("broker.toml");
    for (life, text) in
        ["direct = false", "flush-apart = true", "direct = false\nflush-apart = true"]
            .into_iter()
            .enumerate()
    {
        std::fs::write(&config, format!("[journal]\n{text}\n")).unwrap();
        let arguments = ["--cores", "2", "--config", config.to_str().unwrap()];
        let broker = Broker::start(&directory.data(), &arguments);
        broker.connect().auto_create("kept");
        let last = i64::try_from(life).unwrap() * 50 + 49;
        assert_eq!(append(&broker, "kept", 0, 50), last, "{text}");
        broker.kill();
    }
}

#[test]
fn metrics_are_text_for_prometheus() {
    let directory = Directory::new();
    let free = free_address();
    let broker = Broker::start(&directory.data(), &["--cores", "2", "--metrics", &free]);
    broker.connect().auto_create("counted");
    append(&broker, "counted", 0, 10);
    let text = get(&free, "/metrics");
    assert!(text.starts_with("HTTP/1.1 200 OK\r\n"), "{text}");
    let sum = |name: &str, label: &str| metric(&text, name, label);
    // Ten appends, one after the other, each in a commit and flush of its own.
    assert!(10.0 <= sum("highwater_journal_commit_records_total", "durable"));
    assert!(10.0 <= sum("highwater_journal_commits_total", "durable"));
    assert!(10.0 <= sum("highwater_journal_flushes_total", ""));
    assert!(10.0 <= sum("highwater_journal_commit_seconds_count", "durable"));
    assert!(0.0 < sum("highwater_journal_commit_seconds_sum", "durable"));
    assert_eq!(sum("highwater_partition_log_end_offset", "topic=\"counted\""), 10.0);
    assert!(0.0 < sum("highwater_partition_busy_seconds_total", "counted"));
    assert_eq!(sum("highwater_topic_durability", "level=\"durable\""), 1.0);
    assert_eq!(sum("highwater_requests_total", "api=\"Produce\""), 10.0);
    // Every line is a comment, or a name with labels and a number.
    let body = text.split_once("\r\n\r\n").unwrap().1;
    for line in body.lines().filter(|line| !line.starts_with('#')) {
        let (name, value) = line.rsplit_once(' ').unwrap();
        assert!(name.starts_with("highwater_") && value.parse::<f64>().is_ok(), "{line}");
    }
    assert!(get(&free, "/").starts_with("HTTP/1.1 404"));
}
