//! Memory while reading a message is bounded by the bytes received, whatever they claim.
//!
//! Counts what is requested of the allocator from here on, including what is freed or moved
//! meanwhile, which is more than what is in use at any time.

#![allow(unsafe_code, reason = "only an allocator can count allocations, and its trait is unsafe")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

use bytes::Bytes;
use wire::consumer_group_describe::{DescribedGroup, Member};
use wire::create_topics::{CreatableTopic, CreatableTopicConfig};
use wire::delete_topics::DeleteTopicState;
use wire::describe_configs::{
    DescribeConfigsResource, DescribeConfigsResourceResult, DescribeConfigsResult,
    DescribeConfigsSynonym,
};
use wire::fetch::{FetchPartition, FetchTopic, FetchableTopicResponse, ForgottenTopic};
use wire::join_group::{JoinGroupRequestProtocol, JoinGroupResponseMember};
use wire::leave_group::MemberIdentity;
use wire::list_groups::ListedGroup;
use wire::metadata::{MetadataRequestTopic, MetadataResponseTopic};
use wire::offset_commit::{OffsetCommitRequestPartition, OffsetCommitRequestTopic};
use wire::offset_fetch::{OffsetFetchRequestGroup, OffsetFetchRequestTopics};
use wire::produce::{PartitionProduceData, TopicProduceData};
use wire::{
    ApiKey, ConsumerGroupDescribeResponse, CreateTopicsRequest, DeleteTopicsRequest,
    DescribeConfigsRequest, DescribeConfigsResponse, FRAME_PREFIX_SIZE_BYTES, FetchRequest,
    FetchResponse, FindCoordinatorRequest, Frame, JoinGroupRequest, JoinGroupResponse,
    LeaveGroupRequest, ListGroupsResponse, MetadataRequest, MetadataResponse, OffsetCommitRequest,
    OffsetFetchRequest, ProduceRequest, RequestMessage, Response, ResponseMessage, Text,
    decode_request, encode_request, encode_response,
};

/// What the crate promises: this many bytes allocated for each byte received.
const ALLOCATED_PER_BYTE_MAX: usize = 64;

thread_local! {
    static ALLOCATED_BYTES: Cell<usize> = const { Cell::new(0) };
}

/// The system's allocator, counting.
struct Counting;

fn count(size_bytes: usize) {
    ALLOCATED_BYTES.set(ALLOCATED_BYTES.get() + size_bytes);
}

// SAFETY: every call is passed on unchanged to the system's allocator, which keeps the contract;
// counting touches no memory but a thread's own cell, which needs no allocation.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout.size());
        // SAFETY: the caller keeps the contract of `alloc`, which is the same.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        // SAFETY: `memory` came from `alloc` or `realloc` here, so from the system, with `layout`.
        unsafe { System.dealloc(memory, layout) }
    }

    unsafe fn realloc(&self, memory: *mut u8, layout: Layout, size_bytes: usize) -> *mut u8 {
        count(size_bytes);
        // SAFETY: `memory` came from the system with `layout`; the caller vouches for the size.
        unsafe { System.realloc(memory, layout, size_bytes) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Runs `decode` on `frame`, and returns how many bytes it allocated for each byte of it.
fn allocated_per_byte(frame: &Bytes, decode: impl FnOnce(&Bytes)) -> usize {
    let before = ALLOCATED_BYTES.get();
    decode(frame);
    let allocated_bytes = ALLOCATED_BYTES.get() - before;
    let size_bytes = frame.len();
    assert!(
        allocated_bytes <= ALLOCATED_PER_BYTE_MAX * size_bytes,
        "{allocated_bytes} bytes allocated for a frame of {size_bytes}",
    );
    allocated_bytes / size_bytes
}

fn bytes_of(frame: &Frame) -> Bytes {
    frame.contiguous().expect("nothing is external").slice(FRAME_PREFIX_SIZE_BYTES..)
}

/// A request that is what it says is read, within the bound.
fn check_request<R: RequestMessage>(version: i16, request: &R) -> usize {
    let frame = encode_request(version, 1, None, request).expect("the version can carry it");
    allocated_per_byte(&bytes_of(&frame), |frame| {
        decode_request(frame).expect("it is a request");
    })
}

/// A response that is what it says is read, within the bound.
fn check_response<R: ResponseMessage>(version: i16, response: &R) -> usize {
    let frame = encode_response(version, 1, response).expect("the version can carry it");
    allocated_per_byte(&bytes_of(&frame), |frame| {
        Response::decode(R::API, version, frame).expect("it is a response");
    })
}

/// How many elements to test with: few, many, and around the numbers at which an array reserves
/// for the second time.
const COUNTS: [usize; 15] =
    [1, 2, 100, 256, 257, 341, 511, 512, 513, 600, 1_023, 1_025, 1_100, 5_000, 100_000];

/// A listed group of three bytes on the wire is 128 bytes in memory, the most there is.
#[test]
fn listed_groups_stay_within_the_bound() {
    let worst = COUNTS.map(|count| {
        let groups = vec![ListedGroup::default(); count];
        check_response(3, &ListGroupsResponse { groups, ..Default::default() })
    });
    let worst = worst.into_iter().max().expect("there are counts");
    assert!(60 < worst, "it is as bad as it is said to be, so the test means something: {worst}");
}

/// A string of one byte on the wire is 32 bytes in memory.
#[test]
fn empty_strings_stay_within_the_bound() {
    let worst = COUNTS.map(|count| {
        let topic_names = vec![Text::default(); count];
        let request = DeleteTopicsRequest { topic_names, ..Default::default() };
        check_request(5, &request)
    });
    let worst = worst.into_iter().max().expect("there are counts");
    assert!(32 < worst, "it is as bad as it is said to be, so the test means something: {worst}");
    assert!(worst <= 48, "the second reservation is at most half of the bytes more: {worst}");
}

#[test]
fn requests_of_many_small_elements_stay_within_the_bound() {
    for count in COUNTS {
        let topics = vec![DeleteTopicState::default(); count];
        check_request(6, &DeleteTopicsRequest { topics, ..Default::default() });

        for version in [8, 9, 12] {
            let topics = Some(vec![MetadataRequestTopic::default(); count]);
            check_request(version, &MetadataRequest { topics, ..Default::default() });
        }

        let topics = vec![CreatableTopic::default(); count];
        check_request(5, &CreateTopicsRequest { topics, ..Default::default() });
        let configs = vec![CreatableTopicConfig { value: None, ..Default::default() }; count];
        let topics = vec![CreatableTopic { configs, ..Default::default() }; 3];
        check_request(5, &CreateTopicsRequest { topics, ..Default::default() });

        for version in [7, 11, 12, 13] {
            let topics = vec![FetchTopic::default(); count];
            let forgotten_topics_data = vec![ForgottenTopic::default(); count];
            let request = FetchRequest { topics, forgotten_topics_data, ..Default::default() };
            check_request(version, &request);
            let partitions = vec![FetchPartition::default(); count];
            let topics = vec![FetchTopic { partitions, ..Default::default() }; 3];
            check_request(version, &FetchRequest { topics, ..Default::default() });
        }

        for version in [3, 9] {
            let topic_data = vec![TopicProduceData::default(); count];
            check_request(version, &ProduceRequest { topic_data, ..Default::default() });
            let partition_data = vec![PartitionProduceData::default(); count];
            let topic_data = vec![TopicProduceData { partition_data, ..Default::default() }; 3];
            check_request(version, &ProduceRequest { topic_data, ..Default::default() });
        }

        let configuration_keys = Some(vec![Text::default(); count]);
        let resources =
            vec![DescribeConfigsResource { configuration_keys, ..Default::default() }; 3];
        check_request(4, &DescribeConfigsRequest { resources, ..Default::default() });
    }
}

#[test]
fn requests_about_groups_stay_within_the_bound() {
    for count in COUNTS {
        let coordinator_keys = vec![Text::default(); count];
        check_request(4, &FindCoordinatorRequest { coordinator_keys, ..Default::default() });

        for version in [5, 6] {
            let protocols = vec![JoinGroupRequestProtocol::default(); count];
            check_request(version, &JoinGroupRequest { protocols, ..Default::default() });
        }

        for version in [3, 4, 5] {
            let members = vec![MemberIdentity::default(); count];
            check_request(version, &LeaveGroupRequest { members, ..Default::default() });
        }

        for version in [2, 8] {
            let topics = vec![OffsetCommitRequestTopic::default(); count];
            check_request(version, &OffsetCommitRequest { topics, ..Default::default() });
            let partitions = vec![OffsetCommitRequestPartition::default(); count];
            let topics = vec![OffsetCommitRequestTopic { partitions, ..Default::default() }; 3];
            check_request(version, &OffsetCommitRequest { topics, ..Default::default() });
        }

        for version in [8, 9] {
            let groups = vec![OffsetFetchRequestGroup::default(); count];
            check_request(version, &OffsetFetchRequest { groups, ..Default::default() });
            let topics = Some(vec![OffsetFetchRequestTopics::default(); count]);
            let groups = vec![OffsetFetchRequestGroup { topics, ..Default::default() }; 3];
            check_request(version, &OffsetFetchRequest { groups, ..Default::default() });
        }
    }
}

#[test]
fn responses_of_many_small_elements_stay_within_the_bound() {
    for count in COUNTS {
        for version in [8, 9, 12] {
            let topics = vec![MetadataResponseTopic::default(); count];
            check_response(version, &MetadataResponse { topics, ..Default::default() });
        }

        for version in [4, 12, 13] {
            let responses = vec![FetchableTopicResponse::default(); count];
            check_response(version, &FetchResponse { responses, ..Default::default() });
        }

        let synonyms = vec![DescribeConfigsSynonym::default(); count];
        let configs = vec![DescribeConfigsResourceResult { synonyms, ..Default::default() }; 2];
        let results = vec![DescribeConfigsResult { configs, ..Default::default() }; 2];
        check_response(4, &DescribeConfigsResponse { results, ..Default::default() });

        for version in [5, 6] {
            let members = vec![JoinGroupResponseMember::default(); count];
            check_response(version, &JoinGroupResponse { members, ..Default::default() });
        }

        let subscribed_topic_names = vec![Text::default(); count];
        let members = vec![Member { subscribed_topic_names, ..Default::default() }; 2];
        let groups = vec![DescribedGroup { members, ..Default::default() }; 2];
        check_response(0, &ConsumerGroupDescribeResponse { groups, ..Default::default() });
    }
}

/// A request of `api_key` without a client id.
fn request(api_key: ApiKey, version: i16, has_tags: bool, body: &[&[u8]]) -> Bytes {
    let key = api_key.code().to_be_bytes();
    let version = version.to_be_bytes();
    let tags: &[u8] = if has_tags { &[0] } else { &[] };
    let header = [&key[..], &version, &[0, 0, 0, 1], &[0xff, 0xff], tags];
    Bytes::from([header.concat(), body.concat()].concat())
}

/// What a body can lie about.
const LIES: &[&[u8]] = &[
    &[0x7f, 0xff, 0xff, 0xff],             // an array of 2^31 - 1
    &[0xff, 0xff, 0xff, 0xfe],             // a length of -2
    &[0x80, 0x00, 0x00, 0x00],             // a length of -2^31
    &[0xff, 0xff, 0xff, 0xff, 0x0f],       // a compact array of 2^32 - 2
    &[0x80, 0x80, 0x80, 0x80, 0x08],       // a compact array of 2^31 - 1
    &[0xff, 0xff, 0xff, 0xff, 0xff, 0x01], // a varint of 6 bytes
    &[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01], // and one of 11
    &[0x7f, 0xff],                         // a string past the end
    &[0xff, 0xfe],                         // a string of -2
    &[0x05, 0xc3, 0x28, 0xff, 0xfe],       // a compact string that is not UTF-8
    &[0x00, 0x02, 0xc3, 0x28],             // a string that is not UTF-8
    &[0x00, 0x00, 0xff, 0x00],             // nearly as many elements as there may be bytes
    &[0x80, 0xfe, 0x03],                   // the same, compact
];

/// Each lie at every key and version, as the first thing in the body and after bytes that may be
/// taken for its start; with nothing behind it, and with much.
#[test]
fn lies_stay_within_the_bound() {
    for &api_key in ApiKey::ALL {
        let versions = api_key.versions();
        for version in versions.min..=versions.max {
            for lie in LIES {
                for before in 0..40 {
                    check_lie(api_key, version, &vec![0; before], lie, &[]);
                }
                // Much is slow, and where exactly it begins matters less.
                for before in [0, 4, 9, 22] {
                    check_lie(api_key, version, &vec![0; before], lie, &[0; 70_000]);
                    check_lie(api_key, version, &vec![0; before], lie, &[1; 70_000]);
                }
            }
        }
    }
}

fn check_lie(api_key: ApiKey, version: i16, before: &[u8], lie: &[u8], behind: &[u8]) {
    for has_tags in [false, true] {
        let frame = request(api_key, version, has_tags, &[before, lie, behind]);
        allocated_per_byte(&frame, |frame| {
            let _ = decode_request(frame);
        });
        // From the correlation id on; a response has no client id, so its body begins earlier.
        allocated_per_byte(&frame.slice(4..), |frame| {
            let _ = Response::decode(api_key, version, frame);
        });
    }
}

/// The length of a compact array of `count` elements, always in three bytes.
fn compact(count: u32) -> [u8; 3] {
    let bits = count + 1;
    assert!(bits < 1 << 21, "three bytes of varint hold 21 bits");
    [bits | 0x80, (bits >> 7) | 0x80, bits >> 14].map(|bits| bits.to_le_bytes()[0])
}

/// An array in an array, in which each claims all the bytes that are left.
#[test]
fn nested_lies_stay_within_the_bound() {
    let much = [0; 200_000];
    // Topics of at least 10 bytes; the first has configs, of at least 3 bytes.
    let topic = [&[1][..], &[0; 4], &[0; 2], &[1]].concat();
    let body = [&compact(19_000)[..], &topic, &compact(66_000), &much];
    let frame = request(ApiKey::CreateTopics, 5, true, &body);
    allocated_per_byte(&frame, |frame| {
        let error = decode_request(frame).expect_err("zeros are null names").to_string();
        assert_eq!(error, "CreatableTopicConfig.name: null is not allowed in version 5");
    });

    // Results of at least 7 bytes, in it configs of at least 9, in it synonyms of at least 4.
    let header = [0, 0, 0, 1, 0, 0, 0, 0, 0];
    let result = [0, 0, 0, 0, 1];
    let config = [1, 0, 0, 0, 0];
    let body: [&[u8]; 7] =
        [&header, &compact(28_000), &result, &compact(22_000), &config, &compact(49_000), &much];
    allocated_per_byte(&Bytes::from(body.concat()), |frame| {
        let error = Response::decode(ApiKey::DescribeConfigs, 4, frame);
        let error = error.expect_err("zeros are null names").to_string();
        assert_eq!(error, "DescribeConfigsSynonym.name: null is not allowed in version 4");
    });
}

/// Arrays in arrays that are short enough to be reserved at once: groups of at least 20 bytes, in
/// them members of at least 16, in them names of at least one.
#[test]
fn nested_lies_of_few_bytes_stay_within_the_bound() {
    let header = [0, 0, 0, 1, 0, 0, 0, 0, 0];
    let group = [0, 0, 0, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 1];
    let member = [1, 0, 0, 0, 0, 0, 0, 1, 1];
    let worst = [10, 100, 300, 1_000, 3_000, 30_000].map(|size_bytes: u32| {
        let names = vec![0; size_bytes as usize];
        let members = [&member[..], &compact(size_bytes), &names].concat();
        let members_count = u32::try_from(members.len() / 16).expect("few");
        let groups = [&group[..], &compact(members_count), &members].concat();
        let groups_count = u32::try_from(groups.len() / 20).expect("few");
        let frame = [&header[..], &compact(groups_count), &groups].concat();
        allocated_per_byte(&Bytes::from(frame), |frame| {
            let error = Response::decode(ApiKey::ConsumerGroupDescribe, 0, frame);
            let error = error.expect_err("zeros are null names").to_string();
            assert_eq!(error, "Member.subscribed_topic_names: null is not allowed in version 0");
        })
    });
    let worst = worst.into_iter().max().expect("there are sizes");
    assert!(50 < worst, "all three were reserved: {worst}");
}

#[test]
fn tagged_fields_stay_within_the_bound() {
    fn tagged(tag: u8, bytes: &[u8]) -> Vec<u8> {
        let size_bytes = u8::try_from(bytes.len()).expect("short");
        [&[tag, size_bytes], bytes].concat()
    }
    // Two empty strings, then 40 fields that nobody knows.
    let unknown = tagged(99, b"whatever").repeat(40);
    let frame = request(ApiKey::ApiVersions, 3, true, &[&[1, 1, 40], &unknown]);
    let per_byte = allocated_per_byte(&frame, |frame| {
        decode_request(frame).expect("unknown fields are skipped");
    });
    assert_eq!(per_byte, 0);
    // The same known field again and again; each replaces the one before.
    let features = [&[11][..], &[1, 0, 0, 0, 0, 0].repeat(10)].concat();
    let header = [0, 0, 0, 1, 0, 0, 1, 0, 0, 0, 0, 100];
    let frame = Bytes::from([&header[..], &tagged(0, &features).repeat(100)].concat());
    allocated_per_byte(&frame, |frame| {
        Response::decode(ApiKey::ApiVersions, 3, frame).expect("the last one counts");
    });
}
