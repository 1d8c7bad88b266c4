//! What cores ask each other. Everything in it is plain data or frozen buffers.

use std::sync::Arc;
use std::time::Duration;

use coordinator::group;
use model::{LeaderEpoch, Offset, ProducerId, Timestamp, TopicId, TopicPartition};
use replication::{Batch, Compaction, EpochEnd, Isolation, ReadFrom, Retention};
use storage::{LogOptions, RecoveredLog, Slice};

use crate::boot::{BootPlan, FoundLogs};
use crate::connection::MovedConnection;
use crate::disk::DiskReport;
use crate::failure::Failure;
use crate::groups::{GroupAnswer, GroupCall};
use crate::image::ClusterImage;
use crate::metrics::CoreMetrics;
use crate::quotas::Charge;

/// A question to a core.
#[derive(Debug)]
pub(crate) enum CoreRequest {
    // To owners.
    Append(AppendCall),
    Read(ReadCall),
    Watch(WatchCall),
    Unwatch(WatchId),
    FindOffsets(Vec<OffsetQuery>),
    FindEpochEnds(Vec<EpochQuery>),
    /// With the offset up to which everything goes; none is the high watermark.
    DeleteRecords(Vec<(TopicPartition, Option<Offset>)>),
    /// How many bytes they have on the disk.
    Sizes(Vec<TopicPartition>),
    OpenPartitions(Vec<PartitionSpec>),
    /// Of partitions that are open.
    Configure(Vec<PartitionSpec>),
    RemovePartitions(Vec<TopicPartition>),
    /// Logs whose topics are not there are removed.
    Keep(Arc<ClusterImage>),
    /// To the core that has the group's partition.
    Group(GroupCall),
    ListGroups,
    /// Groups forget how far they have come in topics that are not there.
    ForgetTopics,

    // To where quotas are counted.
    Charge(Vec<Charge>),

    // To whoever watches.
    Wake(WatchId),

    /// To whoever waits for a group; none if it is coordinated here no longer.
    GroupReply {
        waiter: WatchId,
        reply: Option<Box<group::Reply>>,
    },

    // To the controller, on core 0.
    CreateTopics {
        topics: Vec<coordinator::NewTopic>,
        validate_only: bool,
    },
    DeleteTopics(Vec<TopicId>),
    CreatePartitions {
        topics: Vec<coordinator::MorePartitions>,
        validate_only: bool,
    },
    AlterConfigs {
        alters: Vec<coordinator::AlterConfigs>,
        validate_only: bool,
    },
    AlterQuotas {
        alters: Vec<coordinator::quota::AlterQuotas>,
        validate_only: bool,
    },
    ProducerIds,

    // To the core of a connection's partitions.
    /// Answered with the connection if it is not taken.
    TakeConnection(Box<MovedConnection>),

    // To everybody.
    Install(Arc<ClusterImage>),
    /// How full the disk is.
    Disk(DiskReport),
    Listen,
    Metrics,
    /// No new connections, no more waiting fetches; answered when everything else is.
    Farewell,
    Stop,

    // At a start.
    Recovered(Result<FoundLogs, String>),
    Started(Result<(), String>),
    Export {
        journal: u32,
        partition: TopicPartition,
    },
    Adopt(Box<RecoveredLog>),
    Leave {
        journal: u32,
        partition: TopicPartition,
    },
    Retire {
        journal: u32,
    },
}

/// An answer of a core.
#[derive(Debug)]
pub(crate) enum CoreAnswer {
    Done,
    Appended(Vec<Result<AppendOutcome, Failure>>),
    Read(Vec<Result<ReadResult, Failure>>),
    Offsets(Vec<Result<FoundOffset, Failure>>),
    EpochEnds(Vec<Result<Option<EpochEnd>, Failure>>),
    Opened(Vec<Result<LeaderEpoch, Failure>>),
    Topics(Vec<Result<Arc<crate::image::TopicImage>, Failure>>),
    /// What has become of each thing that was asked for.
    Outcomes(Vec<Result<(), Failure>>),
    LogStarts(Vec<Result<Offset, Failure>>),
    Sizes(Vec<Result<u64, Failure>>),
    ProducerIds(Result<coordinator::ProducerIdBlock, Failure>),
    Group(Result<GroupAnswer, Failure>),
    Groups(Result<Vec<group::Listing>, Failure>),
    /// For how long a client is not served.
    Wait(Duration),
    Metrics(Box<CoreMetrics>),
    Plan(Arc<BootPlan>),
    /// Taken, or given back.
    Connection(Result<(), Box<MovedConnection>>),
    Exported(Result<Box<RecoveredLog>, String>),
    Failed(String),
}

impl CoreAnswer {
    /// The answer to what has no other result.
    pub(crate) fn of(result: Result<(), impl std::fmt::Display>) -> CoreAnswer {
        match result {
            Ok(()) => CoreAnswer::Done,
            Err(error) => CoreAnswer::Failed(error.to_string()),
        }
    }

    /// What [`CoreAnswer::of`] was given.
    pub(crate) fn done(self) -> Result<(), String> {
        match self {
            CoreAnswer::Done => Ok(()),
            CoreAnswer::Failed(text) => Err(text),
            other => unreachable!("not an answer to this: {other:?}"),
        }
    }
}

/// Batches for partitions of one owner, in the order of the request.
#[derive(Debug)]
pub(crate) struct AppendCall {
    pub(crate) batches: Vec<(TopicPartition, Batch)>,
    pub(crate) wait: AckWait,
}

/// When an append is answered.
#[derive(Clone, Copy, Debug)]
pub(crate) enum AckWait {
    /// As soon as it is in the log.
    Append,
    /// When it is flushed, or after so long.
    Flush(Duration),
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct AppendOutcome {
    pub(crate) base_offset: Offset,
    pub(crate) log_start: Offset,
    pub(crate) max_timestamp: Timestamp,
}

/// Reads of one fetch, in the order of its request.
#[derive(Debug)]
pub(crate) struct ReadCall {
    pub(crate) reads: Vec<PartitionRead>,
    /// Of all of them together, beyond the first batch.
    pub(crate) bytes_max: usize,
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct PartitionRead {
    pub(crate) partition: TopicPartition,
    pub(crate) from: ReadFrom,
    /// Of the last record that the reader has; [`LeaderEpoch::NONE`] if it does not say.
    pub(crate) last_epoch: LeaderEpoch,
}

#[derive(Debug)]
pub(crate) struct ReadResult {
    pub(crate) log_start: Offset,
    pub(crate) high_watermark: Offset,
    pub(crate) last_stable: Offset,
    pub(crate) slices: Vec<Slice>,
    /// Where the reader's log parts from this one; then nothing was read.
    pub(crate) divergence: Option<EpochEnd>,
}

impl ReadResult {
    pub(crate) fn size_bytes(&self) -> usize {
        self.slices.iter().map(Slice::size_bytes).sum()
    }
}

/// Names a watch, or somebody who waits for a group: of this core, and counted there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct WatchId {
    pub(crate) core: runtime::CoreId,
    pub(crate) number: u64,
}

/// Asks to be woken once when more can be read of any of these partitions than now.
#[derive(Debug)]
pub(crate) struct WatchCall {
    pub(crate) id: WatchId,
    /// With the offset up to which it could be read before.
    pub(crate) partitions: Vec<(TopicPartition, Offset)>,
    pub(crate) isolation: Isolation,
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct OffsetQuery {
    pub(crate) partition: TopicPartition,
    pub(crate) leader_epoch: LeaderEpoch,
    pub(crate) isolation: Isolation,
    pub(crate) place: OffsetPlace,
}

/// Which epoch's end is wanted.
#[derive(Clone, Copy, Debug)]
pub(crate) struct EpochQuery {
    pub(crate) partition: TopicPartition,
    /// The leader's, as the client knows it.
    pub(crate) believed_epoch: LeaderEpoch,
    pub(crate) leader_epoch: LeaderEpoch,
}

/// Which offset is wanted.
#[derive(Clone, Copy, Debug)]
pub(crate) enum OffsetPlace {
    Start,
    End,
    /// Of the first record with the latest time.
    LatestTime,
    /// Of the first record with this time or a later one.
    Time(Timestamp),
    /// What only tiered logs have.
    Nowhere,
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct FoundOffset {
    pub(crate) offset: Offset,
    pub(crate) timestamp: Timestamp,
    pub(crate) leader_epoch: LeaderEpoch,
}

/// A partition that its owner is to have.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PartitionSpec {
    pub(crate) partition: TopicPartition,
    pub(crate) is_durable: bool,
    pub(crate) log: LogOptions,
    pub(crate) retention: Retention,
    pub(crate) compaction: Option<Compaction>,
    /// It keeps groups of consumers.
    pub(crate) has_groups: bool,
}

/// Ids for producers, counted down on each core.
pub(crate) type ProducerIdResult = Result<ProducerId, Failure>;
