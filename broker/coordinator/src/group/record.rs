//! The records of `__consumer_offsets`, as Apache Kafka lays them out, so that its tools read them:
//! the key says which group, or which partition for which group; the value what holds from now on.
//!
//! Written in the versions that Kafka writes (an offset in 3, the newest that has no topic id); read
//! in all that there are. Formats: `GroupMetadataKey`, `GroupMetadataValue`, `OffsetCommitKey` and
//! `OffsetCommitValue` among Kafka's message schemas.

mod consumer;

use bytes::Bytes;
use model::{LeaderEpoch, Offset, PartitionIndex, Timestamp};

pub use self::consumer::{
    ClassicMemberMetadata, ConsumerRecord, CurrentAssignment, MemberMetadata, MemberState,
};
use super::member::ClientInfo;
use super::offsets::CommittedOffset;
use super::primitive::{Reader, Writer};

/// The number at the beginning of a key says what kind of record it is.
mod key_version {
    pub(super) const OFFSET_BEFORE_KIP_32: i16 = 0;
    pub(super) const OFFSET: i16 = 1;
    pub(super) const GROUP: i16 = 2;
    pub(super) const CONSUMER_GROUP: i16 = 3;
    pub(super) const CONSUMER_MEMBER: i16 = 5;
    pub(super) const CONSUMER_TARGET_EPOCH: i16 = 6;
    pub(super) const CONSUMER_TARGET: i16 = 7;
    pub(super) const CONSUMER_CURRENT: i16 = 8;
}

/// The first version of the value with compact lengths and tagged fields.
const FLEXIBLE_VERSION_MIN: i16 = 4;
const OFFSET_VERSION: i16 = 3;
/// With a time at which the offset expires, for clients that give one (OffsetCommit before 5).
const OFFSET_WITH_EXPIRY_VERSION: i16 = 1;
const OFFSET_VERSION_MAX: i16 = 4;
const GROUP_VERSION: i16 = 3;
const GROUP_VERSION_MAX: i16 = 4;

/// A change of a group. Without a value, what the key names is gone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum GroupRecord {
    /// How far a group has come in a partition.
    Offset {
        /// The group's id.
        group: String,
        /// The topic's name.
        topic: String,
        /// The partition.
        partition: PartitionIndex,
        /// How far.
        value: Option<CommittedOffset>,
    },
    /// A group of the classic protocol.
    Classic {
        /// The group's id.
        group: String,
        /// What it is now.
        value: Option<ClassicMetadata>,
    },
    /// A part of a group of the protocol of KIP-848.
    Consumer {
        /// The group's id.
        group: String,
        /// Which part.
        of: ConsumerRecord,
    },
}

/// What a record says of a group of the classic protocol.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ClassicMetadata {
    /// Empty if there never was a member.
    pub protocol_type: String,
    /// Counts the rebalances.
    pub generation: i32,
    /// The chosen protocol; none without members.
    pub protocol: Option<String>,
    /// The member that assigns; none without members.
    pub leader: Option<String>,
    /// Since when it is in its state.
    pub state_since: Option<Timestamp>,
    /// In the order of their ids.
    pub members: Vec<ClassicMember>,
}

/// What a record says of a member.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ClassicMember {
    /// Its id.
    pub id: String,
    /// Of a static member.
    pub instance: Option<String>,
    /// Who it is.
    pub client: ClientInfo,
    /// How long it may take to join again.
    pub rebalance_timeout_ms: i32,
    /// After so long without a sign of life it is gone.
    pub session_timeout_ms: i32,
    /// What it says of itself for the chosen protocol.
    pub subscription: Bytes,
    /// What the leader has given it. Empty for all members if the leader has not spoken yet.
    pub assignment: Bytes,
}

/// Why a record cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum GroupRecordError {
    /// It ends early, or a length is wrong.
    #[error("{what} cannot be read of {size_bytes} bytes")]
    Damaged {
        /// Of what.
        what: &'static str,
        /// The whole key's or value's.
        size_bytes: usize,
    },
    /// Of a later version.
    #[error("a {what} of version {version}, versions up to {max} are read")]
    Newer {
        /// Of what.
        what: &'static str,
        /// As found.
        version: i16,
        /// The last one known.
        max: i16,
    },
}

impl GroupRecord {
    /// The group that it is about.
    pub fn group(&self) -> &str {
        match self {
            GroupRecord::Offset { group, .. }
            | GroupRecord::Classic { group, .. }
            | GroupRecord::Consumer { group, .. } => group,
        }
    }

    /// The record's key, and its value if it has one.
    pub fn encode(&self) -> (Vec<u8>, Option<Vec<u8>>) {
        let mut key = Writer::default();
        match self {
            GroupRecord::Offset { group, topic, partition, value } => {
                key.i16(key_version::OFFSET);
                key.string(group);
                key.string(topic);
                key.i32(partition.0);
                (key.finish(), value.as_ref().map(encode_offset))
            }
            GroupRecord::Classic { group, value } => {
                key.i16(key_version::GROUP);
                key.string(group);
                (key.finish(), value.as_ref().map(encode_metadata))
            }
            GroupRecord::Consumer { group, of } => of.encode(group),
        }
    }

    /// Reads a record. None if it is of a kind that is not known here, such as one of a later Kafka.
    pub fn decode(
        key: &[u8],
        value: Option<&[u8]>,
    ) -> Result<Option<GroupRecord>, GroupRecordError> {
        let mut reader = Reader::new("key of a group's record", key);
        let record = match reader.i16()? {
            key_version::OFFSET_BEFORE_KIP_32 | key_version::OFFSET => GroupRecord::Offset {
                group: reader.string()?,
                topic: reader.string()?,
                partition: PartitionIndex(reader.i32()?),
                value: value.map(decode_offset).transpose()?,
            },
            key_version::GROUP => GroupRecord::Classic {
                group: reader.string()?,
                value: value.map(decode_metadata).transpose()?,
            },
            kind => return ConsumerRecord::decode(kind, reader, value),
        };
        Ok(Some(record))
    }
}

fn encode_offset(offset: &CommittedOffset) -> Vec<u8> {
    let CommittedOffset { offset, leader_epoch, metadata, committed_at, expires_at } = offset;
    let mut out = Writer::default();
    match expires_at {
        None => {
            out.i16(OFFSET_VERSION);
            out.i64(offset.0);
            out.i32(leader_epoch.0);
            out.string(metadata);
            out.i64(committed_at.0);
        }
        Some(expires_at) => {
            out.i16(OFFSET_WITH_EXPIRY_VERSION);
            out.i64(offset.0);
            out.string(metadata);
            out.i64(committed_at.0);
            out.i64(expires_at.0);
        }
    }
    out.finish()
}

fn decode_offset(value: &[u8]) -> Result<CommittedOffset, GroupRecordError> {
    let what = "committed offset";
    let mut reader = Reader::new(what, value);
    let version = reader.version(OFFSET_VERSION_MAX)?;
    reader.set_flexible(FLEXIBLE_VERSION_MIN <= version);
    let offset = Offset(reader.i64()?);
    let leader_epoch = match 3 <= version {
        true => LeaderEpoch(reader.i32()?),
        false => LeaderEpoch::NONE,
    };
    let metadata = reader.string()?;
    let committed_at = Timestamp(reader.i64()?);
    let expires_at = match version == OFFSET_WITH_EXPIRY_VERSION {
        true => Some(Timestamp(reader.i64()?)).filter(|time| *time != Timestamp::NONE),
        false => None,
    };
    Ok(CommittedOffset { offset, leader_epoch, metadata, committed_at, expires_at })
}

fn encode_metadata(group: &ClassicMetadata) -> Vec<u8> {
    let mut out = Writer::default();
    out.i16(GROUP_VERSION);
    out.string(&group.protocol_type);
    out.i32(group.generation);
    out.nullable_string(group.protocol.as_deref());
    out.nullable_string(group.leader.as_deref());
    out.i64(group.state_since.unwrap_or(Timestamp::NONE).0);
    out.count(group.members.len());
    for member in &group.members {
        out.string(&member.id);
        out.nullable_string(member.instance.as_deref());
        out.string(&member.client.id);
        out.string(&member.client.host);
        out.i32(member.rebalance_timeout_ms);
        out.i32(member.session_timeout_ms);
        out.bytes(&member.subscription);
        out.bytes(&member.assignment);
    }
    out.finish()
}

fn decode_metadata(value: &[u8]) -> Result<ClassicMetadata, GroupRecordError> {
    let mut reader = Reader::new("group", value);
    let version = reader.version(GROUP_VERSION_MAX)?;
    reader.set_flexible(FLEXIBLE_VERSION_MIN <= version);
    let protocol_type = reader.string()?;
    let generation = reader.i32()?;
    let protocol = reader.nullable_string()?;
    let leader = reader.nullable_string()?;
    let state_since = match 2 <= version {
        true => Some(Timestamp(reader.i64()?)).filter(|time| *time != Timestamp::NONE),
        false => None,
    };
    let mut members = Vec::new();
    for _ in 0..reader.count()? {
        let id = reader.string()?;
        let instance = if 3 <= version { reader.nullable_string()? } else { None };
        let client = ClientInfo { id: reader.string()?, host: reader.string()? };
        let rebalance_timeout_ms = if 1 <= version { Some(reader.i32()?) } else { None };
        let session_timeout_ms = reader.i32()?;
        let subscription = reader.bytes()?;
        let assignment = reader.bytes()?;
        reader.skip_tagged_fields()?;
        members.push(ClassicMember {
            id,
            instance,
            client,
            rebalance_timeout_ms: rebalance_timeout_ms.unwrap_or(session_timeout_ms),
            session_timeout_ms,
            subscription,
            assignment,
        });
    }
    Ok(ClassicMetadata { protocol_type, generation, protocol, leader, state_since, members })
}

#[cfg(test)]
mod tests;
