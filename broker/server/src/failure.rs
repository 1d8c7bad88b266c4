//! What goes wrong, as Kafka's clients are told.

use coordinator::group::GroupError;
use coordinator::quota::QuotasRefused;
use coordinator::{ConfigsRefused, NameError, PartitionsRefused, TopicRefused};
use model::codec::CodecError;
use model::record_batch::BatchError;
use model::{Offset, TopicPartition};
use replication::{AppendRefused, ReadRefused, SequenceError, WaitError};
use storage::{AppendError, ReadError};
use wire::{ErrorCode, Text};

/// A code for the client's program, and a sentence for its user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Failure {
    pub(crate) code: ErrorCode,
    pub(crate) message: Text,
}

impl Failure {
    pub(crate) fn new(code: ErrorCode, message: impl std::fmt::Display) -> Failure {
        Failure { code, message: Text::from(message.to_string()) }
    }

    pub(crate) fn unknown_partition() -> Failure {
        Failure::new(
            ErrorCode::UnknownTopicOrPartition,
            "This server does not host this topic-partition.",
        )
    }

    /// A partition's log cannot be used as it should be.
    pub(crate) fn storage(partition: TopicPartition, error: &dyn std::fmt::Display) -> Failure {
        tracing::error!(%partition, %error, "a partition cannot be opened or changed");
        Failure::new(ErrorCode::KafkaStorageError, error)
    }

    /// There is no controller yet, or none any more.
    pub(crate) fn not_controlled() -> Failure {
        Failure::new(ErrorCode::NotController, "the broker is starting or stopping")
    }

    pub(crate) fn beyond(offset: Offset, high_watermark: Offset) -> Failure {
        let text = format!("offset {offset} is not between 0 and {high_watermark}");
        Failure::new(ErrorCode::OffsetOutOfRange, text)
    }

    /// The metadata have the partition, and this core has no replica of it: Kafka's answer makes
    /// clients ask for the metadata again.
    pub(crate) fn not_open(partition: TopicPartition) -> Failure {
        Failure::new(
            ErrorCode::NotLeaderOrFollower,
            format_args!(
                "the log of {partition} is not open: it is about to be, there was no room for it, or \
                 its topic has just been deleted"
            ),
        )
    }

    pub(crate) fn missing_log(partition: TopicPartition) -> Failure {
        Failure::new(
            ErrorCode::KafkaStorageError,
            format_args!(
                "the log of {partition} was not found at the start, as a journal is damaged: see \
                 the broker's log"
            ),
        )
    }
}

impl From<BatchError> for Failure {
    fn from(error: BatchError) -> Failure {
        let code = match error {
            BatchError::LengthTooSmall { .. }
            | BatchError::UnknownMagic { .. }
            | BatchError::CrcMismatch { .. } => ErrorCode::CorruptMessage,
            BatchError::Empty
            | BatchError::Truncated { .. }
            | BatchError::OldMagic { .. }
            | BatchError::TrailingBytes { .. }
            | BatchError::BaseOffset { .. }
            | BatchError::RecordsCount { .. }
            | BatchError::ControlBatch
            | BatchError::ProducerStamp { .. }
            | BatchError::Record { .. }
            | BatchError::TrailingRecords { .. }
            | BatchError::Compressed => ErrorCode::InvalidRecord,
            BatchError::LogAppendTime | BatchError::TimestampOutOfRange { .. } => {
                ErrorCode::InvalidTimestamp
            }
            BatchError::Codec(CodecError::Corrupt { .. } | CodecError::Truncated { .. }) => {
                // Not CORRUPT_MESSAGE, on which clients send the same bytes again.
                ErrorCode::InvalidRecord
            }
            // Clients make smaller batches of the same records.
            BatchError::Codec(CodecError::TooLarge { .. }) | BatchError::TooLarge { .. } => {
                ErrorCode::MessageTooLarge
            }
            BatchError::UnknownCompression { .. } => ErrorCode::UnsupportedCompressionType,
        };
        Failure::new(code, error)
    }
}

impl From<AppendRefused> for Failure {
    fn from(refused: AppendRefused) -> Failure {
        let code = match &refused {
            AppendRefused::NotLeading { .. } => ErrorCode::NotLeaderOrFollower,
            AppendRefused::Sequence(SequenceError::OldEpoch { .. }) => {
                ErrorCode::InvalidProducerEpoch
            }
            AppendRefused::Sequence(
                SequenceError::NewEpoch { .. }
                | SequenceError::OutOfOrder { .. }
                | SequenceError::Early { .. },
            ) => ErrorCode::OutOfOrderSequenceNumber,
            AppendRefused::TooLarge { .. } => ErrorCode::MessageTooLarge,
            AppendRefused::Log(AppendError::DiskFull { .. }) => {
                let advice = "free some space by a shorter retention, DeleteRecords or the deletion \
                              of topics, or give the broker more (disk.refuse-below-bytes)";
                let text = format_args!("{refused}; {advice}");
                return Failure::new(ErrorCode::KafkaStorageError, text);
            }
            AppendRefused::Log(
                AppendError::Stopped(_)
                | AppendError::NoSpace { .. }
                | AppendError::Doubtful { .. },
            ) => ErrorCode::KafkaStorageError,
            AppendRefused::Log(AppendError::Uncommitted { .. }) => ErrorCode::NotEnoughReplicas,
            AppendRefused::Log(AppendError::Fenced { .. }) => ErrorCode::NotLeaderOrFollower,
        };
        Failure::new(code, refused)
    }
}

impl From<WaitError> for Failure {
    fn from(error: WaitError) -> Failure {
        let code = match error {
            WaitError::EpochOver => ErrorCode::NotLeaderOrFollower,
            WaitError::Stopped => ErrorCode::KafkaStorageError,
        };
        Failure::new(code, error)
    }
}

impl From<ReadError> for Failure {
    fn from(error: ReadError) -> Failure {
        let code = match &error {
            ReadError::OutOfRange { .. } => ErrorCode::OffsetOutOfRange,
            ReadError::Io { .. } | ReadError::Damaged { .. } => ErrorCode::KafkaStorageError,
        };
        Failure::new(code, error)
    }
}

impl From<ReadRefused> for Failure {
    fn from(refused: ReadRefused) -> Failure {
        match refused {
            ReadRefused::Fenced { .. } => Failure::new(ErrorCode::FencedLeaderEpoch, refused),
            ReadRefused::UnknownEpoch { .. } => {
                Failure::new(ErrorCode::UnknownLeaderEpoch, refused)
            }
            ReadRefused::Log(error) => error.into(),
        }
    }
}

impl From<TopicRefused> for Failure {
    fn from(refused: TopicRefused) -> Failure {
        let code = match &refused {
            TopicRefused::Name(
                NameError::Empty
                | NameError::Dots { .. }
                | NameError::TooLong { .. }
                | NameError::Character { .. }
                | NameError::Reserved { .. },
            )
            | TopicRefused::Collides { .. } => ErrorCode::InvalidTopicException,
            TopicRefused::Exists { .. } => ErrorCode::TopicAlreadyExists,
            TopicRefused::Partitions { .. } => ErrorCode::InvalidPartitions,
            TopicRefused::ReplicationFactor { .. } => ErrorCode::InvalidReplicationFactor,
            TopicRefused::Assignment(_) => ErrorCode::InvalidReplicaAssignment,
            TopicRefused::Config(_) => ErrorCode::InvalidConfig,
        };
        Failure::new(code, refused)
    }
}

impl From<PartitionsRefused> for Failure {
    fn from(refused: PartitionsRefused) -> Failure {
        let code = match &refused {
            PartitionsRefused::UnknownTopic { .. } => ErrorCode::UnknownTopicOrPartition,
            PartitionsRefused::Internal { .. } => ErrorCode::InvalidTopicException,
            PartitionsRefused::NotMore { .. } | PartitionsRefused::TooMany { .. } => {
                ErrorCode::InvalidPartitions
            }
            PartitionsRefused::Assignment(_) => ErrorCode::InvalidReplicaAssignment,
        };
        Failure::new(code, refused)
    }
}

impl From<ConfigsRefused> for Failure {
    fn from(refused: ConfigsRefused) -> Failure {
        let code = match &refused {
            ConfigsRefused::UnknownTopic { .. } => ErrorCode::UnknownTopicOrPartition,
            ConfigsRefused::OtherBroker { .. }
            | ConfigsRefused::Repeated { .. }
            // As in Kafka, where a broker's config that is wrong makes the request wrong.
            | ConfigsRefused::OfBroker(_) => ErrorCode::InvalidRequest,
            ConfigsRefused::NotAList { .. } | ConfigsRefused::OfTopic(_) => {
                ErrorCode::InvalidConfig
            }
        };
        Failure::new(code, refused)
    }
}

impl From<GroupError> for Failure {
    fn from(error: GroupError) -> Failure {
        let code = match &error {
            GroupError::InvalidGroupId => ErrorCode::InvalidGroupId,
            GroupError::GroupNotFound { .. } => ErrorCode::GroupIdNotFound,
            GroupError::UnknownMember { .. } => ErrorCode::UnknownMemberId,
            GroupError::FencedInstance { .. } => ErrorCode::FencedInstanceId,
            GroupError::IllegalGeneration { .. } => ErrorCode::IllegalGeneration,
            GroupError::RebalanceInProgress => ErrorCode::RebalanceInProgress,
            GroupError::InconsistentProtocol => ErrorCode::InconsistentGroupProtocol,
            GroupError::InvalidSessionTimeout { .. } => ErrorCode::InvalidSessionTimeout,
            GroupError::MemberIdRequired => ErrorCode::MemberIdRequired,
            GroupError::TooManyMembers { .. } => ErrorCode::GroupMaxSizeReached,
            // Kafka has no limit and no error for it; this one is not tried again.
            GroupError::MemberTooLarge { .. } => ErrorCode::InvalidRequest,
            GroupError::MetadataTooLarge { .. } => ErrorCode::OffsetMetadataTooLarge,
            GroupError::OtherKind { .. } => ErrorCode::GroupIdNotFound,
            GroupError::FencedMemberEpoch { .. } => ErrorCode::FencedMemberEpoch,
            GroupError::StaleMemberEpoch { .. } => ErrorCode::StaleMemberEpoch,
            GroupError::UnreleasedInstance { .. } => ErrorCode::UnreleasedInstanceId,
            GroupError::UnsupportedAssignor { .. } => ErrorCode::UnsupportedAssignor,
            GroupError::InvalidRegex(_) => ErrorCode::InvalidRegularExpression,
            GroupError::InvalidRequest(_) => ErrorCode::InvalidRequest,
            GroupError::NotEmpty => ErrorCode::NonEmptyGroup,
            GroupError::Subscribed => ErrorCode::GroupSubscribedToTopic,
            // A member is told no more by Kafka.
            GroupError::TooLarge => ErrorCode::UnknownServerError,
            GroupError::NotAvailable => ErrorCode::CoordinatorNotAvailable,
        };
        Failure::new(code, error)
    }
}

impl From<QuotasRefused> for Failure {
    fn from(refused: QuotasRefused) -> Failure {
        Failure::new(ErrorCode::InvalidRequest, refused)
    }
}
