//! The APIs that this crate speaks: their keys, their versions, their requests and responses.
//!
//! Guarantees: a request and its response have the same key and versions. Does not know: which of
//! them a broker chooses to serve.

use std::fmt;

use bytes::Bytes;

use crate::error::{DecodeError, EncodeError};
use crate::frame::{decode_body, decode_response, encode_request, encode_response};
use crate::input::Input;
use crate::messages::*;
use crate::output::Frame;
use crate::schema::Message;
use crate::{Text, Versions};

/// A body that is sent as a request.
pub trait RequestMessage: Message {
    /// What answers it.
    type Response: ResponseMessage;
    const API: ApiKey;
}

/// A body that is sent as a response.
pub trait ResponseMessage: Message {
    const API: ApiKey;
}

macro_rules! apis {
    ($($api:ident: $request:ident => $response:ident;)*) => {
        /// An API that this crate speaks.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[repr(i16)]
        pub enum ApiKey {
            $( $api = $request::KEY, )*
        }

        impl ApiKey {
            /// All of them, in the order of their numbers.
            pub const ALL: &[ApiKey] = &[$( ApiKey::$api ),*];

            pub const fn name(self) -> &'static str {
                match self {
                    $( ApiKey::$api => stringify!($api), )*
                }
            }

            /// The versions that can be written and read.
            pub const fn versions(self) -> Versions {
                match self {
                    $( ApiKey::$api => $request::VERSIONS, )*
                }
            }

            /// The versions with compact lengths and tagged fields.
            pub(crate) const fn flexible_versions(self) -> Versions {
                match self {
                    $( ApiKey::$api => $request::FLEXIBLE, )*
                }
            }
        }

        /// Any request.
        #[derive(Clone, Debug, PartialEq, Eq)]
        pub enum Request {
            $( $api($request), )*
        }

        impl Request {
            pub fn api_key(&self) -> ApiKey {
                match self {
                    $( Request::$api(_) => ApiKey::$api, )*
                }
            }

            /// As [`encode_request`].
            pub fn encode(
                &self,
                version: i16,
                correlation_id: i32,
                client_id: Option<Text>,
            ) -> Result<Frame, EncodeError> {
                match self {
                    $( Request::$api(it) => {
                        encode_request(version, correlation_id, client_id, it)
                    } )*
                }
            }

            pub(crate) fn decode_body(
                api_key: ApiKey,
                version: i16,
                body: &mut Input<'_>,
            ) -> Result<Request, DecodeError> {
                match api_key {
                    $( ApiKey::$api => decode_body(api_key, version, body).map(Request::$api), )*
                }
            }
        }

        /// Any response.
        #[derive(Clone, Debug, PartialEq, Eq)]
        pub enum Response {
            $( $api($response), )*
        }

        impl Response {
            pub fn api_key(&self) -> ApiKey {
                match self {
                    $( Response::$api(_) => ApiKey::$api, )*
                }
            }

            /// As [`encode_response`].
            pub fn encode(&self, version: i16, correlation_id: i32) -> Result<Frame, EncodeError> {
                match self {
                    $( Response::$api(it) => encode_response(version, correlation_id, it), )*
                }
            }

            /// As [`decode_response`].
            pub fn decode(
                api_key: ApiKey,
                version: i16,
                frame: &Bytes,
            ) -> Result<(i32, Response), DecodeError> {
                match api_key {
                    $( ApiKey::$api => decode_response(version, frame)
                        .map(|(correlation_id, it)| (correlation_id, Response::$api(it))), )*
                }
            }
        }

        $(
            const _: () = {
                assert!($request::KEY == $response::KEY);
                assert!($request::VERSIONS.min == $response::VERSIONS.min);
                assert!($request::VERSIONS.max == $response::VERSIONS.max);
                assert!($request::FLEXIBLE.min == $response::FLEXIBLE.min);
            };

            impl RequestMessage for $request {
                type Response = $response;
                const API: ApiKey = ApiKey::$api;
            }

            impl ResponseMessage for $response {
                const API: ApiKey = ApiKey::$api;
            }

            impl From<$request> for Request {
                fn from(request: $request) -> Request {
                    Request::$api(request)
                }
            }

            impl From<$response> for Response {
                fn from(response: $response) -> Response {
                    Response::$api(response)
                }
            }
        )*
    };
}

apis! {
    Produce: ProduceRequest => ProduceResponse;
    Fetch: FetchRequest => FetchResponse;
    ListOffsets: ListOffsetsRequest => ListOffsetsResponse;
    Metadata: MetadataRequest => MetadataResponse;
    OffsetCommit: OffsetCommitRequest => OffsetCommitResponse;
    OffsetFetch: OffsetFetchRequest => OffsetFetchResponse;
    FindCoordinator: FindCoordinatorRequest => FindCoordinatorResponse;
    JoinGroup: JoinGroupRequest => JoinGroupResponse;
    Heartbeat: HeartbeatRequest => HeartbeatResponse;
    LeaveGroup: LeaveGroupRequest => LeaveGroupResponse;
    SyncGroup: SyncGroupRequest => SyncGroupResponse;
    DescribeGroups: DescribeGroupsRequest => DescribeGroupsResponse;
    ListGroups: ListGroupsRequest => ListGroupsResponse;
    ApiVersions: ApiVersionsRequest => ApiVersionsResponse;
    CreateTopics: CreateTopicsRequest => CreateTopicsResponse;
    DeleteTopics: DeleteTopicsRequest => DeleteTopicsResponse;
    DeleteRecords: DeleteRecordsRequest => DeleteRecordsResponse;
    InitProducerId: InitProducerIdRequest => InitProducerIdResponse;
    OffsetForLeaderEpoch: OffsetForLeaderEpochRequest => OffsetForLeaderEpochResponse;
    DescribeConfigs: DescribeConfigsRequest => DescribeConfigsResponse;
    AlterConfigs: AlterConfigsRequest => AlterConfigsResponse;
    DescribeLogDirs: DescribeLogDirsRequest => DescribeLogDirsResponse;
    CreatePartitions: CreatePartitionsRequest => CreatePartitionsResponse;
    DeleteGroups: DeleteGroupsRequest => DeleteGroupsResponse;
    ElectLeaders: ElectLeadersRequest => ElectLeadersResponse;
    IncrementalAlterConfigs: IncrementalAlterConfigsRequest => IncrementalAlterConfigsResponse;
    AlterPartitionReassignments: AlterPartitionReassignmentsRequest => AlterPartitionReassignmentsResponse;
    ListPartitionReassignments: ListPartitionReassignmentsRequest => ListPartitionReassignmentsResponse;
    OffsetDelete: OffsetDeleteRequest => OffsetDeleteResponse;
    DescribeClientQuotas: DescribeClientQuotasRequest => DescribeClientQuotasResponse;
    AlterClientQuotas: AlterClientQuotasRequest => AlterClientQuotasResponse;
    DescribeCluster: DescribeClusterRequest => DescribeClusterResponse;
    ConsumerGroupHeartbeat: ConsumerGroupHeartbeatRequest => ConsumerGroupHeartbeatResponse;
    ConsumerGroupDescribe: ConsumerGroupDescribeRequest => ConsumerGroupDescribeResponse;
    DescribeTopicPartitions: DescribeTopicPartitionsRequest => DescribeTopicPartitionsResponse;
}

impl ApiKey {
    /// Its number.
    pub const fn code(self) -> i16 {
        self as i16
    }

    pub fn from_code(code: i16) -> Option<ApiKey> {
        ApiKey::ALL.iter().copied().find(|api_key| api_key.code() == code)
    }

    /// The versions that a broker says it serves.
    ///
    /// They are [`versions`](ApiKey::versions) but for one: librdkafka before 2.11.1 looks for
    /// Produce 0 to find out whether it may compress, and if it is not there, silently does not
    /// (KAFKA-18659). So Produce is advertised from 0 on, as Kafka does, although a request of
    /// version 0 to 2 is refused.
    pub const fn advertised_versions(self) -> Versions {
        let versions = self.versions();
        match self {
            ApiKey::Produce => Versions::new(0, versions.max),
            ApiKey::Fetch
            | ApiKey::ListOffsets
            | ApiKey::Metadata
            | ApiKey::OffsetCommit
            | ApiKey::OffsetFetch
            | ApiKey::FindCoordinator
            | ApiKey::JoinGroup
            | ApiKey::Heartbeat
            | ApiKey::LeaveGroup
            | ApiKey::SyncGroup
            | ApiKey::DescribeGroups
            | ApiKey::ListGroups
            | ApiKey::ApiVersions
            | ApiKey::CreateTopics
            | ApiKey::DeleteTopics
            | ApiKey::DeleteRecords
            | ApiKey::InitProducerId
            | ApiKey::OffsetForLeaderEpoch
            | ApiKey::DescribeConfigs
            | ApiKey::AlterConfigs
            | ApiKey::DescribeLogDirs
            | ApiKey::CreatePartitions
            | ApiKey::DeleteGroups
            | ApiKey::ElectLeaders
            | ApiKey::IncrementalAlterConfigs
            | ApiKey::AlterPartitionReassignments
            | ApiKey::ListPartitionReassignments
            | ApiKey::OffsetDelete
            | ApiKey::DescribeClientQuotas
            | ApiKey::AlterClientQuotas
            | ApiKey::DescribeCluster
            | ApiKey::ConsumerGroupHeartbeat
            | ApiKey::ConsumerGroupDescribe
            | ApiKey::DescribeTopicPartitions => versions,
        }
    }
}

impl fmt::Display for ApiKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests;
