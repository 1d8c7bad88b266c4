//! All messages at all versions: against another implementation, against hand-written bytes, and
//! against hostile ones.

mod shown;
mod kafka_protocol;
mod golden;
mod hostile;

use bytes::Bytes;

use crate::schema::Message;
use crate::testing::{Arbitrary, arbitrary};
use crate::{FRAME_PREFIX_SIZE_BYTES, Frame, RequestMessage, ResponseMessage, Text, Versions};

/// Made-up messages for each version of each API.
const SEEDS: std::ops::Range<u64> = 0..120;

/// Calls `$check::<Request>()` and so on for every message of every API.
macro_rules! for_every_message {
    ($check_request:ident, $check_response:ident) => {
        for_every_message! { $check_request, $check_response;
            ProduceRequest, FetchRequest, ListOffsetsRequest, MetadataRequest, OffsetCommitRequest,
            OffsetFetchRequest, FindCoordinatorRequest, JoinGroupRequest, HeartbeatRequest,
            LeaveGroupRequest, SyncGroupRequest, DescribeGroupsRequest, ListGroupsRequest,
            ApiVersionsRequest, CreateTopicsRequest, DeleteTopicsRequest, DeleteRecordsRequest,
            InitProducerIdRequest, OffsetForLeaderEpochRequest, DescribeConfigsRequest,
            AlterConfigsRequest, DescribeLogDirsRequest, CreatePartitionsRequest,
            DeleteGroupsRequest, ElectLeadersRequest, IncrementalAlterConfigsRequest,
            AlterPartitionReassignmentsRequest, ListPartitionReassignmentsRequest,
            OffsetDeleteRequest, DescribeClientQuotasRequest, AlterClientQuotasRequest,
            DescribeClusterRequest, ConsumerGroupHeartbeatRequest, ConsumerGroupDescribeRequest,
            DescribeTopicPartitionsRequest
        }
    };
    ($check_request:ident, $check_response:ident; $($request:ident),*) => {
        assert_eq!([$( <crate::$request as crate::RequestMessage>::API ),*], *crate::ApiKey::ALL);
        $(
            $check_request::<crate::$request>();
            $check_response::<<crate::$request as crate::RequestMessage>::Response>();
        )*
    };
}
use for_every_message;

fn versions(Versions { min, max }: Versions) -> std::ops::RangeInclusive<i16> {
    min..=max
}

/// The bytes of `frame` after its size.
fn bytes_of(frame: &Frame) -> Bytes {
    frame.contiguous().unwrap().slice(FRAME_PREFIX_SIZE_BYTES..)
}

/// A frame of each made-up request, with what it was made of.
fn requests<R: RequestMessage + Arbitrary>() -> impl Iterator<Item = (i16, R, Bytes)> {
    versions(R::VERSIONS).flat_map(|version| {
        SEEDS.map(move |seed| {
            let request: R = arbitrary(seed, version);
            let client_id = (seed % 3 != 0).then(|| Text::from("client-é"));
            let frame = crate::encode_request(version, 99, client_id, &request).unwrap();
            (version, request, bytes_of(&frame))
        })
    })
}

/// A frame of each made-up response, with what it was made of.
fn responses<R: ResponseMessage + Arbitrary>() -> impl Iterator<Item = (i16, R, Bytes)> {
    versions(R::VERSIONS).flat_map(|version| {
        SEEDS.map(move |seed| {
            let response: R = arbitrary(seed, version);
            let frame = crate::encode_response(version, 99, &response).unwrap();
            (version, response, bytes_of(&frame))
        })
    })
}

#[test]
fn every_message_reads_back_as_written_at_every_version() {
    fn request<R>()
    where
        R: RequestMessage + Arbitrary,
        crate::Request: From<R>,
    {
        for (version, request, bytes) in requests::<R>() {
            let (header, found) = crate::decode_request(&bytes).unwrap();
            assert_eq!((header.api_key, header.api_version), (R::API, version));
            assert_eq!(found, request.into());
        }
    }
    fn response<R: ResponseMessage + Arbitrary>() {
        for (version, response, bytes) in responses::<R>() {
            assert_eq!(crate::decode_response(version, &bytes), Ok((99, response)));
        }
    }
    for_every_message!(request, response);
}

/// An array of more elements than fit at their smallest is refused, so none may be smaller.
#[test]
fn no_message_is_smaller_than_its_smallest_size() {
    fn check<M: Message + Arbitrary>() {
        for version in versions(M::VERSIONS) {
            let format = crate::schema::format_of::<M>(version);
            for seed in SEEDS {
                let mut out = crate::output::Output::new();
                arbitrary::<M>(seed, version).encode(&mut out, format).unwrap();
                let size_bytes = out.finish("test").unwrap().size_bytes - FRAME_PREFIX_SIZE_BYTES;
                assert!(M::size_bytes_min(format) <= size_bytes, "{} {version}", M::NAME);
            }
        }
    }
    for_every_message!(check, check);
}
