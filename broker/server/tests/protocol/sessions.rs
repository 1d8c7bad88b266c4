//! Fetch sessions (KIP-227).

use std::time::{Duration, Instant};

use model::{Offset, PartitionIndex, TopicId};
use wire::create_topics::CreatableTopic;
use wire::delete_topics::DeleteTopicState;
use wire::fetch::{FetchPartition, FetchTopic, ForgottenTopic};
use wire::{DeleteTopicsRequest, ErrorCode, FetchRequest, FetchResponse, Text};

use crate::fetch::{append, bytes_of, id_of};
use crate::support::{Broker, Client, Directory, free_address, get, metric};
use crate::topics::{create, new_topic};

/// Names of topics until version 12, ids from 13 on.
const VERSION: i16 = 12;
const IDS_VERSION: i16 = 13;

fn broker_with(topics: &[(&'static str, i32)], config: &str) -> (Directory, Broker, Client) {
    let directory = Directory::new();
    let path = directory.0.join("broker.toml");
    std::fs::write(&path, config).unwrap();
    let arguments = ["--cores", "1", "--config", path.to_str().unwrap()];
    let broker = Broker::start(&directory.data(), &arguments);
    let mut client = broker.connect();
    let new = topics
        .iter()
        .map(|(name, num_partitions)| CreatableTopic {
            num_partitions: *num_partitions,
            ..new_topic(name)
        })
        .collect();
    client.call(7, &create(new));
    (directory, broker, client)
}

fn wanted(partition: i32, offset: i64) -> FetchPartition {
    FetchPartition {
        partition: PartitionIndex(partition),
        fetch_offset: Offset(offset),
        partition_max_bytes: 1 << 20,
        ..Default::default()
    }
}

fn of_topic(name: &'static str, partitions: &[(i32, i64)]) -> FetchTopic {
    FetchTopic {
        topic: Text::from_static(name),
        partitions: partitions.iter().map(|(index, offset)| wanted(*index, *offset)).collect(),
        ..Default::default()
    }
}

fn request(session_id: i32, session_epoch: i32, topics: Vec<FetchTopic>) -> FetchRequest {
    FetchRequest {
        max_wait_ms: 0,
        min_bytes: 1,
        max_bytes: 50 << 20,
        session_id,
        session_epoch,
        topics,
        ..Default::default()
    }
}

/// What is told of partitions: `t-1` with records as `t-1*`, with an error as `t-1!3`.
fn shown(response: &FetchResponse) -> String {
    assert_eq!(response.error_code, ErrorCode::None);
    let mut told = Vec::new();
    for topic in &response.responses {
        for data in &topic.partitions {
            let mark = match (data.error_code, bytes_of(data).is_empty()) {
                (ErrorCode::None, true) => String::new(),
                (ErrorCode::None, false) => "*".to_owned(),
                (error, _) => format!("!{}", error.code()),
            };
            told.push(format!("{}-{}{mark}", topic.topic, data.partition_index.0));
        }
    }
    told.join(" ")
}

#[test]
fn f5_a_session_remembers_what_is_fetched_and_tells_what_has_changed() {
    let (_directory, _broker, mut client) = broker_with(&[("t", 3), ("u", 1)], "");
    append(&mut client, "t", 0, &[b"0"]);
    let all = vec![of_topic("t", &[(0, 0), (1, 0), (2, 0)]), of_topic("u", &[(0, 0)])];
    // Who begins a session is told everything.
    let first = client.call(VERSION, &request(0, 0, all));
    assert_eq!(shown(&first), "t-0* t-1 t-2 u-0");
    let id = first.session_id;
    assert!(0 < id);
    // What was not taken is told again; of the others nothing has changed.
    let mut epoch = 0;
    let mut fetch = |client: &mut Client, topics, forgotten: &[(&'static str, i32)]| {
        epoch += 1;
        let forgotten = forgotten.iter().map(|(topic, partition)| ForgottenTopic {
            topic: Text::from_static(topic),
            partitions: vec![PartitionIndex(*partition)],
            ..Default::default()
        });
        let request = FetchRequest {
            forgotten_topics_data: forgotten.collect(),
            ..request(id, epoch, topics)
        };
        let response = client.call(VERSION, &request);
        assert_eq!(response.session_id, id);
        shown(&response)
    };
    assert_eq!(fetch(&mut client, vec![], &[]), "t-0*");
    assert_eq!(fetch(&mut client, vec![of_topic("t", &[(0, 1)])], &[]), "");
    append(&mut client, "t", 2, &[b"0"]);
    append(&mut client, "u", 0, &[b"0"]);
    assert_eq!(fetch(&mut client, vec![], &[]), "t-2* u-0*");
    assert_eq!(
        fetch(&mut client, vec![of_topic("t", &[(2, 1)]), of_topic("u", &[(0, 1)])], &[]),
        ""
    );
    // A partition that is not there is told until it is there or forgotten.
    assert_eq!(fetch(&mut client, vec![of_topic("t", &[(7, 0)])], &[]), "t-7!3");
    assert_eq!(fetch(&mut client, vec![], &[]), "t-7!3");
    assert_eq!(fetch(&mut client, vec![], &[("t", 7), ("t", 0)]), "");
    append(&mut client, "t", 0, &[b"1"]);
    append(&mut client, "t", 1, &[b"0"]);
    assert_eq!(fetch(&mut client, vec![], &[]), "t-1*");
    // What is asked for anew is told, changed or not.
    assert_eq!(fetch(&mut client, vec![of_topic("t", &[(1, 1), (0, 2)])], &[]), "t-0");
}

#[test]
fn f5_a_fetch_waits_for_all_partitions_of_its_session() {
    let (_directory, broker, mut client) = broker_with(&[("t", 2)], "");
    let first = request(0, 0, vec![of_topic("t", &[(0, 0), (1, 0)])]);
    let id = client.call(VERSION, &first).session_id;
    let waiting = FetchRequest { max_wait_ms: 300, ..request(id, 1, vec![]) };
    let since = Instant::now();
    assert_eq!(shown(&client.call(VERSION, &waiting)), "");
    assert!(Duration::from_millis(300) <= since.elapsed());
    let waiting = FetchRequest { max_wait_ms: 20_000, ..request(id, 2, vec![]) };
    client.send(VERSION, &waiting);
    std::thread::sleep(Duration::from_millis(20));
    append(&mut broker.connect(), "t", 1, &[b"v"]);
    let since = Instant::now();
    let (_, response) = client.receive::<FetchRequest>(VERSION);
    assert!(since.elapsed() < Duration::from_secs(10), "woken, not timed out");
    assert_eq!(shown(&response), "t-1*");
}

#[test]
fn f5_sessions_are_made_and_ended_as_the_epoch_says() {
    let (_directory, broker, mut client) = broker_with(&[("t", 1)], "");
    let all = || vec![of_topic("t", &[(0, 0)])];
    let code = |client: &mut Client, version, id, epoch| {
        let response = client.call(version, &request(id, epoch, vec![]));
        assert!(response.responses.is_empty());
        (response.error_code, response.session_id)
    };
    // Without one.
    assert_eq!(client.call(VERSION, &request(0, -1, all())).session_id, 0);
    for version in 4..7 {
        assert_eq!(client.call(version, &request(0, -1, all())).session_id, 0);
    }
    // Any connection of the core may go on with it.
    let id = client.call(VERSION, &request(0, 0, all())).session_id;
    let mut other = broker.connect();
    assert_eq!(code(&mut other, VERSION, id, 1), (ErrorCode::None, id));
    assert_eq!(code(&mut client, VERSION, id, 1), (ErrorCode::InvalidFetchSessionEpoch, 0));
    assert_eq!(code(&mut client, VERSION, id, 3), (ErrorCode::InvalidFetchSessionEpoch, 0));
    assert_eq!(code(&mut client, IDS_VERSION, id, 2), (ErrorCode::FetchSessionTopicIdError, 0));
    assert_eq!(code(&mut client, VERSION, id, 2), (ErrorCode::None, id));
    // Begun anew, the old one is gone.
    let anew = client.call(VERSION, &request(id, 0, all())).session_id;
    assert!(anew != id && 0 < anew);
    assert_eq!(code(&mut client, VERSION, id, 3), (ErrorCode::FetchSessionIdNotFound, 0));
    assert_eq!(code(&mut client, VERSION, anew, 1), (ErrorCode::None, anew));
    // Ended.
    assert_eq!(code(&mut client, VERSION, anew, -1), (ErrorCode::None, 0));
    assert_eq!(code(&mut client, VERSION, anew, 2), (ErrorCode::FetchSessionIdNotFound, 0));
    // With its last partition it ends too.
    let id = client.call(VERSION, &request(0, 0, all())).session_id;
    let forget = FetchRequest {
        forgotten_topics_data: vec![ForgottenTopic {
            topic: Text::from_static("t"),
            partitions: vec![PartitionIndex(0)],
            ..Default::default()
        }],
        ..request(id, 1, vec![])
    };
    assert_eq!(client.call(VERSION, &forget).session_id, 0);
    assert_eq!(code(&mut client, VERSION, id, 2), (ErrorCode::FetchSessionIdNotFound, 0));
}

#[test]
fn f5_a_request_that_is_overtaken_in_its_session_is_refused_at_once() {
    let (_directory, broker, mut client) = broker_with(&[("t", 1)], "");
    let id = client.call(VERSION, &request(0, 0, vec![of_topic("t", &[(0, 0)])])).session_id;
    client.send(VERSION, &FetchRequest { max_wait_ms: 15_000, ..request(id, 1, vec![]) });
    std::thread::sleep(Duration::from_millis(50));
    let since = Instant::now();
    let mut other = broker.connect();
    assert_eq!(shown(&other.call(VERSION, &request(id, 2, vec![]))), "");
    let (_, overtaken) = client.receive::<FetchRequest>(VERSION);
    assert_eq!(overtaken.error_code, ErrorCode::InvalidFetchSessionEpoch);
    assert!(since.elapsed() < Duration::from_secs(10), "it does not wait any more");
}

#[test]
fn f5_topics_of_a_session_may_be_named_by_their_ids() {
    let (_directory, _broker, mut client) = broker_with(&[("t", 1), ("gone", 1)], "");
    let ids = [id_of(&mut client, "t"), id_of(&mut client, "gone"), TopicId::from_random(5)];
    let topics = ids.map(|topic_id| FetchTopic {
        topic_id,
        partitions: vec![wanted(0, 0)],
        ..Default::default()
    });
    let codes = |response: &FetchResponse| -> Vec<(TopicId, ErrorCode)> {
        let topics = response.responses.iter();
        topics.map(|topic| (topic.topic_id, topic.partitions[0].error_code)).collect()
    };
    let first = client.call(IDS_VERSION, &request(0, 0, topics.to_vec()));
    let unknown = (ids[2], ErrorCode::UnknownTopicId);
    assert_eq!(codes(&first), [(ids[0], ErrorCode::None), (ids[1], ErrorCode::None), unknown]);
    let id = first.session_id;
    assert_eq!(codes(&client.call(17, &request(id, 1, vec![]))), [unknown]);
    let state = DeleteTopicState { topic_id: ids[1], ..Default::default() };
    client.call(6, &DeleteTopicsRequest { topics: vec![state], ..Default::default() });
    let gone = (ids[1], ErrorCode::UnknownTopicId);
    assert_eq!(codes(&client.call(IDS_VERSION, &request(id, 2, vec![]))), [gone, unknown]);
    let by_name = client.call(VERSION, &request(id, 3, vec![]));
    assert_eq!(by_name.error_code, ErrorCode::FetchSessionTopicIdError);
}

/// Each answer has room for one batch: partitions take turns.
#[test]
fn f5_partitions_that_were_answered_with_records_go_to_the_end() {
    let (_directory, _broker, mut client) = broker_with(&[("t", 4)], "");
    for partition in [0, 1, 3] {
        for _ in 0..3 {
            append(&mut client, "t", partition, &[&[7; 1000]]);
        }
    }
    let small = |request: FetchRequest| FetchRequest { max_bytes: 1, ..request };
    let all = of_topic("t", &[(0, 0), (1, 0), (2, 0), (3, 0)]);
    let first = client.call(VERSION, &small(request(0, 0, vec![all])));
    assert_eq!(shown(&first), "t-0* t-1 t-2 t-3");
    let mut next = vec![of_topic("t", &[(0, 1)])];
    let mut offsets = [1, 0, 0, 0];
    let mut turns = Vec::new();
    for epoch in 1..=8 {
        let response = client.call(VERSION, &small(request(first.session_id, epoch, next)));
        let told = shown(&response);
        let partition = told.trim_start_matches("t-").trim_end_matches('*').parse().unwrap();
        let index = usize::try_from(partition).unwrap();
        offsets[index] += 1;
        turns.push(partition);
        next = vec![of_topic("t", &[(partition, offsets[index])])];
    }
    // The first answer has made no turns: it was a full one.
    assert_eq!(turns, [0, 1, 3, 0, 1, 3, 1, 3]);
}

#[test]
fn f5_sessions_are_bounded_and_old_ones_make_room() {
    let metrics = free_address();
    let config = format!(
        "[broker]\nmetrics = \"{metrics}\"\n[fetch-sessions]\nsessions-max = 2\n\
         session-partitions-max = 3\neviction-ms = 2000\n"
    );
    let (_directory, _broker, mut client) = broker_with(&[("t", 4)], &config);
    let begin = |client: &mut Client, partitions: &[(i32, i64)]| {
        let response = client.call(VERSION, &request(0, 0, vec![of_topic("t", partitions)]));
        assert_eq!(response.error_code, ErrorCode::None);
        assert_eq!(response.responses[0].partitions.len(), partitions.len());
        response.session_id
    };
    let counts = || {
        let text = get(&metrics, "/metrics");
        ["fetch_sessions", "fetch_session_partitions", "fetch_session_evictions_total"]
            .map(|name| metric(&text, &format!("highwater_{name}"), ""))
    };
    assert_eq!(begin(&mut client, &[(0, 0), (1, 0), (2, 0), (3, 0)]), 0);
    let first = begin(&mut client, &[(0, 0)]);
    let second = begin(&mut client, &[(0, 0), (1, 0)]);
    assert!(first != 0 && second != 0 && first != second);
    assert_eq!(begin(&mut client, &[(0, 0)]), 0);
    assert_eq!(counts(), [2.0, 3.0, 0.0]);
    // The second grows, and there is no room for it.
    let more = request(second, 1, vec![of_topic("t", &[(2, 0)])]);
    let refused = client.call(VERSION, &more).error_code;
    assert_eq!(refused, ErrorCode::FetchSessionIdNotFound);
    assert_eq!(counts(), [1.0, 1.0, 1.0]);
    std::thread::sleep(Duration::from_millis(2100));
    let third = begin(&mut client, &[(0, 0), (1, 0), (2, 0)]);
    assert!(third != 0);
    assert_eq!(counts(), [1.0, 3.0, 2.0]);
    let gone = client.call(VERSION, &request(first, 1, vec![])).error_code;
    assert_eq!(gone, ErrorCode::FetchSessionIdNotFound);
    assert_eq!(shown(&client.call(VERSION, &request(third, 1, vec![]))), "");
    let text = get(&metrics, "/metrics");
    assert_eq!(metric(&text, "highwater_incremental_fetches_total", ""), 1.0);
}

/// A session lives on the core of the connection that made it; the others do not know it, and the
/// client begins anew.
#[test]
fn f16_a_session_belongs_to_the_core_on_which_it_was_made() {
    let directory = Directory::new();
    let broker = Broker::start(&directory.data(), &["--cores", "2"]);
    broker.connect().auto_create("t");
    // The kernel spreads connections over the cores; ids tell which one it was.
    let mut known = vec![0; 2];
    let mut clients: Vec<(i32, Client)> = (0..40)
        .map(|_| {
            let mut client = broker.connect();
            let all = vec![of_topic("t", &[(0, 0)])];
            let id = client.call(VERSION, &request(0, 0, all)).session_id;
            assert!(0 < id);
            (id, client)
        })
        .collect();
    let ids: Vec<i32> = clients.iter().map(|(id, _)| *id).collect();
    for (own, client) in &mut clients {
        for id in &ids {
            // Of an epoch that it does not have, so that nothing is changed.
            let code = client.call(VERSION, &request(*id, 77, vec![])).error_code;
            let is_here = id % 2 == *own % 2;
            known[usize::from(is_here)] += 1;
            assert_eq!(
                code,
                match is_here {
                    true => ErrorCode::InvalidFetchSessionEpoch,
                    false => ErrorCode::FetchSessionIdNotFound,
                }
            );
        }
    }
    assert!(known.iter().all(|count| 0 < *count), "{known:?}");
}
