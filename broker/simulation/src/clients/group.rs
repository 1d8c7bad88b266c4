//! What members of groups have in common: they go on where their group has come to, read on, and say
//! how far they have come.

use std::collections::BTreeMap;

use bytes::Bytes;
use model::{Offset, PartitionIndex, TopicPartition};
use runtime::with_rng;
use wire::offset_commit::{OffsetCommitRequestPartition, OffsetCommitRequestTopic};
use wire::offset_fetch::{
    OffsetFetchRequestGroup, OffsetFetchRequestTopic, OffsetFetchRequestTopics,
};
use wire::{ErrorCode, FindCoordinatorRequest, OffsetCommitRequest, OffsetFetchRequest, Text};

use super::peer::{Peer, any_version};
use super::reader::{FETCH_VERSION_MIN, Patience, Wanted, answers, fetch_request, read_batches};
use crate::history::{LongTopic, OffsetSet, OffsetTold, Outcome, ReadBy};

/// From this version on several groups are asked for at once.
const FETCH_GROUPS_VERSION_MIN: i16 = 8;

/// A member of a group, as it names itself when it commits.
#[derive(Clone, Debug)]
pub(super) struct Identity {
    pub(super) group: &'static str,
    pub(super) member: String,
    pub(super) instance: Option<String>,
    pub(super) generation: i32,
    /// From which version on the broker understands it.
    pub(super) commit_version_min: i16,
}

/// The partitions that a member reads, each with the offset at which it goes on.
pub(super) type Positions = BTreeMap<TopicPartition, Offset>;

/// The topic that groups read: the first, which is durable.
pub(super) fn topic_of_groups(peer: &Peer) -> LongTopic {
    peer.context.history.borrow().topics[0].clone()
}

fn text(text: &str) -> Text {
    Text::from(text.to_owned())
}

/// Asks who coordinates, which makes the topic of groups if need be.
pub(super) async fn find_coordinator(peer: &mut Peer, group: &str) {
    loop {
        let request = FindCoordinatorRequest { key: text(group), ..Default::default() };
        if let Ok(found) = peer.ask_at(3, &request).await
            && !found.error_code.is_error()
        {
            return;
        }
        peer.context.pause().await;
    }
}

/// Where the group has come to in these partitions: 0 where it has not begun. An error is the
/// broker's.
pub(super) async fn positions(
    peer: &mut Peer,
    group: &str,
    partitions: &[TopicPartition],
) -> Result<Positions, ErrorCode> {
    let topic = topic_of_groups(peer);
    let version = any_version::<OffsetFetchRequest>(2);
    let indexes: Vec<PartitionIndex> = partitions.iter().map(|it| it.partition).collect();
    let request = match FETCH_GROUPS_VERSION_MIN <= version {
        true => OffsetFetchRequest {
            groups: vec![OffsetFetchRequestGroup {
                group_id: text(group),
                topics: Some(vec![OffsetFetchRequestTopics {
                    name: text(&topic.name),
                    partition_indexes: indexes,
                }]),
                ..Default::default()
            }],
            ..Default::default()
        },
        false => OffsetFetchRequest {
            group_id: text(group),
            topics: Some(vec![OffsetFetchRequestTopic {
                name: text(&topic.name),
                partition_indexes: indexes,
            }]),
            ..Default::default()
        },
    };
    let begun = peer.context.begin();
    let lost = ErrorCode::NetworkException;
    let response = peer.ask_at(version, &request).await.map_err(|_| lost)?;
    // An older broker may have been asked at an older version.
    let told: Vec<(PartitionIndex, Offset)> = match response.groups.first() {
        Some(group) if group.error_code.is_error() => return Err(group.error_code),
        Some(group) => {
            let partitions = group.topics.iter().flat_map(|topic| &topic.partitions);
            partitions.map(|it| (it.partition_index, it.committed_offset)).collect()
        }
        None if response.error_code.is_error() => return Err(response.error_code),
        None => {
            let partitions = response.topics.iter().flat_map(|topic| &topic.partitions);
            partitions.map(|it| (it.partition_index, it.committed_offset)).collect()
        }
    };
    let mut positions = Positions::new();
    for (partition, offset) in told {
        let partition = TopicPartition { topic: topic.id, partition };
        let offset = Some(offset).filter(|offset| *offset != Offset::NONE);
        peer.context.history.borrow_mut().offsets_told.push(OffsetTold {
            group: group.to_owned(),
            partition,
            offset,
            span: begun.span(),
        });
        positions.insert(partition, offset.unwrap_or(Offset::ZERO));
    }
    Ok(positions)
}

/// Reads on in one of the partitions.
pub(super) async fn read_some(peer: &mut Peer, group: &str, positions: &mut Positions) {
    if positions.is_empty() {
        return;
    }
    let number = with_rng(|rng| rng.index(positions.len()));
    let (partition, position) =
        positions.iter().nth(number).map(|(p, o)| (*p, *o)).expect("it has one");
    let wanted =
        Wanted { topic: topic_of_groups(peer).name, partition, position, size_bytes_max: 4096 };
    let request = fetch_request(&[wanted], Patience::NONE);
    let begun = peer.context.begin();
    let Ok(response) = peer.ask_from(FETCH_VERSION_MIN, &request).await else { return };
    let Some(answer) = answers(&response).next().filter(|answer| !answer.error_code.is_error())
    else {
        return;
    };
    let (batches, _) = read_batches(answer);
    let records = batches.iter().flat_map(|batch| &batch.records);
    // The first batch may begin before the position.
    let Some(last) = records.map(|record| record.offset).max().filter(|last| position <= *last)
    else {
        return;
    };
    let end = last + 1;
    positions.insert(partition, end);
    peer.context.history.borrow_mut().read_by.push(ReadBy {
        group: group.to_owned(),
        partition,
        from: position,
        end,
        span: begun.span(),
    });
}

/// Says how far the member has come in all its partitions. What the broker answers, or none if the
/// answer was lost.
pub(super) async fn commit(
    peer: &mut Peer,
    identity: &Identity,
    positions: &Positions,
    is_stale: bool,
) -> Option<ErrorCode> {
    let topic = topic_of_groups(peer);
    let partitions = positions.iter().map(|(partition, offset)| OffsetCommitRequestPartition {
        partition_index: partition.partition,
        committed_offset: *offset,
        ..Default::default()
    });
    let request = OffsetCommitRequest {
        group_id: text(identity.group),
        generation_id_or_member_epoch: identity.generation,
        member_id: text(&identity.member),
        group_instance_id: identity.instance.as_deref().map(text),
        topics: vec![OffsetCommitRequestTopic {
            name: text(&topic.name),
            partitions: partitions.collect(),
        }],
        ..Default::default()
    };
    // Instances are named from version 7 on.
    let version_min = if identity.instance.is_some() { 7 } else { 2 };
    let version_min = version_min.max(identity.commit_version_min);
    let begun = peer.context.begin();
    let numbers: Vec<usize> = {
        let mut history = peer.context.history.borrow_mut();
        let sets = positions.iter().map(|(partition, offset)| OffsetSet {
            group: identity.group.to_owned(),
            member: identity.member.clone(),
            instance: identity.instance.clone(),
            partition: *partition,
            offset: *offset,
            is_stale,
            outcome: Outcome::Unknown,
            span: begun.span(),
        });
        let first = history.offsets_set.len();
        history.offsets_set.extend(sets);
        (first..history.offsets_set.len()).collect()
    };
    let version = any_version::<OffsetCommitRequest>(version_min);
    let response = peer.ask_at(version, &request).await.ok()?;
    let answers = response.topics.iter().flat_map(|topic| &topic.partitions);
    let mut worst = ErrorCode::None;
    for (number, answer) in numbers.into_iter().zip(answers) {
        let mut history = peer.context.history.borrow_mut();
        let set = &mut history.offsets_set[number];
        set.span = begun.span();
        set.outcome = match answer.error_code {
            ErrorCode::None => Outcome::Acknowledged { base_offset: set.offset },
            // It may have come to the log, and not to its end in time.
            ErrorCode::CoordinatorNotAvailable | ErrorCode::NotCoordinator => Outcome::Unknown,
            code => Outcome::Refused(code),
        };
        if answer.error_code.is_error() {
            worst = answer.error_code;
        }
    }
    Some(worst)
}

// ---- Kafka's consumer protocol, version 0, of one topic.

/// What a member says of itself when it joins.
pub(super) fn subscription(topic: &str) -> Bytes {
    Bytes::from([&topics(topic)[..], &NO_USER_DATA].concat())
}

/// What a leader gives a member.
pub(super) fn assignment(topic: &str, numbers: impl Iterator<Item = i32>) -> Bytes {
    let numbers: Vec<[u8; 4]> = numbers.map(i32::to_be_bytes).collect();
    let count = u32::try_from(numbers.len()).expect("few partitions").to_be_bytes();
    Bytes::from([&topics(topic)[..], &count, &numbers.concat(), &NO_USER_DATA].concat())
}

/// What a member was given. Nothing where the topic's name is not there.
pub(super) fn assigned(topic: &LongTopic, assignment: &[u8]) -> Vec<TopicPartition> {
    let before = topics(&topic.name);
    let numbers = assignment.strip_prefix(&before[..]).and_then(|rest| rest.get(4..));
    let (numbers, _) = numbers.unwrap_or_default().as_chunks::<4>();
    // The last of them is the length of the user data.
    let numbers = numbers.iter().map(|bytes| i32::from_be_bytes(*bytes)).filter(|it| 0 <= *it);
    let partition = |number| TopicPartition { topic: topic.id, partition: PartitionIndex(number) };
    numbers.map(partition).collect()
}

const NO_USER_DATA: [u8; 4] = (-1_i32).to_be_bytes();

fn topics(name: &str) -> Vec<u8> {
    let length = u16::try_from(name.len()).expect("a topic's name is short");
    [b"\0\0\0\0\0\x01", &length.to_be_bytes()[..], name.as_bytes()].concat()
}
