//! OffsetCommit, OffsetFetch and OffsetDelete: how far groups have come.

use std::rc::Rc;

use coordinator::group::{Commit, CommittedOffset, MemberOf, NewOffset, OffsetsOf};
use model::{LeaderEpoch, Offset, PartitionIndex};
use wire::offset_commit::{OffsetCommitResponsePartition, OffsetCommitResponseTopic};
use wire::offset_delete::{OffsetDeleteResponsePartition, OffsetDeleteResponseTopic};
use wire::offset_fetch::{
    OffsetFetchRequestGroup, OffsetFetchRequestTopic, OffsetFetchRequestTopics,
    OffsetFetchResponseGroup, OffsetFetchResponsePartition, OffsetFetchResponsePartitions,
    OffsetFetchResponseTopic, OffsetFetchResponseTopics,
};
use wire::{
    ErrorCode, OffsetCommitRequest, OffsetCommitResponse, OffsetDeleteRequest,
    OffsetDeleteResponse, OffsetFetchRequest, OffsetFetchResponse, Text,
};

use super::ask;
use crate::core::Core;
use crate::failure::Failure;
use crate::groups::{GroupAnswer, GroupRequest};

/// From here on a group that is not there is told as such (KIP-848).
const NOT_FOUND_VERSION_MIN: i16 = 9;
/// From here on, of several groups at once (KIP-709).
const GROUPS_VERSION_MIN: i16 = 8;
/// From here on an error that concerns all has a place of its own.
const ERROR_VERSION_MIN: i16 = 2;

pub(super) async fn commit(
    core: &Rc<Core>,
    version: i16,
    request: OffsetCommitRequest,
) -> OffsetCommitResponse {
    let retention_ms = request.retention_time_ms;
    let offsets = request.topics.iter().flat_map(|topic| {
        topic.partitions.iter().map(|partition| NewOffset {
            topic: topic.name.to_string(),
            partition: partition.partition_index,
            offset: partition.committed_offset,
            leader_epoch: partition.committed_leader_epoch,
            metadata: partition
                .committed_metadata
                .as_ref()
                .map(Text::to_string)
                .unwrap_or_default(),
        })
    });
    let commit = Commit {
        member: MemberOf {
            group: request.group_id.to_string(),
            member: request.member_id.to_string(),
            instance: request.group_instance_id.as_ref().map(Text::to_string),
            generation: request.generation_id_or_member_epoch,
        },
        retention_ms: (0 <= retention_ms).then_some(retention_ms),
        offsets: offsets.collect(),
    };
    let answer = ask(core, &request.group_id, || GroupRequest::Commit(commit)).await;
    let mut outcomes = match answer {
        Ok(GroupAnswer::Outcomes(outcomes)) => Ok(outcomes.into_iter()),
        Ok(other) => unreachable!("not an answer to this: {other:?}"),
        Err(failure) => Err(commit_code(version, failure.code)),
    };
    let mut next_code = || match &mut outcomes {
        Ok(outcomes) => match outcomes.next().expect("one for each partition") {
            Ok(()) => ErrorCode::None,
            Err(failure) => failure.code,
        },
        Err(code) => *code,
    };
    let topics = request.topics.into_iter().map(|topic| OffsetCommitResponseTopic {
        name: topic.name,
        partitions: topic
            .partitions
            .into_iter()
            .map(|partition| OffsetCommitResponsePartition {
                partition_index: partition.partition_index,
                error_code: next_code(),
            })
            .collect(),
    });
    OffsetCommitResponse { topics: topics.collect(), ..Default::default() }
}

/// What concerns the whole commit, as Kafka tells it.
fn commit_code(version: i16, code: ErrorCode) -> ErrorCode {
    match code {
        ErrorCode::GroupIdNotFound if version < NOT_FOUND_VERSION_MIN => {
            ErrorCode::IllegalGeneration
        }
        // The records are too many for the log.
        ErrorCode::UnknownServerError => ErrorCode::InvalidCommitOffsetSize,
        // Members of such groups know of epochs.
        ErrorCode::StaleMemberEpoch if version < NOT_FOUND_VERSION_MIN => {
            ErrorCode::UnsupportedVersion
        }
        code => code,
    }
}

pub(super) async fn fetch(
    core: &Rc<Core>,
    version: i16,
    request: OffsetFetchRequest,
) -> OffsetFetchResponse {
    if GROUPS_VERSION_MIN <= version {
        let mut groups = Vec::with_capacity(request.groups.len());
        for group in request.groups {
            groups.push(fetch_group(core, group).await);
        }
        return OffsetFetchResponse { groups, ..Default::default() };
    }
    let asked = request.topics.map(|topics| {
        let topics = topics.into_iter();
        topics.map(|OffsetFetchRequestTopic { name, partition_indexes }| (name, partition_indexes))
    });
    let (topics, error_code) = fetch_offsets(core, &request.group_id, None, asked).await;
    let of_version_1 = |code| if version < ERROR_VERSION_MIN { error_code } else { code };
    let topics = topics.into_iter().map(|(name, partitions)| OffsetFetchResponseTopic {
        name,
        partitions: partitions
            .into_iter()
            .map(|(partition_index, found)| OffsetFetchResponsePartition {
                partition_index,
                committed_offset: found.offset,
                committed_leader_epoch: found.leader_epoch,
                metadata: Some(Text::from(found.metadata)),
                error_code: of_version_1(ErrorCode::None),
            })
            .collect(),
    });
    OffsetFetchResponse { topics: topics.collect(), error_code, ..Default::default() }
}

async fn fetch_group(core: &Rc<Core>, group: OffsetFetchRequestGroup) -> OffsetFetchResponseGroup {
    let asked = group.topics.map(|topics| {
        let topics = topics.into_iter();
        topics.map(|OffsetFetchRequestTopics { name, partition_indexes }| (name, partition_indexes))
    });
    let member = group.member_id.map(|id| (id.to_string(), group.member_epoch));
    let (topics, error_code) = fetch_offsets(core, &group.group_id, member, asked).await;
    // With an error nothing is said of partitions.
    let topics = topics.into_iter().filter(|_| !error_code.is_error());
    let topics = topics.map(|(name, partitions)| OffsetFetchResponseTopics {
        name,
        partitions: partitions
            .into_iter()
            .map(|(partition_index, found)| OffsetFetchResponsePartitions {
                partition_index,
                committed_offset: found.offset,
                committed_leader_epoch: found.leader_epoch,
                metadata: Some(Text::from(found.metadata)),
                error_code: ErrorCode::None,
            })
            .collect(),
    });
    OffsetFetchResponseGroup { group_id: group.group_id, topics: topics.collect(), error_code }
}

/// What is answered of each topic, in order.
type Found = Vec<(Text, Vec<(PartitionIndex, Committed)>)>;

struct Committed {
    offset: Offset,
    leader_epoch: LeaderEpoch,
    metadata: String,
}

impl Committed {
    fn of(found: Option<&CommittedOffset>) -> Committed {
        match found {
            Some(found) => Committed {
                offset: found.offset,
                leader_epoch: found.leader_epoch,
                metadata: found.metadata.clone(),
            },
            None => Committed {
                offset: Offset::NONE,
                leader_epoch: LeaderEpoch::NONE,
                metadata: String::new(),
            },
        }
    }
}

/// The offsets of the partitions that are asked for, or of all; what the group has not is -1.
async fn fetch_offsets(
    core: &Rc<Core>,
    group: &Text,
    member: Option<(String, i32)>,
    asked: Option<impl Iterator<Item = (Text, Vec<PartitionIndex>)>>,
) -> (Found, ErrorCode) {
    let asked: Option<Vec<(Text, Vec<PartitionIndex>)>> = asked.map(Iterator::collect);
    let partitions = asked.as_ref().map(|topics| {
        let topics = topics.iter();
        topics.map(|(name, indexes)| (name.to_string(), indexes.clone())).collect()
    });
    let request = || GroupRequest::Offsets { group: group.to_string(), member, partitions };
    let (offsets, code) = match ask(core, group, request).await {
        Ok(GroupAnswer::Offsets(offsets)) => (offsets, ErrorCode::None),
        Ok(other) => unreachable!("not an answer to this: {other:?}"),
        Err(Failure { code, .. }) => (OffsetsOf::new(), code),
    };
    let found = match asked {
        None => offsets
            .iter()
            .map(|(topic, partitions)| {
                let partitions = partitions.iter();
                let all = partitions.map(|(index, found)| (*index, Committed::of(Some(found))));
                (Text::from(topic.clone()), all.collect())
            })
            .collect(),
        Some(asked) => asked
            .into_iter()
            .map(|(name, indexes)| {
                let of_topic = offsets.get(name.as_str());
                let of = |index| of_topic.and_then(|partitions| partitions.get(&index));
                let all = indexes.into_iter().map(|index| (index, Committed::of(of(index))));
                let all = all.collect();
                (name, all)
            })
            .collect(),
    };
    (found, code)
}

pub(super) async fn delete(core: &Rc<Core>, request: OffsetDeleteRequest) -> OffsetDeleteResponse {
    let image = core.image();
    let is_known = |topic: &Text, partition| {
        image.topic(topic).is_some_and(|topic| topic.partition(partition).is_some())
    };
    let asked = request.topics.iter().flat_map(|topic| {
        let partitions = topic.partitions.iter().map(|partition| partition.partition_index);
        partitions.map(|index| (&topic.name, index))
    });
    let known = asked.filter(|(topic, index)| is_known(topic, *index));
    let partitions = known.map(|(topic, index)| (topic.to_string(), index)).collect();
    let group = request.group_id.to_string();
    let deleted =
        ask(core, &request.group_id, || GroupRequest::DeleteOffsets { group, partitions }).await;
    let mut outcomes = match deleted {
        Ok(GroupAnswer::Outcomes(outcomes)) => outcomes.into_iter(),
        Ok(other) => unreachable!("not an answer to this: {other:?}"),
        Err(failure) => {
            return OffsetDeleteResponse { error_code: failure.code, ..Default::default() };
        }
    };
    let mut code_of = |topic: &Text, index| match is_known(topic, index) {
        false => ErrorCode::UnknownTopicOrPartition,
        true => match outcomes.next().expect("one for each that is known") {
            Ok(()) => ErrorCode::None,
            Err(failure) => failure.code,
        },
    };
    let topics = request.topics.into_iter().map(|topic| {
        let partitions = topic.partitions.iter().map(|partition| {
            let partition_index = partition.partition_index;
            let error_code = code_of(&topic.name, partition_index);
            OffsetDeleteResponsePartition { partition_index, error_code }
        });
        OffsetDeleteResponseTopic { partitions: partitions.collect(), name: topic.name }
    });
    OffsetDeleteResponse { topics: topics.collect(), ..Default::default() }
}
