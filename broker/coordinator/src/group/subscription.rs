//! Kafka's consumer protocol, as JoinGroup and SyncGroup carry it for the classic protocol: what a
//! consumer says of itself ([`Subscription`]), and what it is given ([`Assignment`]). Formats:
//! `ConsumerProtocolSubscription` and `ConsumerProtocolAssignment` among Kafka's message schemas.

use std::collections::BTreeSet;

use bytes::Bytes;
use model::PartitionIndex;

use super::primitive::{Reader, Writer};
use super::{GroupRecordError, Partitions, Topics};

/// The protocol type of consumers, as opposed to Connect's workers and the like.
pub(super) const CONSUMER: &str = "consumer";

/// The last version of both formats.
const VERSION_MAX: i16 = 3;

/// Some of a topic's.
type NamedPartitions = (String, Vec<PartitionIndex>);

/// What a consumer says of itself when it joins.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Subscription {
    version: i16,
    /// Topics that it reads.
    pub(super) topics: BTreeSet<String>,
    /// What it has and does not give up before it joins. Empty for who gives up everything.
    owned: Vec<NamedPartitions>,
    /// Where it is.
    pub(super) rack: Option<String>,
}

impl Subscription {
    /// None if it is no such thing.
    pub(super) fn read(bytes: &[u8]) -> Option<Subscription> {
        Subscription::read_from(Reader::new("subscription", bytes)).ok()
    }

    fn read_from(mut bytes: Reader<'_>) -> Result<Subscription, GroupRecordError> {
        let version = version(&mut bytes)?;
        let topics = topics(&mut bytes)?;
        // What the assignor of the member says to that of the leader.
        let _user_data = bytes.nullable_bytes()?;
        let mut subscription = Subscription { version, topics, ..Default::default() };
        if 1 <= version {
            subscription.owned = partitions(&mut bytes)?;
        }
        if 2 <= version {
            let _generation = bytes.i32()?;
        }
        if 3 <= version {
            subscription.rack = bytes.nullable_string()?.filter(|rack| !rack.is_empty());
        }
        Ok(subscription)
    }

    /// What it has, of topics that there are.
    pub(super) fn owned(&self, topics: &dyn Topics) -> Partitions {
        by_id(&self.owned, topics)
    }

    /// What a member that has said this is to have, as it is told.
    pub(super) fn answer(&self, partitions: &Partitions, topics: &dyn Topics) -> Bytes {
        Assignment::write(self.version, partitions, topics)
    }
}

/// The topics in a subscription; what follows is the assignor's. None if it is no such thing.
pub(super) fn topics_of(subscription: &[u8]) -> Option<BTreeSet<String>> {
    let mut bytes = Reader::new("subscription", subscription);
    let _version = bytes.i16().ok()?;
    topics(&mut bytes).ok()
}

/// What a leader has given a member.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Assignment {
    partitions: Vec<NamedPartitions>,
    /// The assignor has said something besides, which only it understands.
    pub(super) has_user_data: bool,
}

impl Assignment {
    /// None if it is no such thing.
    pub(super) fn read(bytes: &[u8]) -> Option<Assignment> {
        Assignment::read_from(Reader::new("assignment", bytes)).ok()
    }

    fn read_from(mut bytes: Reader<'_>) -> Result<Assignment, GroupRecordError> {
        version(&mut bytes)?;
        let partitions = partitions(&mut bytes)?;
        let has_user_data = bytes.nullable_bytes()?.is_some_and(|data| !data.is_empty());
        Ok(Assignment { partitions, has_user_data })
    }

    /// Those of topics that there are.
    pub(super) fn partitions(&self, topics: &dyn Topics) -> Partitions {
        by_id(&self.partitions, topics)
    }

    fn write(version: i16, partitions: &Partitions, topics: &dyn Topics) -> Bytes {
        let named = partitions.topics();
        let named = named.filter_map(|(id, indexes)| Some((topics.name_of(id)?, indexes)));
        let named: Vec<_> = named.collect();
        let mut out = Writer::default();
        out.i16(version);
        out.count(named.len());
        for (name, indexes) in named {
            out.string(&name);
            out.count(indexes.len());
            for index in indexes {
                out.i32(index.0);
            }
        }
        // No data of an assignor's.
        out.i32(-1);
        Bytes::from(out.finish())
    }
}

fn by_id(named: &[NamedPartitions], topics: &dyn Topics) -> Partitions {
    let known = named.iter().filter_map(|(name, indexes)| {
        let (id, _) = topics.topic(name)?;
        Some(indexes.iter().map(move |index| (id, *index)))
    });
    known.flatten().collect()
}

fn version(bytes: &mut Reader<'_>) -> Result<i16, GroupRecordError> {
    // What later versions add comes after what is read here.
    Ok(bytes.version(i16::MAX)?.min(VERSION_MAX))
}

fn topics(bytes: &mut Reader<'_>) -> Result<BTreeSet<String>, GroupRecordError> {
    // Each takes some bytes, so that there is an end to it, whatever the count says.
    let count = bytes.count()?;
    (0..count).map(|_| bytes.string()).collect()
}

fn partitions(bytes: &mut Reader<'_>) -> Result<Vec<NamedPartitions>, GroupRecordError> {
    let count = bytes.count()?;
    let one = |_| {
        let name = bytes.string()?;
        let count = bytes.count()?;
        let indexes: Result<_, _> = (0..count).map(|_| bytes.i32().map(PartitionIndex)).collect();
        Ok((name, indexes?))
    };
    (0..count).map(one).collect()
}

#[cfg(test)]
mod tests;
