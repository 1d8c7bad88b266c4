//! Bytes that clients send and expect, written down by hand from the protocol's description.

mod groups;

use bytes::Bytes;
use expect_test::{Expect, expect};

use crate::api_versions::ApiVersion;
use crate::{
    ApiKey, ApiVersionsResponse, ErrorCode, FRAME_PREFIX_SIZE_BYTES, Response, decode_request,
    frame_size_bytes,
};

/// The frame in `hex`, which may have comments after `#`. Checks its size.
fn frame(hex: &str) -> Bytes {
    let lines = hex.lines().map(|line| line.split('#').next().unwrap());
    let digits: Vec<char> = lines.flat_map(str::chars).filter(char::is_ascii_hexdigit).collect();
    let pairs = digits.chunks(2).map(|pair| pair.iter().collect::<String>());
    let frame: Bytes = pairs.map(|pair| u8::from_str_radix(&pair, 16).unwrap()).collect();
    let size_bytes = frame_size_bytes(*frame.first_chunk().unwrap(), 1 << 20);
    assert_eq!(size_bytes, Ok(frame.len() - FRAME_PREFIX_SIZE_BYTES));
    frame
}

/// Reads a request and shows it; writes it again, and finds the same bytes.
#[track_caller]
fn check_request(hex: &str, expected: Expect) {
    let frame = frame(hex);
    let (header, request) = decode_request(&frame.slice(FRAME_PREFIX_SIZE_BYTES..)).unwrap();
    expected.assert_eq(&format!("{header:#?}\n{request:#?}"));
    let written = request.encode(header.api_version, header.correlation_id, header.client_id);
    assert_eq!(written.unwrap().contiguous().unwrap(), frame);
}

/// Writes a response and finds the bytes; reads them, and finds the same response.
#[track_caller]
fn check_response(response: impl Into<Response>, version: i16, correlation_id: i32, hex: &str) {
    let (response, frame) = (response.into(), frame(hex));
    let written = response.encode(version, correlation_id).unwrap();
    assert_eq!(written.contiguous().unwrap(), frame);
    let body = frame.slice(FRAME_PREFIX_SIZE_BYTES..);
    let read = Response::decode(response.api_key(), version, &body);
    assert_eq!(read, Ok((correlation_id, response)));
}

#[test]
fn librdkafka_says_hello() {
    check_request(
        "00000024
         0012 0003 00000001      # ApiVersions 3, correlation id 1
         0007 72646b61666b61     # client id, an old string: rdkafka
         00                      # no tagged fields in the header
         0b 6c696272646b61666b61 # software name: librdkafka
         06 322e332e30           # software version: 2.3.0
         00                      # no tagged fields in the body",
        expect![[r#"
            RequestHeader {
                api_key: ApiVersions,
                api_version: 3,
                correlation_id: 1,
                client_id: Some(
                    "rdkafka",
                ),
            }
            ApiVersions(
                ApiVersionsRequest {
                    client_software_name: "librdkafka",
                    client_software_version: "2.3.0",
                },
            )"#]],
    );
}

#[test]
fn librdkafka_asks_for_all_topics_or_for_none() {
    check_request(
        "00000016
         0003 000c 00000002      # Metadata 12, correlation id 2
         0007 72646b61666b61 00  # rdkafka
         00                      # all topics: null
         01 00                   # auto-create, no authorized operations
         00",
        expect![[r#"
            RequestHeader {
                api_key: Metadata,
                api_version: 12,
                correlation_id: 2,
                client_id: Some(
                    "rdkafka",
                ),
            }
            Metadata(
                MetadataRequest {
                    topics: None,
                    allow_auto_topic_creation: true,
                    include_cluster_authorized_operations: false,
                    include_topic_authorized_operations: false,
                },
            )"#]],
    );
    check_request(
        "00000016
         0003 0004 00000003      # Metadata 4, correlation id 3
         0007 72646b61666b61     # rdkafka
         00000000 01             # no topics: an empty array; auto-create",
        expect![[r#"
            RequestHeader {
                api_key: Metadata,
                api_version: 4,
                correlation_id: 3,
                client_id: Some(
                    "rdkafka",
                ),
            }
            Metadata(
                MetadataRequest {
                    topics: Some(
                        [],
                    ),
                    allow_auto_topic_creation: true,
                    include_cluster_authorized_operations: false,
                    include_topic_authorized_operations: false,
                },
            )"#]],
    );
}

#[test]
fn an_api_versions_request_of_an_unknown_version_is_answered_in_version_0() {
    let api_key = ApiKey::ApiVersions;
    let versions = api_key.advertised_versions();
    let response = ApiVersionsResponse {
        error_code: ErrorCode::UnsupportedVersion,
        api_keys: vec![ApiVersion {
            api_key: api_key.code(),
            min_version: versions.min,
            max_version: versions.max,
        }],
        ..ApiVersionsResponse::default()
    };
    check_response(
        response,
        0,
        1,
        "00000010
         00000001                # correlation id 1
         0023                    # UNSUPPORTED_VERSION
         00000001                # one api
         0012 0000 0004          # ApiVersions, 0 to 4",
    );
}

#[test]
fn throttle_time_of_api_versions_comes_after_the_keys() {
    let response = ApiVersionsResponse {
        api_keys: vec![ApiVersion { api_key: 0, min_version: 0, max_version: 11 }],
        throttle_time_ms: 5,
        finalized_features_epoch: 3,
        ..ApiVersionsResponse::default()
    };
    check_response(
        response,
        3,
        1,
        "0000001d
         00000001                # correlation id 1, and no tagged fields though it is flexible
         0000                    # no error
         02                      # one api, compact
         0000 0000 000b 00       # Produce, 0 to 11, no tagged fields
         00000005                # throttle time
         01                      # one tagged field:
         01 08 0000000000000003  # tag 1, 8 bytes, the finalized features' epoch",
    );
}

#[test]
fn a_produce_request_of_version_3() {
    check_request(
        "00000034
         0000 0003 00000009      # Produce 3, correlation id 9
         0002 6d65               # client id: me
         ffff                    # no transactional id
         ffff 00007530           # acks of all, 30 s
         00000001 0001 74        # one topic: t
         00000002                # two partitions:
         00000000 00000005 6261746368 # 0, 5 bytes of records
         00000001 ffffffff       # 1, null",
        expect![[r#"
            RequestHeader {
                api_key: Produce,
                api_version: 3,
                correlation_id: 9,
                client_id: Some(
                    "me",
                ),
            }
            Produce(
                ProduceRequest {
                    transactional_id: None,
                    acks: -1,
                    timeout_ms: 30000,
                    topic_data: [
                        TopicProduceData {
                            name: "t",
                            partition_data: [
                                PartitionProduceData {
                                    index: PartitionIndex(
                                        0,
                                    ),
                                    records: Some(
                                        b"batch",
                                    ),
                                },
                                PartitionProduceData {
                                    index: PartitionIndex(
                                        1,
                                    ),
                                    records: None,
                                },
                            ],
                        },
                    ],
                },
            )"#]],
    );
}

#[test]
fn a_fetch_request_of_version_13_names_topics_by_id() {
    check_request(
        "0000005b
         0001 000d 00000009      # Fetch 13, correlation id 9
         ffff 00                 # no client id, no tagged fields
         ffffffff                # a consumer
         000001f4 00000001 00100000 # at most 500 ms, at least 1 byte, at most 1 MiB
         01                      # read committed
         00000000 ffffffff       # no session
         02                      # one topic, by id:
         000102030405060708090a0b0c0d0e0f
         02                      # one partition:
         00000003 00000007       # 3, leader epoch 7
         000000000000002a        # from offset 42
         ffffffff ffffffffffffffff # no last epoch, no log start
         00010000 00             # at most 64 KiB
         00                      # end of the topic
         01                      # nothing to forget
         01                      # no rack
         00",
        expect![[r#"
            RequestHeader {
                api_key: Fetch,
                api_version: 13,
                correlation_id: 9,
                client_id: None,
            }
            Fetch(
                FetchRequest {
                    cluster_id: None,
                    replica_id: BrokerId(
                        -1,
                    ),
                    replica_state: ReplicaState {
                        replica_id: BrokerId(
                            -1,
                        ),
                        replica_epoch: -1,
                    },
                    max_wait_ms: 500,
                    min_bytes: 1,
                    max_bytes: 1048576,
                    isolation_level: 1,
                    session_id: 0,
                    session_epoch: -1,
                    topics: [
                        FetchTopic {
                            topic: "",
                            topic_id: AAECAwQFBgcICQoLDA0ODw,
                            partitions: [
                                FetchPartition {
                                    partition: PartitionIndex(
                                        3,
                                    ),
                                    current_leader_epoch: LeaderEpoch(
                                        7,
                                    ),
                                    fetch_offset: Offset(
                                        42,
                                    ),
                                    last_fetched_epoch: LeaderEpoch(
                                        -1,
                                    ),
                                    log_start_offset: Offset(
                                        -1,
                                    ),
                                    partition_max_bytes: 65536,
                                    replica_directory_id: [
                                        0,
                                        0,
                                        0,
                                        0,
                                        0,
                                        0,
                                        0,
                                        0,
                                        0,
                                        0,
                                        0,
                                        0,
                                        0,
                                        0,
                                        0,
                                        0,
                                    ],
                                },
                            ],
                        },
                    ],
                    forgotten_topics_data: [],
                    rack_id: "",
                },
            )"#]],
    );
}
