//! Records of groups of the protocol of KIP-848: `ConsumerGroupMetadata`, `…MemberMetadata`,
//! `…TargetAssignmentMetadata`, `…TargetAssignmentMember` and `…CurrentMemberAssignment` among Kafka's
//! message schemas. Each has one version, which is flexible.

use std::collections::BTreeSet;

use bytes::Bytes;
use model::PartitionIndex;

use super::{ClientInfo, GroupRecord, GroupRecordError, key_version};
use crate::group::Partitions;
use crate::group::primitive::{Reader, Writer};

const VERSION: i16 = 0;
/// Of the hash of topics in a group's record.
const TAG_TOPICS_HASH: u32 = 0;
/// Of [`ClassicMemberMetadata`] in a member's record.
const TAG_CLASSIC: u32 = 0;

/// A part of a group. Without a value it is gone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ConsumerRecord {
    /// The group's epoch, and a hash of the topics that its members read.
    Group(Option<(i32, i64)>),
    /// What a member says of itself.
    Member {
        /// Its id.
        member: String,
        /// What it says.
        value: Option<MemberMetadata>,
    },
    /// The group's epoch in which the assignor decided last.
    TargetEpoch(Option<i32>),
    /// What a member is to have.
    Target {
        /// Its id.
        member: String,
        /// What it is to have.
        value: Option<Partitions>,
    },
    /// What a member has.
    Current {
        /// Its id.
        member: String,
        /// What it has.
        value: Option<CurrentAssignment>,
    },
}

/// What a member says of itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MemberMetadata {
    /// Of a static member.
    pub instance: Option<String>,
    /// Where it is.
    pub rack: Option<String>,
    /// Who it is.
    pub client: ClientInfo,
    /// Topics that it reads.
    pub topics: BTreeSet<String>,
    /// A pattern of topics that it reads besides.
    pub regex: Option<String>,
    /// How long it may take to give partitions up.
    pub rebalance_timeout_ms: i32,
    /// The way of assignment that it wants.
    pub assignor: Option<String>,
    /// Of a member that joins and syncs, as members of classic groups do; none for one that only
    /// sends heartbeats.
    pub classic: Option<ClassicMemberMetadata>,
}

/// What a member says besides that speaks the classic protocol.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ClassicMemberMetadata {
    /// After so long without a sign of life it is gone.
    pub session_timeout_ms: i32,
    /// The best first, each with what it says of itself.
    pub supported_protocols: Vec<(String, Bytes)>,
}

/// What a member has.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CurrentAssignment {
    /// What the member is expected to say.
    pub epoch: i32,
    /// What it says if it has not heard of that one.
    pub previous_epoch: i32,
    /// On its way to what it is to have.
    pub state: MemberState,
    /// Its own.
    pub assigned: Partitions,
    /// What it has yet to give up.
    pub revoking: Partitions,
}

/// How far a member is on its way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum MemberState {
    /// It has what it is to have.
    #[default]
    Stable,
    /// It has yet to give up some.
    UnrevokedPartitions,
    /// Others have yet to give up some that it is to have.
    UnreleasedPartitions,
}

impl MemberState {
    const ALL: [MemberState; 3] =
        [MemberState::Stable, MemberState::UnrevokedPartitions, MemberState::UnreleasedPartitions];

    fn code(self) -> i8 {
        match self {
            MemberState::Stable => 0,
            MemberState::UnrevokedPartitions => 1,
            MemberState::UnreleasedPartitions => 2,
        }
    }
}

impl ConsumerRecord {
    /// Whether it says that something is not there any more.
    pub(in crate::group) fn is_gone(&self) -> bool {
        match self {
            ConsumerRecord::Group(value) => value.is_none(),
            ConsumerRecord::Member { value, .. } => value.is_none(),
            ConsumerRecord::TargetEpoch(value) => value.is_none(),
            ConsumerRecord::Target { value, .. } => value.is_none(),
            ConsumerRecord::Current { value, .. } => value.is_none(),
        }
    }

    pub(super) fn encode(&self, group: &str) -> (Vec<u8>, Option<Vec<u8>>) {
        let mut key = Writer::default();
        let (kind, member, value) = match self {
            ConsumerRecord::Group(value) => (
                key_version::CONSUMER_GROUP,
                None,
                value.map(|(epoch, hash)| encode_group(epoch, hash)),
            ),
            ConsumerRecord::Member { member, value } => {
                (key_version::CONSUMER_MEMBER, Some(member), value.as_ref().map(encode_member))
            }
            ConsumerRecord::TargetEpoch(value) => {
                (key_version::CONSUMER_TARGET_EPOCH, None, value.map(encode_target_epoch))
            }
            ConsumerRecord::Target { member, value } => {
                (key_version::CONSUMER_TARGET, Some(member), value.as_ref().map(encode_target))
            }
            ConsumerRecord::Current { member, value } => {
                (key_version::CONSUMER_CURRENT, Some(member), value.as_ref().map(encode_current))
            }
        };
        key.i16(kind);
        key.string(group);
        if let Some(member) = member {
            key.string(member);
        }
        (key.finish(), value)
    }

    /// None if it is of another kind.
    pub(super) fn decode(
        kind: i16,
        mut key: Reader<'_>,
        value: Option<&[u8]>,
    ) -> Result<Option<GroupRecord>, GroupRecordError> {
        let is_known = matches!(
            kind,
            key_version::CONSUMER_GROUP
                | key_version::CONSUMER_MEMBER
                | key_version::CONSUMER_TARGET_EPOCH
                | key_version::CONSUMER_TARGET
                | key_version::CONSUMER_CURRENT
        );
        if !is_known {
            return Ok(None);
        }
        let group = key.string()?;
        let of = match kind {
            key_version::CONSUMER_GROUP => {
                ConsumerRecord::Group(value.map(decode_group).transpose()?)
            }
            key_version::CONSUMER_TARGET_EPOCH => {
                ConsumerRecord::TargetEpoch(value.map(decode_target_epoch).transpose()?)
            }
            key_version::CONSUMER_MEMBER => ConsumerRecord::Member {
                member: key.string()?,
                value: value.map(decode_member).transpose()?,
            },
            key_version::CONSUMER_TARGET => ConsumerRecord::Target {
                member: key.string()?,
                value: value.map(decode_target).transpose()?,
            },
            _ => ConsumerRecord::Current {
                member: key.string()?,
                value: value.map(decode_current).transpose()?,
            },
        };
        Ok(Some(GroupRecord::Consumer { group, of }))
    }
}

fn reader<'a>(what: &'static str, value: &'a [u8]) -> Result<Reader<'a>, GroupRecordError> {
    let mut reader = Reader::new(what, value);
    reader.version(VERSION)?;
    reader.set_flexible(true);
    Ok(reader)
}

fn encode_group(epoch: i32, topics_hash: i64) -> Vec<u8> {
    let mut out = Writer::default();
    out.i16(VERSION);
    out.i32(epoch);
    out.varint(u32::from(topics_hash != 0));
    if topics_hash != 0 {
        out.varint(TAG_TOPICS_HASH);
        out.varint(8);
        out.i64(topics_hash);
    }
    out.finish()
}

fn decode_group(value: &[u8]) -> Result<(i32, i64), GroupRecordError> {
    let mut reader = reader("group's epoch", value)?;
    let (epoch, mut topics_hash) = (reader.i32()?, 0);
    reader.tagged_fields(|tag, mut field| {
        if tag == TAG_TOPICS_HASH {
            topics_hash = field.i64()?;
        }
        Ok(())
    })?;
    Ok((epoch, topics_hash))
}

fn encode_member(member: &MemberMetadata) -> Vec<u8> {
    let mut out = Writer::default();
    out.i16(VERSION);
    out.compact_nullable_string(member.instance.as_deref());
    out.compact_nullable_string(member.rack.as_deref());
    out.compact_string(&member.client.id);
    out.compact_string(&member.client.host);
    out.compact_count(member.topics.len());
    for topic in &member.topics {
        out.compact_string(topic);
    }
    out.compact_nullable_string(member.regex.as_deref());
    out.i32(member.rebalance_timeout_ms);
    out.compact_nullable_string(member.assignor.as_deref());
    // For Kafka a record without the field is one of a classic member that has said nothing.
    let classic = encode_classic(member.classic.as_ref());
    out.varint(1);
    out.varint(TAG_CLASSIC);
    out.varint(u32::try_from(classic.len()).expect("it came in a request, which bounds it"));
    out.raw(&classic);
    out.finish()
}

/// A nullable structure begins with a number that says whether it is there.
fn encode_classic(classic: Option<&ClassicMemberMetadata>) -> Vec<u8> {
    let mut out = Writer::default();
    out.varint(u32::from(classic.is_some()));
    if let Some(ClassicMemberMetadata { session_timeout_ms, supported_protocols }) = classic {
        out.i32(*session_timeout_ms);
        out.compact_count(supported_protocols.len());
        for (name, metadata) in supported_protocols {
            out.compact_string(name);
            out.compact_count(metadata.len());
            out.raw(metadata);
            out.varint(0);
        }
        out.varint(0);
    }
    out.finish()
}

fn decode_member(value: &[u8]) -> Result<MemberMetadata, GroupRecordError> {
    let mut reader = reader("member of a group", value)?;
    let (instance, rack) = (reader.nullable_string()?, reader.nullable_string()?);
    let client = ClientInfo { id: reader.string()?, host: reader.string()? };
    let mut topics = BTreeSet::new();
    for _ in 0..reader.count()? {
        topics.insert(reader.string()?);
    }
    let regex = reader.nullable_string()?;
    let rebalance_timeout_ms = reader.i32()?;
    let assignor = reader.nullable_string()?;
    let mut classic = None;
    reader.tagged_fields(|tag, field| {
        if tag == TAG_CLASSIC {
            classic = decode_classic(field)?;
        }
        Ok(())
    })?;
    Ok(MemberMetadata {
        instance,
        rack,
        client,
        topics,
        regex,
        rebalance_timeout_ms,
        assignor,
        classic,
    })
}

fn decode_classic(
    mut field: Reader<'_>,
) -> Result<Option<ClassicMemberMetadata>, GroupRecordError> {
    if field.varint()? == 0 {
        return Ok(None);
    }
    let session_timeout_ms = field.i32()?;
    let mut supported_protocols = Vec::new();
    for _ in 0..field.count()? {
        supported_protocols.push((field.string()?, field.bytes()?));
        field.skip_tagged_fields()?;
    }
    field.skip_tagged_fields()?;
    Ok(Some(ClassicMemberMetadata { session_timeout_ms, supported_protocols }))
}

fn encode_target_epoch(epoch: i32) -> Vec<u8> {
    let mut out = Writer::default();
    out.i16(VERSION);
    out.i32(epoch);
    out.varint(0);
    out.finish()
}

fn decode_target_epoch(value: &[u8]) -> Result<i32, GroupRecordError> {
    let mut reader = reader("epoch of an assignment", value)?;
    let epoch = reader.i32()?;
    reader.skip_tagged_fields()?;
    Ok(epoch)
}

fn encode_target(partitions: &Partitions) -> Vec<u8> {
    let mut out = Writer::default();
    out.i16(VERSION);
    put_partitions(&mut out, partitions);
    out.varint(0);
    out.finish()
}

fn decode_target(value: &[u8]) -> Result<Partitions, GroupRecordError> {
    let mut reader = reader("assignment of a member", value)?;
    let partitions = partitions_of(&mut reader)?;
    reader.skip_tagged_fields()?;
    Ok(partitions)
}

fn encode_current(current: &CurrentAssignment) -> Vec<u8> {
    let mut out = Writer::default();
    out.i16(VERSION);
    out.i32(current.epoch);
    out.i32(current.previous_epoch);
    out.i8(current.state.code());
    put_partitions(&mut out, &current.assigned);
    put_partitions(&mut out, &current.revoking);
    out.varint(0);
    out.finish()
}

fn decode_current(value: &[u8]) -> Result<CurrentAssignment, GroupRecordError> {
    let mut reader = reader("partitions of a member", value)?;
    let (epoch, previous_epoch, code) = (reader.i32()?, reader.i32()?, reader.i8()?);
    let known = MemberState::ALL.into_iter().find(|state| state.code() == code);
    // One of a later version: the member has to say what it has.
    let state = known.unwrap_or(MemberState::UnrevokedPartitions);
    let (assigned, revoking) = (partitions_of(&mut reader)?, partitions_of(&mut reader)?);
    reader.skip_tagged_fields()?;
    Ok(CurrentAssignment { epoch, previous_epoch, state, assigned, revoking })
}

fn put_partitions(out: &mut Writer, partitions: &Partitions) {
    out.compact_count(partitions.topics().len());
    for (topic, indexes) in partitions.topics() {
        out.raw(topic.bytes());
        out.compact_count(indexes.len());
        for index in indexes {
            out.i32(index.0);
        }
        out.varint(0);
    }
}

fn partitions_of(reader: &mut Reader<'_>) -> Result<Partitions, GroupRecordError> {
    let mut partitions = Partitions::default();
    for _ in 0..reader.count()? {
        let topic = reader.topic_id()?;
        for _ in 0..reader.count()? {
            partitions.insert(topic, PartitionIndex(reader.i32()?));
        }
        reader.skip_tagged_fields()?;
    }
    Ok(partitions)
}
