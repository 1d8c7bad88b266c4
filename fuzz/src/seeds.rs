//! Inputs to begin with: what clients and the broker itself would write. The corpus has more, which
//! libFuzzer has found, and pieces of the files of a broker.

use std::io::Write;

use bytes::Bytes;
use coordinator::group::{
    ClassicMember, ClassicMemberMetadata, ClassicMetadata, ClientInfo, CommittedOffset,
    ConsumerRecord, CurrentAssignment, GroupRecord, MemberMetadata, Partitions,
};
use coordinator::{CONFIGS, ClusterRecord};
use model::record_batch::{
    BatchBuilder, Compression, HEADER_SIZE_BYTES, NewRecord, ProducerStamp, RecordHeader,
    set_max_timestamp,
};
use model::{
    BrokerId, LeaderEpoch, NodeId, Offset, PartitionIndex, ProducerEpoch, ProducerId, Timestamp,
    TopicId,
};
use replication::Membership;
use wire::create_topics::{CreatableTopic, CreatableTopicConfig};
use wire::describe_configs::{DescribeConfigsResource, DescribeConfigsResult};
use wire::fetch::{FetchPartition, FetchTopic, FetchableTopicResponse, PartitionData};
use wire::list_offsets::{ListOffsetsPartition, ListOffsetsTopic};
use wire::metadata::{MetadataRequestTopic, MetadataResponseTopic};
use wire::produce::{PartitionProduceData, TopicProduceData, TopicProduceResponse};
use wire::{
    ApiKey, ApiVersionsRequest, CreateTopicsRequest, DeleteTopicsRequest, DescribeConfigsRequest,
    DescribeConfigsResponse, FRAME_PREFIX_SIZE_BYTES, FetchRequest, FetchResponse, Frame,
    ListOffsetsRequest, MetadataRequest, MetadataResponse, ProduceRequest, ProduceResponse,
    Records, Request, Response, Text,
};

const FILE: &str = include_str!("../../broker/server/highwater.toml");

/// Inputs of a target that can be made up; of what only a broker's files have, none.
pub fn of(target: &str) -> Vec<Vec<u8>> {
    match target {
        "request" => requests(),
        "response" => responses(),
        "batch" => batches(),
        "gzip" => texts().map(|text| gzip(&text)).to_vec(),
        "snappy" => texts().map(|text| snappy(&text)).to_vec(),
        "xerial" => texts().map(|text| xerial(&text)).to_vec(),
        "lz4" => texts().iter().flat_map(|text| lz4(text)).collect(),
        "zstd" => texts().map(|text| zstd(&text)).to_vec(),
        "index" => vec![index()],
        "applied" => vec![applied()],
        "producers" => vec![producers()],
        "membership" => vec![membership()],
        "cluster" => vec![cluster()],
        "groups" => vec![groups()],
        "topic-configs" => topic_configs(),
        "config" => config(),
        _ => Vec::new(),
    }
}

/// Every API at every version: what is made up for some of them, and what may be the beginning of
/// something for all.
fn requests() -> Vec<Vec<u8>> {
    let mut seeds = Vec::new();
    for api in ApiKey::ALL {
        let versions = api.versions();
        for version in versions.min..=versions.max {
            for fill in [0, 1] {
                let header = [api.code().to_be_bytes(), version.to_be_bytes()].concat();
                seeds.push([&header, &[0, 0, 0, 1, 0xff, 0xff][..], &[fill; 40]].concat());
            }
            let filled = filled_requests().into_iter().filter(|request| request.api_key() == *api);
            let client_id = Some(Text::from_static("client"));
            let frames = filled.filter_map(|it| it.encode(version, 7, client_id.clone()).ok());
            seeds.extend(frames.map(|frame| bytes_of(&frame)));
        }
    }
    seeds
}

fn bytes_of(frame: &Frame) -> Vec<u8> {
    let frame = frame.contiguous().expect("nothing is external");
    frame[FRAME_PREFIX_SIZE_BYTES..].to_vec()
}

fn filled_requests() -> Vec<Request> {
    let name = Text::from_static("topic");
    let partition_data =
        vec![PartitionProduceData { records: Some(plain_batch()), ..Default::default() }];
    let topic_data = vec![TopicProduceData { name: name.clone(), partition_data }];
    let partitions = vec![FetchPartition::default(); 2];
    let fetch = FetchTopic { topic: name.clone(), partitions, ..Default::default() };
    let partitions = vec![ListOffsetsPartition { timestamp: -1, ..Default::default() }];
    let offsets = ListOffsetsTopic { name: name.clone(), partitions };
    let asked = MetadataRequestTopic { name: Some(name.clone()), ..Default::default() };
    let config = CreatableTopicConfig {
        name: Text::from_static("flush.messages"),
        value: Some(Text::from_static("1")),
    };
    let created = CreatableTopic {
        name: name.clone(),
        num_partitions: 3,
        replication_factor: 1,
        configs: vec![config],
        ..Default::default()
    };
    let described = DescribeConfigsResource {
        resource_type: 2,
        resource_name: name.clone(),
        configuration_keys: Some(vec![name.clone()]),
    };
    vec![
        ProduceRequest { topic_data, acks: -1, ..Default::default() }.into(),
        FetchRequest { topics: vec![fetch], ..Default::default() }.into(),
        ListOffsetsRequest { topics: vec![offsets], ..Default::default() }.into(),
        MetadataRequest { topics: Some(vec![asked]), ..Default::default() }.into(),
        ApiVersionsRequest {
            client_software_name: Text::from_static("software"),
            client_software_version: Text::from_static("1.0"),
        }
        .into(),
        CreateTopicsRequest { topics: vec![created], ..Default::default() }.into(),
        DeleteTopicsRequest { topic_names: vec![name], ..Default::default() }.into(),
        DescribeConfigsRequest { resources: vec![described], ..Default::default() }.into(),
    ]
}

fn responses() -> Vec<Vec<u8>> {
    let mut seeds = Vec::new();
    for (index, api) in (0..).zip(ApiKey::ALL) {
        let versions = api.versions();
        for (place, version) in (0..).zip(versions.min..=versions.max) {
            for fill in [0, 1] {
                seeds.push([&[index, place, 0, 0, 0, 1][..], &[fill; 60]].concat());
            }
            let filled = filled_responses().into_iter().filter(|it| it.api_key() == *api);
            let frames = filled.filter_map(|response| response.encode(version, 7).ok());
            seeds.extend(frames.map(|frame| [&[index, place][..], &bytes_of(&frame)].concat()));
        }
    }
    seeds
}

fn filled_responses() -> Vec<Response> {
    let partition_responses = vec![Default::default(); 2];
    let produced = TopicProduceResponse { partition_responses, ..Default::default() };
    let records = Some(Records::from(plain_batch()));
    let partitions = vec![PartitionData { records, ..Default::default() }];
    let fetched = FetchableTopicResponse { partitions, ..Default::default() };
    let partitions = vec![Default::default(); 2];
    let topic = MetadataResponseTopic { partitions, ..Default::default() };
    let configs = vec![Default::default(); 2];
    let described = DescribeConfigsResult { configs, ..Default::default() };
    vec![
        ProduceResponse { responses: vec![produced], ..Default::default() }.into(),
        FetchResponse { responses: vec![fetched], ..Default::default() }.into(),
        MetadataResponse { topics: vec![topic], ..Default::default() }.into(),
        DescribeConfigsResponse { results: vec![described], ..Default::default() }.into(),
    ]
}

fn plain_batch() -> Bytes {
    let headers = [RecordHeader { key: b"header", value: Some(b"1") }];
    let mut builder = BatchBuilder::new();
    for n in 0..5_u8 {
        let value = [n; 40];
        builder.push(&NewRecord {
            timestamp: Timestamp(1_700_000_000_000 + i64::from(n)),
            key: (n % 2 == 0).then_some(b"key"),
            value: (n != 3).then_some(&value[..]),
            headers: if n == 1 { &headers } else { &[] },
        });
    }
    let stamp = ProducerStamp {
        producer_id: ProducerId(7),
        producer_epoch: ProducerEpoch(1),
        base_sequence: 5,
        ..ProducerStamp::NONE
    };
    Bytes::from(builder.finish(stamp))
}

fn batches() -> Vec<Vec<u8>> {
    let plain = plain_batch();
    let records = &plain[HEADER_SIZE_BYTES..];
    let with = |compression: Compression, records: &[u8]| {
        let mut batch = [&plain[..HEADER_SIZE_BYTES], records].concat();
        let length = i32::try_from(batch.len() - 12).expect("small");
        batch[8..12].copy_from_slice(&length.to_be_bytes());
        batch[22] |= compression as u8;
        set_max_timestamp(&mut batch, Timestamp(1_700_000_000_004));
        batch
    };
    let [lz4, ..] = lz4(records);
    vec![
        plain.to_vec(),
        [&plain[..], &plain[..]].concat(),
        with(Compression::Gzip, &gzip(records)),
        with(Compression::Snappy, &snappy(records)),
        with(Compression::Lz4, &lz4),
        with(Compression::Zstd, &zstd(records)),
    ]
}

fn texts() -> [Vec<u8>; 4] {
    let words = b"one word after another, and then again one word after another; ".repeat(40);
    let noise = (0..300_u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 24).to_le_bytes()[0]);
    [Vec::new(), b"a".to_vec(), words, noise.collect()]
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let level = flate2::Compression::default();
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), level);
    encoder.write_all(bytes).and_then(|()| encoder.finish()).expect("memory takes everything")
}

fn snappy(bytes: &[u8]) -> Vec<u8> {
    snap::raw::Encoder::new().compress_vec(bytes).expect("it is short")
}

/// Without the magic, which the target adds.
fn xerial(bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    for block in bytes.chunks(500) {
        let block = snappy(block);
        out.extend(i32::try_from(block.len()).expect("it is short").to_be_bytes());
        out.extend(block);
    }
    out
}

/// In the least that a frame may say, and in the most.
fn lz4(bytes: &[u8]) -> [Vec<u8>; 2] {
    use lz4_flex::frame::{BlockMode, FrameEncoder, FrameInfo};
    let least = FrameInfo::new().block_mode(BlockMode::Independent);
    let most = least
        .clone()
        .block_checksums(true)
        .content_checksum(true)
        .content_size(Some(bytes.len() as u64));
    [least, most].map(|info| {
        let mut encoder = FrameEncoder::with_frame_info(info, Vec::new());
        encoder.write_all(bytes).expect("memory takes everything");
        encoder.finish().expect("memory takes everything")
    })
}

fn zstd(bytes: &[u8]) -> Vec<u8> {
    let mut out = vec![0; zstd_safe::compress_bound(bytes.len())];
    let size = zstd_safe::compress(&mut out[..], bytes, 3).expect("there is room");
    out.truncate(size);
    out
}

/// Two points. The target makes the checksum right.
fn index() -> Vec<u8> {
    let numbers = [0_i64, 9000, 1_700_000_000_000, 7, 0, 0, -1, 9, 5000, 1_700_000_000_000];
    [&b"HWINDEX\0"[..], &[0, 0, 0, 0, 1, 0, 0, 0], &numbers.map(i64::to_le_bytes).concat()].concat()
}

fn applied() -> Vec<u8> {
    [&b"HWAPPLY\0"[..], &[0, 0, 0, 0, 1, 0, 0, 0], &producers()].concat()
}

/// Two producers, of one and of two batches.
fn producers() -> Vec<u8> {
    let batch = |n: i32| {
        let offset = i64::from(n) * 10;
        let sequences = [n.to_le_bytes(), (n + 9).to_le_bytes()].concat();
        let offsets = [offset, offset + 10, 1_700_000_000_000].map(i64::to_le_bytes).concat();
        [sequences, offsets].concat()
    };
    let producer = |id: i64, count: u8| {
        let head = [&id.to_le_bytes()[..], &[0, 0], &[0; 8], &[count]].concat();
        (0..i32::from(count)).fold(head, |bytes, n| [bytes, batch(n * 10)].concat())
    };
    [vec![1, 0, 2, 0, 0, 0], producer(5, 1), producer(9, 2)].concat()
}

fn membership() -> Vec<u8> {
    let voters = [1, 2, 3].map(|broker| NodeId { broker: BrokerId(broker), incarnation: 9 });
    Membership { voters: voters.to_vec() }.encode().to_vec()
}

fn cluster() -> Vec<u8> {
    let id = TopicId::from_random(77);
    let records = [
        ClusterRecord::Cluster { cluster_id: "MkU3OEVBNTcwNTJENDM2Qk".to_owned() },
        ClusterRecord::Topic {
            name: "orders".to_owned(),
            id,
            partitions_count: 3,
            replication_factor: 1,
            configs: [("flush.messages".to_owned(), "1".to_owned())].into(),
        },
        ClusterRecord::TopicConfigs {
            id,
            configs: [("retention.ms".to_owned(), "1000".to_owned())].into(),
        },
        ClusterRecord::BrokerConfigs {
            broker: Some(BrokerId(1)),
            configs: [("log.retention.ms".to_owned(), "1000".to_owned())].into(),
        },
        ClusterRecord::ProducerIds { next: 1000 },
        ClusterRecord::TopicDeleted { id },
    ];
    records.map(|record| record.encode()).join(&b'\n')
}

/// A group of each protocol that has members, and offsets.
fn groups() -> Vec<u8> {
    let client = || ClientInfo { id: "client".to_owned(), host: "/127.0.0.1".to_owned() };
    let subscription = Bytes::from_static(b"\0\x01\0\0\0\x01\0\x06orders\xff\xff\xff\xff\0\0\0\0");
    let assignment =
        Bytes::from_static(b"\0\x01\0\0\0\x01\0\x06orders\0\0\0\x01\0\0\0\x02\xff\xff\xff\xff");
    let classic = ClassicMetadata {
        protocol_type: "consumer".to_owned(),
        generation: 3,
        protocol: Some("range".to_owned()),
        leader: Some("a".to_owned()),
        state_since: Some(Timestamp(1_700_000_000_000)),
        members: vec![ClassicMember {
            id: "a".to_owned(),
            instance: Some("i".to_owned()),
            client: client(),
            rebalance_timeout_ms: 1000,
            session_timeout_ms: 1000,
            subscription: subscription.clone(),
            assignment,
        }],
    };
    let metadata = MemberMetadata {
        client: client(),
        topics: ["orders".to_owned()].into(),
        regex: Some("or.*".to_owned()),
        rebalance_timeout_ms: 1000,
        classic: Some(ClassicMemberMetadata {
            session_timeout_ms: 1000,
            supported_protocols: vec![("range".to_owned(), subscription)],
        }),
        ..MemberMetadata::default()
    };
    let partitions: Partitions =
        [(TopicId::from_random(1), PartitionIndex(2))].into_iter().collect();
    let current =
        CurrentAssignment { epoch: 4, assigned: partitions.clone(), ..Default::default() };
    let offset = CommittedOffset {
        offset: Offset(42),
        leader_epoch: LeaderEpoch(1),
        metadata: "m".to_owned(),
        committed_at: Timestamp(1_700_000_000_000),
        expires_at: None,
    };
    let member = || "b".to_owned();
    let of = |of| GroupRecord::Consumer { group: "h".to_owned(), of };
    let records = [
        GroupRecord::Classic { group: "g".to_owned(), value: Some(classic) },
        GroupRecord::Offset {
            group: "g".to_owned(),
            topic: "orders".to_owned(),
            partition: PartitionIndex(2),
            value: Some(offset),
        },
        of(ConsumerRecord::Group(Some((4, 5)))),
        of(ConsumerRecord::Member { member: member(), value: Some(metadata) }),
        of(ConsumerRecord::TargetEpoch(Some(4))),
        of(ConsumerRecord::Target { member: member(), value: Some(partitions) }),
        of(ConsumerRecord::Current { member: member(), value: Some(current) }),
    ];
    let bytes = records.iter().flat_map(|record| {
        let (key, value) = record.encode();
        let value = value.expect("none of them is gone");
        let key_length = u8::try_from(key.len()).expect("it is short");
        let value_length = u16::try_from(value.len()).expect("it is short");
        [&[key_length][..], &key, &value_length.to_be_bytes(), &value].concat()
    });
    bytes.collect()
}

fn topic_configs() -> Vec<Vec<u8>> {
    let all = CONFIGS.iter().map(|config| format!("{}={}\n", config.name, config.default));
    let all: String = all.collect();
    vec![
        format!("topic\n{all}").into_bytes(),
        b"a.b\nflush.messages=2\nmessage.timestamp.type=LogAppendTime\n".to_vec(),
        b"..\nunknown\nmax.message.bytes\n".to_vec(),
    ]
}

fn config() -> Vec<Vec<u8>> {
    let given = ["", "localhost:9092", "broker.example:9092", "0,2,4", "127.0.0.1:9404"];
    let overrides = given.join("\0");
    vec![
        FILE.as_bytes().to_vec(),
        format!("[broker]\nid = 2\n{overrides}").into_bytes(),
        b"[broker]\nlisten = \"0.0.0.0:1\"\ninsecure = true\n[memory]\ntail-bytes = 1048576"
            .to_vec(),
        overrides.into_bytes(),
    ]
}
