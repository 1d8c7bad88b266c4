//! Consumer groups: who their members are, what each of them reads, how far they have come.
//!
//! ```text
//!  request ─► Groups::join, sync, commit, … ─► GroupLog::append(records) ─► replay(record)
//!                  │                              │ refused: nothing has changed
//!                  └─► answers, which are given when what was appended before them is flushed
//! ```
//!
//! One [`Groups`] is the state of one partition of `__consumer_offsets`. What its records say (the
//! generation of a group, its members and their assignments, committed offsets) changes only by
//! replaying a record that the log has taken, at a start and in service alike. What no record says
//! (who waits for an answer, when a member's session ends) is lost with the process: members notice
//! by an error, and join again.
//!
//! Guarantees: pure: time, random numbers and the log come with each call ([`Turn`]); the generation
//! of a group only rises, also through crashes, as each is recorded before any member hears of it; in
//! one generation a partition is assigned as the group's leader has said, to members of that
//! generation only.
//! Does not know: cores, connections, Kafka's error codes, whether a topic exists.

mod partitions;
mod primitive;
mod record;
mod member;
mod classic;
mod assignor;
mod consumer;
mod offsets;
mod subscription;
mod migration;
mod kind;
mod groups;

#[cfg(test)]
mod testing;

use bytes::Bytes;
use model::{Timestamp, TopicId};

pub use assignor::Assignor;
pub use classic::ClassicState;
pub use consumer::{
    Beat, ConsumerDescription, ConsumerHeartbeat, ConsumerState, DescribedConsumer,
};
pub use groups::{Groups, GroupsSettings, Listing, partition_of};
pub use kind::GroupKind;
pub use member::ClientInfo;
pub use offsets::{Commit, CommittedOffset, NewOffset, OffsetsOf};
pub use partitions::Partitions;
pub use record::{
    ClassicMember, ClassicMemberMetadata, ClassicMetadata, ConsumerRecord, CurrentAssignment,
    GroupRecord, GroupRecordError, MemberMetadata, MemberState,
};

/// Milliseconds of a clock that only goes forward, for timeouts. What is stored has a [`Timestamp`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Moment(pub u64);

impl Moment {
    /// So many milliseconds later.
    pub fn after_ms(self, ms: u64) -> Moment {
        Moment(self.0.saturating_add(ms))
    }
}

/// Names a request that waits for its answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Ticket(pub u64);

/// Where records go before they hold.
pub trait GroupLog {
    /// Takes records, all of them together or none. They are not flushed yet.
    fn append(&mut self, records: &[GroupRecord]) -> Result<(), NotAppended>;
}

/// Why a log does not take records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotAppended {
    /// They are more than it takes at once.
    TooLarge,
    /// It takes nothing at the moment.
    NotNow,
}

/// Topics that there are.
pub trait Topics {
    /// Another one when any of them is another.
    fn version(&self) -> u64;

    /// A topic's id, and how many partitions it has.
    fn topic(&self, name: &str) -> Option<(TopicId, i32)>;

    /// The name of the one with an id.
    fn name_of(&self, id: TopicId) -> Option<String>;

    /// The names of all.
    fn names(&self) -> Vec<String>;
}

/// What a request or a deadline is handled with.
pub struct Turn<'a> {
    /// Now, for timeouts.
    pub now: Moment,
    /// Now, for what is stored.
    pub wall_clock: Timestamp,
    /// For new members' ids.
    pub random: &'a mut dyn FnMut() -> u128,
    /// Topics that there are.
    pub topics: &'a dyn Topics,
    /// Where records go.
    pub log: &'a mut dyn GroupLog,
    /// Answers to requests that have waited, in order. To be given when everything that was appended
    /// until then is flushed.
    pub replies: &'a mut Vec<(Ticket, Reply)>,
}

impl std::fmt::Debug for Turn<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Turn({:?}, {:?})", self.now, self.wall_clock)
    }
}

/// An answer to a request that may have waited.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reply {
    /// To [`Groups::join`].
    Join(Result<Joined, JoinRefused>),
    /// To [`Groups::sync`].
    Sync(Result<Synced, GroupError>),
}

/// Why a group does not do what was asked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum GroupError {
    /// A name that no group can have.
    #[error("a group's id cannot be empty")]
    InvalidGroupId,
    /// There is no such group.
    #[error("Group {group} not found.")]
    GroupNotFound {
        /// Its id.
        group: String,
    },
    /// The group has no such member: it was never there, or its session has ended.
    #[error("the group has no member {member:?}")]
    UnknownMember {
        /// Its id.
        member: String,
    },
    /// Another member has the instance id by now (KIP-345).
    #[error("instance {instance:?} is another member by now")]
    FencedInstance {
        /// The instance's id.
        instance: String,
    },
    /// The member is of another generation.
    #[error("generation {theirs} is not {ours}, the group's")]
    IllegalGeneration {
        /// The member's.
        theirs: i32,
        /// The group's.
        ours: i32,
    },
    /// The members are to join again.
    #[error("the group rebalances")]
    RebalanceInProgress,
    /// No protocol of the member's is one that all members have.
    #[error("the member's protocols are not the group's")]
    InconsistentProtocol,
    /// A timeout out of bounds.
    #[error("a session timeout of {session_timeout_ms} ms is not within {min_ms} to {max_ms} ms")]
    InvalidSessionTimeout {
        /// As asked for.
        session_timeout_ms: i32,
        /// The shortest.
        min_ms: i32,
        /// The longest.
        max_ms: i32,
    },
    /// The member is to join again with the id that it was given (KIP-394).
    #[error("join again with the member id in the answer")]
    MemberIdRequired,
    /// As many members as there may be.
    #[error("the group has {limit} members, which is as many as it may have")]
    TooManyMembers {
        /// As many as there may be.
        limit: usize,
    },
    /// A member says more of itself than is kept.
    #[error("a member says {size_bytes} bytes of itself, at most {limit_bytes} are kept")]
    MemberTooLarge {
        /// As sent.
        size_bytes: usize,
        /// As much as is kept.
        limit_bytes: usize,
    },
    /// More text than a commit may carry.
    #[error("{size_bytes} bytes of metadata with an offset, at most {limit_bytes} are kept")]
    MetadataTooLarge {
        /// As sent.
        size_bytes: usize,
        /// As much as is kept.
        limit_bytes: usize,
    },
    /// The group is not what the request is for.
    #[error("Group {group} is not a {wanted} group.")]
    OtherKind {
        /// Its id.
        group: String,
        /// Kafka's name of the kind that was asked for.
        wanted: &'static str,
    },
    /// The member is in another epoch, and has to give up everything and join anew (KIP-848).
    #[error(
        "member epoch {theirs} is not {ours}, the group's: the member must abandon all its \
         partitions and rejoin"
    )]
    FencedMemberEpoch {
        /// The member's.
        theirs: i32,
        /// The group's.
        ours: i32,
    },
    /// The member is in another epoch by now, and may try again.
    #[error("member epoch {theirs} is not {ours}, the group's")]
    StaleMemberEpoch {
        /// The member's.
        theirs: i32,
        /// The group's.
        ours: i32,
    },
    /// Another member has the instance id, and has not left.
    #[error("instance {instance:?} is another member's, which has not left")]
    UnreleasedInstance {
        /// The instance's id.
        instance: String,
    },
    /// The broker knows no such way of assignment.
    #[error("ServerAssignor {name} is not supported. Supported assignors: uniform, range.")]
    UnsupportedAssignor {
        /// As asked for.
        name: String,
    },
    /// No pattern of topics.
    #[error("SubscribedTopicRegex is not a valid regular expression: {0}")]
    InvalidRegex(String),
    /// A request that contradicts itself.
    #[error("{0}")]
    InvalidRequest(String),
    /// It has members, so that it cannot be deleted, nor its offsets.
    #[error("The group is not empty.")]
    NotEmpty,
    /// A member reads the topic, so that its offsets cannot be deleted.
    #[error("the group is subscribed to the topic")]
    Subscribed,
    /// More than the log takes at once.
    #[error("more than the group's log takes at once")]
    TooLarge,
    /// The log takes no records at the moment.
    #[error("the group's log takes no records at the moment")]
    NotAvailable,
}

impl From<NotAppended> for GroupError {
    fn from(refused: NotAppended) -> GroupError {
        match refused {
            NotAppended::TooLarge => GroupError::TooLarge,
            NotAppended::NotNow => GroupError::NotAvailable,
        }
    }
}

/// A consumer that wants to be a member (JoinGroup).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Join {
    /// The group's id.
    pub group: String,
    /// Empty for one that was no member before.
    pub member: String,
    /// Of a static member (KIP-345).
    pub instance: Option<String>,
    /// Who asks.
    pub client: ClientInfo,
    /// After so long without a sign of life the member is gone.
    pub session_timeout_ms: i32,
    /// How long the member may take to join again when the group rebalances.
    pub rebalance_timeout_ms: i32,
    /// `consumer`, `connect` and the like.
    pub protocol_type: String,
    /// Ways of assignment that the member knows, the best first, each with what it says of itself.
    pub protocols: Vec<(String, Bytes)>,
    /// The member knows that it may be told to join again with an id (KIP-394).
    pub may_be_given_id: bool,
    /// The member knows that it may be told to keep the assignment, although it leads (KIP-814).
    pub may_skip_assignment: bool,
}

/// The answer to a member that has joined.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Joined {
    /// Of the group.
    pub generation: i32,
    /// As the members have said.
    pub protocol_type: Option<String>,
    /// The chosen one.
    pub protocol: Option<String>,
    /// The member that assigns.
    pub leader: String,
    /// The member's id.
    pub member: String,
    /// Everybody, for the one that assigns.
    pub members: Vec<JoinedMember>,
    /// The leader is to leave assignments as they are (KIP-814).
    pub skip_assignment: bool,
}

/// A member, as the leader is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JoinedMember {
    /// Its id.
    pub id: String,
    /// Of a static member.
    pub instance: Option<String>,
    /// What it says of itself for the chosen protocol.
    pub metadata: Bytes,
}

/// The answer to a consumer that has not joined.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JoinRefused {
    /// Why.
    pub error: GroupError,
    /// Its id, which may be a new one.
    pub member: String,
}

/// A member that asks for its assignment, or, if it leads, gives those of all (SyncGroup).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sync {
    /// Who it is.
    pub member: MemberOf,
    /// As it knows it; none where it does not say (KIP-559).
    pub protocol_type: Option<String>,
    /// As it knows it; none where it does not say.
    pub protocol: Option<String>,
    /// By member, from the one that leads.
    pub assignments: Vec<(String, Bytes)>,
}

/// The answer to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Synced {
    /// The group's.
    pub protocol_type: Option<String>,
    /// The group's.
    pub protocol: Option<String>,
    /// The member's, as the leader has given it.
    pub assignment: Bytes,
}

/// A member, as it names itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MemberOf {
    /// The group's id.
    pub group: String,
    /// Its own.
    pub member: String,
    /// Of a static member.
    pub instance: Option<String>,
    /// The generation that it believes itself in.
    pub generation: i32,
}

/// A member that leaves, or is taken out (LeaveGroup).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Leaving {
    /// Its id; empty for a static member that is named by its instance alone.
    pub member: String,
    /// Of a static member.
    pub instance: Option<String>,
}

/// A group, as whoever asks is told (DescribeGroups).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Description {
    /// What it is doing.
    pub state: ClassicState,
    /// Empty if there never was a member.
    pub protocol_type: String,
    /// Empty if it is not stable.
    pub protocol: String,
    /// In the order of their ids.
    pub members: Vec<DescribedMember>,
}

/// One of its members.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DescribedMember {
    /// Its id.
    pub id: String,
    /// Of a static member.
    pub instance: Option<String>,
    /// Who it is.
    pub client: ClientInfo,
    /// For the chosen protocol; empty if the group is not stable.
    pub metadata: Bytes,
    /// Empty if the group is not stable.
    pub assignment: Bytes,
}
