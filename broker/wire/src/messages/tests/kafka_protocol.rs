//! Every message at every version, written here and read by another implementation, and back.
//!
//! That the bytes agree proves that types and order do; that both show the same values under the
//! same names proves that no two fields of one type are swapped.

use std::collections::BTreeMap;
use std::fmt::Debug;

use bytes::{Buf, Bytes, BytesMut};
use kafka_protocol::messages as theirs;
use kafka_protocol::protocol::{
    Decodable, Encodable, HeaderVersion, Message as TheirMessage,
    decode_request_header_from_buffer, encode_request_header_into_buffer,
};

use super::shown::values_of;
use super::{SEEDS, bytes_of, requests, responses};
use crate::output::Output;
use crate::schema::{Message, format_of};
use crate::testing::{Arbitrary, arbitrary};
use crate::{
    EncodeFault, ErrorCode, FieldError, RequestMessage, ResponseMessage, decode_request,
    decode_response,
};

/// An unknown tagged field that is put into a message of theirs.
const UNKNOWN_TAG: (i32, Bytes) = (1_000, Bytes::from_static(b"from a later version"));

/// A message of theirs, and how to put an unknown tagged field into it.
trait Theirs: Encodable + Decodable + HeaderVersion + TheirMessage + Debug {
    fn add_unknown_tag(&mut self);
}

macro_rules! compare {
    (@ add_unknown_tag $message:expr, never flexible) => {
        unreachable!("{:?} has no tagged fields", $message)
    };
    (@ add_unknown_tag $message:expr) => {
        $message.unknown_tagged_fields.extend([UNKNOWN_TAG])
    };
    ($($request:ident => $response:ident $(, $never:ident flexible)?;)*) => {
        $(
            impl Theirs for theirs::$request {
                fn add_unknown_tag(&mut self) {
                    compare!(@ add_unknown_tag self $(, $never flexible)?);
                }
            }

            impl Theirs for theirs::$response {
                fn add_unknown_tag(&mut self) {
                    compare!(@ add_unknown_tag self $(, $never flexible)?);
                }
            }
        )*

        #[test]
        fn both_read_and_write_the_same_bytes() {
            let compared = [$(
                {
                    compare_requests::<crate::$request, theirs::$request>();
                    compare_responses::<crate::$response, theirs::$response>();
                    compare_at_other_versions::<crate::$request, theirs::$request>();
                    compare_at_other_versions::<crate::$response, theirs::$response>();
                    <crate::$request as RequestMessage>::API
                }
            ),*];
            assert_eq!(compared, *crate::ApiKey::ALL);
        }
    };
}

compare! {
    ProduceRequest => ProduceResponse;
    FetchRequest => FetchResponse;
    ListOffsetsRequest => ListOffsetsResponse;
    MetadataRequest => MetadataResponse;
    OffsetCommitRequest => OffsetCommitResponse;
    OffsetFetchRequest => OffsetFetchResponse;
    FindCoordinatorRequest => FindCoordinatorResponse;
    JoinGroupRequest => JoinGroupResponse;
    HeartbeatRequest => HeartbeatResponse;
    LeaveGroupRequest => LeaveGroupResponse;
    SyncGroupRequest => SyncGroupResponse;
    DescribeGroupsRequest => DescribeGroupsResponse;
    ListGroupsRequest => ListGroupsResponse;
    ApiVersionsRequest => ApiVersionsResponse;
    CreateTopicsRequest => CreateTopicsResponse;
    DeleteTopicsRequest => DeleteTopicsResponse;
    DeleteRecordsRequest => DeleteRecordsResponse;
    InitProducerIdRequest => InitProducerIdResponse;
    OffsetForLeaderEpochRequest => OffsetForLeaderEpochResponse;
    DescribeConfigsRequest => DescribeConfigsResponse;
    AlterConfigsRequest => AlterConfigsResponse;
    DescribeLogDirsRequest => DescribeLogDirsResponse;
    CreatePartitionsRequest => CreatePartitionsResponse;
    DeleteGroupsRequest => DeleteGroupsResponse;
    ElectLeadersRequest => ElectLeadersResponse;
    IncrementalAlterConfigsRequest => IncrementalAlterConfigsResponse;
    AlterPartitionReassignmentsRequest => AlterPartitionReassignmentsResponse;
    ListPartitionReassignmentsRequest => ListPartitionReassignmentsResponse;
    OffsetDeleteRequest => OffsetDeleteResponse, never flexible;
    DescribeClientQuotasRequest => DescribeClientQuotasResponse;
    AlterClientQuotasRequest => AlterClientQuotasResponse;
    DescribeClusterRequest => DescribeClusterResponse;
    ConsumerGroupHeartbeatRequest => ConsumerGroupHeartbeatResponse;
    ConsumerGroupDescribeRequest => ConsumerGroupDescribeResponse;
    DescribeTopicPartitionsRequest => DescribeTopicPartitionsResponse;
}

fn compare_requests<O, T>()
where
    O: RequestMessage + Arbitrary,
    T: Theirs,
    crate::Request: From<O>,
{
    for (version, request, bytes) in requests::<O>() {
        let mut rest = bytes.clone();
        let header = decode_request_header_from_buffer(&mut rest).unwrap();
        let theirs = T::decode(&mut rest, version).unwrap();
        assert!(!rest.has_remaining(), "{version} {request:?}");
        assert_same_values(&request, &theirs);

        let mut written = BytesMut::new();
        encode_request_header_into_buffer(&mut written, &header).unwrap();
        theirs.encode(&mut written, version).unwrap();
        assert_eq!(written, bytes, "{version} {request:?}");

        let (ours, found) = decode_request(&written.freeze()).unwrap();
        assert_eq!(found, request.clone().into());
        assert_eq!(
            (ours.api_key.code(), ours.api_version, ours.correlation_id),
            (header.request_api_key, header.request_api_version, header.correlation_id),
        );
        assert_eq!(ours.client_id.as_deref(), header.client_id.as_deref());

        if O::FLEXIBLE.contains(version) {
            let (id, value) = UNKNOWN_TAG;
            let header = header.with_unknown_tagged_field(id, value);
            let mut theirs = theirs;
            theirs.add_unknown_tag();
            let mut written = BytesMut::new();
            encode_request_header_into_buffer(&mut written, &header).unwrap();
            theirs.encode(&mut written, version).unwrap();
            let (_, found) = decode_request(&written.freeze()).unwrap();
            assert_eq!(found, request.into());
        }
    }
}

fn compare_responses<O: ResponseMessage + Arbitrary, T: Theirs>() {
    for (version, response, bytes) in responses::<O>() {
        let header_version = T::header_version(version);
        let mut rest = bytes.clone();
        let mut header = theirs::ResponseHeader::decode(&mut rest, header_version).unwrap();
        assert_eq!(header.correlation_id, 99);
        let mut theirs = T::decode(&mut rest, version).unwrap();
        assert!(!rest.has_remaining(), "{version} {response:?}");
        assert_same_values(&response, &theirs);

        let mut written = BytesMut::new();
        header.encode(&mut written, header_version).unwrap();
        theirs.encode(&mut written, version).unwrap();
        assert_eq!(written, bytes, "{version} {response:?}");
        assert_eq!(
            decode_response::<O>(version, &written.freeze()).unwrap(),
            (99, response.clone())
        );

        if O::FLEXIBLE.contains(version) {
            if 0 < header_version {
                header.unknown_tagged_fields.extend([UNKNOWN_TAG]);
            }
            theirs.add_unknown_tag();
            let mut written = BytesMut::new();
            header.encode(&mut written, header_version).unwrap();
            theirs.encode(&mut written, version).unwrap();
            assert_eq!(decode_response(version, &written.freeze()), Ok((99, response)));
        }
    }
}

/// All fields that Kafka refuses to leave out and they do not.
const TAGGED_AND_NOT_IGNORABLE: [&str; 7] = [
    "ProduceResponse.node_endpoints",
    "PartitionProduceResponse.current_leader",
    "FetchRequest.replica_state",
    "FetchResponse.node_endpoints",
    "PartitionData.diverging_epoch",
    "PartitionData.current_leader",
    "PartitionData.snapshot_id",
];

/// Both must agree what a version cannot carry, and what of it may be left out: a message read at
/// one version is written at another.
fn compare_at_other_versions<O: Message + Arbitrary, T: Theirs>() {
    let versions = super::versions(O::VERSIONS);
    for (from, to) in versions.clone().flat_map(|from| versions.clone().map(move |to| (from, to))) {
        for seed in SEEDS.step_by(5) {
            let ours: O = arbitrary(seed, from);
            let theirs = T::decode(&mut body_of(&ours, from).unwrap(), from).unwrap();
            let mut bytes = BytesMut::new();
            match (body_of(&ours, to), theirs.encode(&mut bytes, to)) {
                (Ok(body), written) => {
                    written.unwrap();
                    assert_eq!(body, bytes, "{from} to {to}: {ours:?}");
                }
                // They do not check where null may be, and leave out what is tagged.
                (Err(FieldError { fault: EncodeFault::Null { .. }, .. }), _) => {}
                (Err(error), Ok(())) if TAGGED_AND_NOT_IGNORABLE.contains(&error.field) => {}
                (Err(error), written) => assert!(written.is_err(), "{from} to {to}: {error}"),
            }
        }
    }
}

/// A body without a header.
fn body_of<M: Message>(message: &M, version: i16) -> Result<Bytes, FieldError<EncodeFault>> {
    let mut out = Output::new();
    message.encode(&mut out, format_of::<M>(version))?;
    Ok(bytes_of(&out.finish(M::NAME).unwrap()))
}

/// Compares what both show of themselves, field by field and by name. Theirs may have fields of
/// versions that are not spoken here.
fn assert_same_values(ours: &impl Debug, theirs: &impl Debug) {
    let theirs = compared(theirs);
    for (path, value) in compared(ours) {
        let is_error_code = path.ends_with("error_code");
        let value = if is_error_code { code_of(&value) } else { value };
        assert_eq!(theirs.get(&path), Some(&value), "{path} among {theirs:#?}");
    }
}

/// The number of an error code that is shown by its name.
fn code_of(shown: &str) -> String {
    let known = ErrorCode::ALL.iter().find(|error| format!("{error:?}") == shown);
    known.map_or_else(|| shown.to_owned(), |error| error.code().to_string())
}

/// What both show in different ways: records, an id that is no topic's, and what only they have.
const NOT_COMPARED: [&str; 3] = [".records", ".replica_directory_id", ".unknown_tagged_fields"];

fn compared(message: &impl Debug) -> BTreeMap<String, String> {
    let mut values = values_of(message);
    values.retain(|path, _| !NOT_COMPARED.iter().any(|name| path.contains(name)));
    values
}
