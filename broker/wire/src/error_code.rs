//! Kafka's error codes, through Kafka 4.1.
//!
//! Guarantees: every code reads and writes back, also one that is not known yet. Does not know:
//! which code answers what.

use std::fmt;

/// Defines the codes: Kafka's name, its number, ours, and whether a client may simply try again.
macro_rules! error_codes {
    ($($name:ident = $code:literal $variant:ident $(, $retriable:ident)?;)*) => {
        /// What went wrong, or that nothing did.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum ErrorCode {
            $( #[doc = concat!("`", stringify!($name), "`, ", stringify!($code))] $variant, )*
            /// A code of a later Kafka. Never one of the codes above.
            Unknown(i16),
        }

        impl ErrorCode {
            /// All codes that are known, in the order of their numbers.
            pub const ALL: &[ErrorCode] = &[$( ErrorCode::$variant ),*];

            pub const fn from_code(code: i16) -> ErrorCode {
                match code {
                    $( $code => ErrorCode::$variant, )*
                    code => ErrorCode::Unknown(code),
                }
            }

            pub const fn code(self) -> i16 {
                match self {
                    $( ErrorCode::$variant => $code, )*
                    ErrorCode::Unknown(code) => code,
                }
            }

            /// As Kafka spells it.
            pub const fn name(self) -> &'static str {
                match self {
                    $( ErrorCode::$variant => stringify!($name), )*
                    ErrorCode::Unknown(_) => "UNKNOWN",
                }
            }

            /// Whether the same request may succeed later. What is unknown may not.
            pub const fn is_retriable(self) -> bool {
                match self {
                    $( ErrorCode::$variant => error_codes!(@ $($retriable)?), )*
                    ErrorCode::Unknown(_) => false,
                }
            }
        }
    };
    (@ retriable) => { true };
    (@) => { false };
}

impl ErrorCode {
    /// Whether it says that something went wrong.
    pub const fn is_error(self) -> bool {
        !matches!(self, ErrorCode::None)
    }
}

/// Kafka's name and number.
impl fmt::Display for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.name(), self.code())
    }
}

error_codes! {
    UNKNOWN_SERVER_ERROR = -1 UnknownServerError;
    NONE = 0 None;
    OFFSET_OUT_OF_RANGE = 1 OffsetOutOfRange;
    CORRUPT_MESSAGE = 2 CorruptMessage, retriable;
    UNKNOWN_TOPIC_OR_PARTITION = 3 UnknownTopicOrPartition, retriable;
    INVALID_FETCH_SIZE = 4 InvalidFetchSize;
    LEADER_NOT_AVAILABLE = 5 LeaderNotAvailable, retriable;
    NOT_LEADER_OR_FOLLOWER = 6 NotLeaderOrFollower, retriable;
    REQUEST_TIMED_OUT = 7 RequestTimedOut, retriable;
    BROKER_NOT_AVAILABLE = 8 BrokerNotAvailable;
    REPLICA_NOT_AVAILABLE = 9 ReplicaNotAvailable, retriable;
    MESSAGE_TOO_LARGE = 10 MessageTooLarge;
    STALE_CONTROLLER_EPOCH = 11 StaleControllerEpoch;
    OFFSET_METADATA_TOO_LARGE = 12 OffsetMetadataTooLarge;
    NETWORK_EXCEPTION = 13 NetworkException, retriable;
    COORDINATOR_LOAD_IN_PROGRESS = 14 CoordinatorLoadInProgress, retriable;
    COORDINATOR_NOT_AVAILABLE = 15 CoordinatorNotAvailable, retriable;
    NOT_COORDINATOR = 16 NotCoordinator, retriable;
    INVALID_TOPIC_EXCEPTION = 17 InvalidTopicException;
    RECORD_LIST_TOO_LARGE = 18 RecordListTooLarge;
    NOT_ENOUGH_REPLICAS = 19 NotEnoughReplicas, retriable;
    NOT_ENOUGH_REPLICAS_AFTER_APPEND = 20 NotEnoughReplicasAfterAppend, retriable;
    INVALID_REQUIRED_ACKS = 21 InvalidRequiredAcks;
    ILLEGAL_GENERATION = 22 IllegalGeneration;
    INCONSISTENT_GROUP_PROTOCOL = 23 InconsistentGroupProtocol;
    INVALID_GROUP_ID = 24 InvalidGroupId;
    UNKNOWN_MEMBER_ID = 25 UnknownMemberId;
    INVALID_SESSION_TIMEOUT = 26 InvalidSessionTimeout;
    REBALANCE_IN_PROGRESS = 27 RebalanceInProgress;
    INVALID_COMMIT_OFFSET_SIZE = 28 InvalidCommitOffsetSize;
    TOPIC_AUTHORIZATION_FAILED = 29 TopicAuthorizationFailed;
    GROUP_AUTHORIZATION_FAILED = 30 GroupAuthorizationFailed;
    CLUSTER_AUTHORIZATION_FAILED = 31 ClusterAuthorizationFailed;
    INVALID_TIMESTAMP = 32 InvalidTimestamp;
    UNSUPPORTED_SASL_MECHANISM = 33 UnsupportedSaslMechanism;
    ILLEGAL_SASL_STATE = 34 IllegalSaslState;
    UNSUPPORTED_VERSION = 35 UnsupportedVersion;
    TOPIC_ALREADY_EXISTS = 36 TopicAlreadyExists;
    INVALID_PARTITIONS = 37 InvalidPartitions;
    INVALID_REPLICATION_FACTOR = 38 InvalidReplicationFactor;
    INVALID_REPLICA_ASSIGNMENT = 39 InvalidReplicaAssignment;
    INVALID_CONFIG = 40 InvalidConfig;
    NOT_CONTROLLER = 41 NotController, retriable;
    INVALID_REQUEST = 42 InvalidRequest;
    UNSUPPORTED_FOR_MESSAGE_FORMAT = 43 UnsupportedForMessageFormat;
    POLICY_VIOLATION = 44 PolicyViolation;
    OUT_OF_ORDER_SEQUENCE_NUMBER = 45 OutOfOrderSequenceNumber;
    DUPLICATE_SEQUENCE_NUMBER = 46 DuplicateSequenceNumber;
    INVALID_PRODUCER_EPOCH = 47 InvalidProducerEpoch;
    INVALID_TXN_STATE = 48 InvalidTxnState;
    INVALID_PRODUCER_ID_MAPPING = 49 InvalidProducerIdMapping;
    INVALID_TRANSACTION_TIMEOUT = 50 InvalidTransactionTimeout;
    CONCURRENT_TRANSACTIONS = 51 ConcurrentTransactions, retriable;
    TRANSACTION_COORDINATOR_FENCED = 52 TransactionCoordinatorFenced;
    TRANSACTIONAL_ID_AUTHORIZATION_FAILED = 53 TransactionalIdAuthorizationFailed;
    SECURITY_DISABLED = 54 SecurityDisabled;
    OPERATION_NOT_ATTEMPTED = 55 OperationNotAttempted;
    KAFKA_STORAGE_ERROR = 56 KafkaStorageError, retriable;
    LOG_DIR_NOT_FOUND = 57 LogDirNotFound;
    SASL_AUTHENTICATION_FAILED = 58 SaslAuthenticationFailed;
    UNKNOWN_PRODUCER_ID = 59 UnknownProducerId;
    REASSIGNMENT_IN_PROGRESS = 60 ReassignmentInProgress;
    DELEGATION_TOKEN_AUTH_DISABLED = 61 DelegationTokenAuthDisabled;
    DELEGATION_TOKEN_NOT_FOUND = 62 DelegationTokenNotFound;
    DELEGATION_TOKEN_OWNER_MISMATCH = 63 DelegationTokenOwnerMismatch;
    DELEGATION_TOKEN_REQUEST_NOT_ALLOWED = 64 DelegationTokenRequestNotAllowed;
    DELEGATION_TOKEN_AUTHORIZATION_FAILED = 65 DelegationTokenAuthorizationFailed;
    DELEGATION_TOKEN_EXPIRED = 66 DelegationTokenExpired;
    INVALID_PRINCIPAL_TYPE = 67 InvalidPrincipalType;
    NON_EMPTY_GROUP = 68 NonEmptyGroup;
    GROUP_ID_NOT_FOUND = 69 GroupIdNotFound;
    FETCH_SESSION_ID_NOT_FOUND = 70 FetchSessionIdNotFound, retriable;
    INVALID_FETCH_SESSION_EPOCH = 71 InvalidFetchSessionEpoch, retriable;
    LISTENER_NOT_FOUND = 72 ListenerNotFound, retriable;
    TOPIC_DELETION_DISABLED = 73 TopicDeletionDisabled;
    FENCED_LEADER_EPOCH = 74 FencedLeaderEpoch, retriable;
    UNKNOWN_LEADER_EPOCH = 75 UnknownLeaderEpoch, retriable;
    UNSUPPORTED_COMPRESSION_TYPE = 76 UnsupportedCompressionType;
    STALE_BROKER_EPOCH = 77 StaleBrokerEpoch;
    OFFSET_NOT_AVAILABLE = 78 OffsetNotAvailable, retriable;
    MEMBER_ID_REQUIRED = 79 MemberIdRequired;
    PREFERRED_LEADER_NOT_AVAILABLE = 80 PreferredLeaderNotAvailable, retriable;
    GROUP_MAX_SIZE_REACHED = 81 GroupMaxSizeReached;
    FENCED_INSTANCE_ID = 82 FencedInstanceId;
    ELIGIBLE_LEADERS_NOT_AVAILABLE = 83 EligibleLeadersNotAvailable, retriable;
    ELECTION_NOT_NEEDED = 84 ElectionNotNeeded, retriable;
    NO_REASSIGNMENT_IN_PROGRESS = 85 NoReassignmentInProgress;
    GROUP_SUBSCRIBED_TO_TOPIC = 86 GroupSubscribedToTopic;
    INVALID_RECORD = 87 InvalidRecord;
    UNSTABLE_OFFSET_COMMIT = 88 UnstableOffsetCommit, retriable;
    THROTTLING_QUOTA_EXCEEDED = 89 ThrottlingQuotaExceeded, retriable;
    PRODUCER_FENCED = 90 ProducerFenced;
    RESOURCE_NOT_FOUND = 91 ResourceNotFound;
    DUPLICATE_RESOURCE = 92 DuplicateResource;
    UNACCEPTABLE_CREDENTIAL = 93 UnacceptableCredential;
    INCONSISTENT_VOTER_SET = 94 InconsistentVoterSet;
    INVALID_UPDATE_VERSION = 95 InvalidUpdateVersion;
    FEATURE_UPDATE_FAILED = 96 FeatureUpdateFailed;
    PRINCIPAL_DESERIALIZATION_FAILURE = 97 PrincipalDeserializationFailure;
    SNAPSHOT_NOT_FOUND = 98 SnapshotNotFound;
    POSITION_OUT_OF_RANGE = 99 PositionOutOfRange;
    UNKNOWN_TOPIC_ID = 100 UnknownTopicId, retriable;
    DUPLICATE_BROKER_REGISTRATION = 101 DuplicateBrokerRegistration;
    BROKER_ID_NOT_REGISTERED = 102 BrokerIdNotRegistered;
    INCONSISTENT_TOPIC_ID = 103 InconsistentTopicId, retriable;
    INCONSISTENT_CLUSTER_ID = 104 InconsistentClusterId;
    TRANSACTIONAL_ID_NOT_FOUND = 105 TransactionalIdNotFound;
    FETCH_SESSION_TOPIC_ID_ERROR = 106 FetchSessionTopicIdError, retriable;
    INELIGIBLE_REPLICA = 107 IneligibleReplica;
    NEW_LEADER_ELECTED = 108 NewLeaderElected;
    OFFSET_MOVED_TO_TIERED_STORAGE = 109 OffsetMovedToTieredStorage;
    FENCED_MEMBER_EPOCH = 110 FencedMemberEpoch;
    UNRELEASED_INSTANCE_ID = 111 UnreleasedInstanceId;
    UNSUPPORTED_ASSIGNOR = 112 UnsupportedAssignor;
    STALE_MEMBER_EPOCH = 113 StaleMemberEpoch;
    MISMATCHED_ENDPOINT_TYPE = 114 MismatchedEndpointType;
    UNSUPPORTED_ENDPOINT_TYPE = 115 UnsupportedEndpointType;
    UNKNOWN_CONTROLLER_ID = 116 UnknownControllerId;
    UNKNOWN_SUBSCRIPTION_ID = 117 UnknownSubscriptionId;
    TELEMETRY_TOO_LARGE = 118 TelemetryTooLarge;
    INVALID_REGISTRATION = 119 InvalidRegistration;
    TRANSACTION_ABORTABLE = 120 TransactionAbortable;
    INVALID_RECORD_STATE = 121 InvalidRecordState;
    SHARE_SESSION_NOT_FOUND = 122 ShareSessionNotFound, retriable;
    INVALID_SHARE_SESSION_EPOCH = 123 InvalidShareSessionEpoch, retriable;
    FENCED_STATE_EPOCH = 124 FencedStateEpoch;
    INVALID_VOTER_KEY = 125 InvalidVoterKey;
    DUPLICATE_VOTER = 126 DuplicateVoter;
    VOTER_NOT_FOUND = 127 VoterNotFound;
    INVALID_REGULAR_EXPRESSION = 128 InvalidRegularExpression;
    REBOOTSTRAP_REQUIRED = 129 RebootstrapRequired;
    STREAMS_INVALID_TOPOLOGY = 130 StreamsInvalidTopology;
    STREAMS_INVALID_TOPOLOGY_EPOCH = 131 StreamsInvalidTopologyEpoch;
    STREAMS_TOPOLOGY_FENCED = 132 StreamsTopologyFenced;
    SHARE_SESSION_LIMIT_REACHED = 133 ShareSessionLimitReached, retriable;
}

#[cfg(test)]
mod tests;
