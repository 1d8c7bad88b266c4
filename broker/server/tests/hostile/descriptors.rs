//! A broker whose descriptors are used up.

use std::process::Command;
use std::time::{Duration, Instant};

use model::record_batch::ProducerStamp;
use wire::create_topics::{CreatableTopic, CreatableTopicConfig};
use wire::{CreateTopicsRequest, ErrorCode, Text};

use crate::crowds::descriptors_count;
use crate::machine::say;
use crate::support::{Broker, Client, Directory, batch, command, now_ms, produce};

const DESCRIPTORS_MAX: usize = 300;

/// As `command`, with so many descriptors.
fn with_few_descriptors(directory: &Directory) -> Command {
    let broker = command(&directory.data(), &["--cores", "2"]);
    let mut limited = Command::new("sh");
    let script = format!("ulimit -n {DESCRIPTORS_MAX} && exec \"$@\"");
    limited.args(["-c", &script, "sh"]).arg(broker.get_program()).args(broker.get_args());
    limited
}

/// Sends until a segment has been rolled several times.
fn roll_segments(client: &mut Client) {
    let batch = batch(&[&[7; 30_000]], now_ms(), ProducerStamp::NONE);
    for _ in 0..40 {
        let response = client.call(9, &produce("rolling", 0, -1, batch.clone()));
        let partition = &response.responses[0].partition_responses[0];
        assert_eq!(partition.error_code, ErrorCode::None, "{:?}", partition.error_message);
    }
}

#[test]
fn h14_connections_leave_descriptors_for_files_and_there_is_room_again_when_they_go() {
    let directory = Directory::new();
    let broker = Broker::start_with(&mut with_few_descriptors(&directory));
    let mut client = broker.connect();
    let segment = CreatableTopicConfig {
        name: Text::from_static("segment.bytes"),
        value: Some(Text::from_static("65536")),
    };
    let size = CreatableTopicConfig {
        name: Text::from_static("max.message.bytes"),
        value: Some(Text::from_static("40000")),
    };
    let topic = CreatableTopic {
        name: Text::from_static("rolling"),
        num_partitions: 1,
        replication_factor: 1,
        configs: vec![segment, size],
        ..Default::default()
    };
    let request = CreateTopicsRequest { topics: vec![topic], ..Default::default() };
    assert_eq!(client.call(7, &request).topics[0].error_code, ErrorCode::None);
    roll_segments(&mut client);

    // More than there can be. Those that are too many are closed, and nobody is told anything else.
    let mut crowd: Vec<Client> = (0..400).map(|_| broker.connect()).collect();
    let refused = crowd.iter_mut().filter_map(|client| is_refused(client).then_some(())).count();
    let used = descriptors_count(&broker);
    say(&format!("{refused} of 400 connections refused, {used} of {DESCRIPTORS_MAX} descriptors"));
    assert!(0 < refused && refused < 400, "{refused}");
    assert!(used <= DESCRIPTORS_MAX - 64 + 4, "{used}");

    // Who was there before is served, segments are rolled, and a topic is made.
    roll_segments(&mut client);
    client.auto_create("new");
    let batch = batch(&[b"v"], now_ms(), ProducerStamp::NONE);
    let response = client.call(9, &produce("new", 0, -1, batch));
    assert_eq!(response.responses[0].partition_responses[0].error_code, ErrorCode::None);

    drop(crowd);
    let deadline = Instant::now() + Duration::from_secs(5);
    loop {
        let mut later = broker.connect();
        if !is_refused(&mut later) {
            roll_segments(&mut later);
            break;
        }
        assert!(Instant::now() < deadline, "nobody is let in again");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Whether the broker has closed it; ApiVersions 0 finds out.
fn is_refused(client: &mut Client) -> bool {
    use std::io::Write;
    let hello = crate::tables::frame(&crate::tables::header(18, 0, &crate::tables::NO_CLIENT_ID));
    client.stream.write_all(&hello).is_err() || client.try_receive_frame().unwrap().is_none()
}
