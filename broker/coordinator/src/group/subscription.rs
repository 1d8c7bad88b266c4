//! Kafka's consumer protocol, as JoinGroup and SyncGroup carry it for the classic protocol: what a
//! consumer says of itself ([`Subscription`]), and what it is given ([`Assignment`]). Formats:
//! `ConsumerProtocolSubscription` and `ConsumerProtocolAssignment` among Kafka's message schemas.

use std::collections::BTreeSet;

use bytes::Bytes;
use model::PartitionIndex;

use super::{Partitions, Topics};

/// The protocol type of consumers, as opposed to Connect's workers and the like.
pub(super) const CONSUMER: &str = "consumer";

/// The last version of both formats. What later ones add comes after what is read here.
const VERSION_MAX: i16 = 3;

/// What a consumer says of itself when it joins.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Subscription {
    version: i16,
    /// Topics that it reads.
    pub(super) topics: BTreeSet<String>,
    /// What it has and does not give up before it joins. Empty for who gives up everything.
    owned: Vec<(String, Vec<PartitionIndex>)>,
    /// Where it is.
    pub(super) rack: Option<String>,
}

impl Subscription {
    /// None if it is no such thing.
    pub(super) fn read(mut bytes: &[u8]) -> Option<Subscription> {
        let bytes = &mut bytes;
        let version = version(bytes)?;
        let topics = all_of(bytes, string)?;
        // What the assignor of the member says to that of the leader.
        let _user_data = nullable_bytes(bytes)?;
        let mut subscription =
            Subscription { version, topics: topics.into_iter().collect(), ..Default::default() };
        if 1 <= version {
            subscription.owned = all_of(bytes, partitions)?;
        }
        if 2 <= version {
            let _generation: [u8; 4] = take(bytes)?;
        }
        if 3 <= version {
            subscription.rack = nullable_string(bytes)?.filter(|rack| !rack.is_empty());
        }
        Some(subscription)
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
pub(super) fn topics_of(mut subscription: &[u8]) -> Option<BTreeSet<String>> {
    let _version: [u8; 2] = take(&mut subscription)?;
    Some(all_of(&mut subscription, string)?.into_iter().collect())
}

/// What a leader has given a member.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Assignment {
    partitions: Vec<(String, Vec<PartitionIndex>)>,
    /// The assignor has said something besides, which only it understands.
    pub(super) has_user_data: bool,
}

impl Assignment {
    /// None if it is no such thing.
    pub(super) fn read(mut bytes: &[u8]) -> Option<Assignment> {
        let bytes = &mut bytes;
        version(bytes)?;
        let partitions = all_of(bytes, partitions)?;
        let has_user_data = nullable_bytes(bytes)?.is_some_and(|data| !data.is_empty());
        Some(Assignment { partitions, has_user_data })
    }

    /// Those of topics that there are.
    pub(super) fn partitions(&self, topics: &dyn Topics) -> Partitions {
        by_id(&self.partitions, topics)
    }

    fn write(version: i16, partitions: &Partitions, topics: &dyn Topics) -> Bytes {
        let count = |count: usize| u32::try_from(count).expect("fewer than 2^31 partitions");
        let named = partitions.topics();
        let named = named.filter_map(|(id, indexes)| Some((topics.name_of(id)?, indexes)));
        let named: Vec<_> = named.collect();
        let mut out = version.to_be_bytes().to_vec();
        out.extend(count(named.len()).to_be_bytes());
        for (name, indexes) in named {
            let length = u16::try_from(name.len()).expect("a topic's name is short");
            out.extend(length.to_be_bytes());
            out.extend(name.as_bytes());
            out.extend(count(indexes.len()).to_be_bytes());
            out.extend(indexes.iter().flat_map(|index| index.0.to_be_bytes()));
        }
        // No data of an assignor's.
        out.extend((-1_i32).to_be_bytes());
        Bytes::from(out)
    }
}

fn by_id(named: &[(String, Vec<PartitionIndex>)], topics: &dyn Topics) -> Partitions {
    let known = named.iter().filter_map(|(name, indexes)| {
        let (id, _) = topics.topic(name)?;
        Some(indexes.iter().map(move |index| (id, *index)))
    });
    known.flatten().collect()
}

// ---- Kafka's primitive types.

fn version(bytes: &mut &[u8]) -> Option<i16> {
    let version = i16::from_be_bytes(take(bytes)?);
    (0 <= version).then_some(version.min(VERSION_MAX))
}

fn all_of<T>(bytes: &mut &[u8], one: impl Fn(&mut &[u8]) -> Option<T>) -> Option<Vec<T>> {
    let count = u32::from_be_bytes(take(bytes)?);
    // Each takes some bytes, so that there is an end to it, whatever the count says.
    (0..count).map(|_| one(bytes)).collect()
}

fn partitions(bytes: &mut &[u8]) -> Option<(String, Vec<PartitionIndex>)> {
    let index = |bytes: &mut &[u8]| Some(PartitionIndex(i32::from_be_bytes(take(bytes)?)));
    Some((string(bytes)?, all_of(bytes, index)?))
}

fn string(bytes: &mut &[u8]) -> Option<String> {
    nullable_string(bytes)?
}

fn nullable_string(bytes: &mut &[u8]) -> Option<Option<String>> {
    let length = i16::from_be_bytes(take(bytes)?);
    let Some(text) = nullable(bytes, i32::from(length))? else { return Some(None) };
    Some(Some(std::str::from_utf8(text).ok()?.to_owned()))
}

fn nullable_bytes<'a>(bytes: &mut &'a [u8]) -> Option<Option<&'a [u8]>> {
    let length = i32::from_be_bytes(take(bytes)?);
    nullable(bytes, length)
}

/// A length of -1 is null.
fn nullable<'a>(bytes: &mut &'a [u8], length: i32) -> Option<Option<&'a [u8]>> {
    if length == -1 {
        return Some(None);
    }
    let (taken, after) = bytes.split_at_checked(usize::try_from(length).ok()?)?;
    *bytes = after;
    Some(Some(taken))
}

fn take<const N: usize>(bytes: &mut &[u8]) -> Option<[u8; N]> {
    let (taken, after) = bytes.split_first_chunk()?;
    *bytes = after;
    Some(*taken)
}

#[cfg(test)]
mod tests;
