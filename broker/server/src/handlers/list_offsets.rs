//! ListOffsets: the ends of partitions, and the records of a time.

use std::collections::BTreeMap;
use std::rc::Rc;

use model::Timestamp;
use replication::Isolation;
use runtime::CoreId;
use wire::list_offsets::{ListOffsetsPartitionResponse, ListOffsetsTopicResponse};
use wire::{ErrorCode, ListOffsetsRequest, ListOffsetsResponse};

use crate::call::{CoreAnswer, CoreRequest, OffsetPlace, OffsetQuery};
use crate::core::Core;
use crate::failure::Failure;

/// From here on answers tell the leader epoch of what they found.
const EPOCH_VERSION_MIN: i16 = 4;

pub(super) async fn handle(
    core: &Rc<Core>,
    version: i16,
    request: ListOffsetsRequest,
) -> ListOffsetsResponse {
    let image = core.image();
    let isolation = match request.isolation_level {
        1 => Isolation::ReadCommitted,
        _ => Isolation::ReadUncommitted,
    };
    type Queries = (Vec<(usize, usize)>, Vec<OffsetQuery>);
    let mut by_owner: BTreeMap<CoreId, Queries> = BTreeMap::new();
    let mut topics = Vec::with_capacity(request.topics.len());
    for (topic_number, asked) in request.topics.into_iter().enumerate() {
        let topic = image.topic(&asked.name);
        let mut partitions = Vec::with_capacity(asked.partitions.len());
        for (number, asked) in asked.partitions.into_iter().enumerate() {
            let place = topic.and_then(|topic| topic.partition(asked.partition_index));
            let place = place.ok_or_else(Failure::unknown_partition);
            let queried = place.and_then(|place| Ok((place, place_of(asked.timestamp)?)));
            let failure = match queried {
                Ok(((partition, owner), place)) => {
                    let (numbers, queries) = by_owner.entry(owner).or_default();
                    numbers.push((topic_number, number));
                    let leader_epoch = asked.current_leader_epoch;
                    queries.push(OffsetQuery { partition, leader_epoch, isolation, place });
                    // Overwritten by the owner's answer.
                    ErrorCode::NotLeaderOrFollower
                }
                Err(failure) => failure.code,
            };
            partitions.push(ListOffsetsPartitionResponse {
                partition_index: asked.partition_index,
                error_code: failure,
                ..Default::default()
            });
        }
        topics.push(ListOffsetsTopicResponse { name: asked.name, partitions });
    }
    let calls: Vec<_> = by_owner
        .into_iter()
        .map(|(owner, (numbers, queries))| {
            (numbers, core.mesh().call(owner, CoreRequest::FindOffsets(queries)))
        })
        .collect();
    for (numbers, call) in calls {
        let Ok(CoreAnswer::Offsets(found)) = call.await else { continue };
        for ((topic, number), found) in numbers.into_iter().zip(found) {
            let slot = &mut topics[topic].partitions[number];
            match found {
                Ok(found) => {
                    slot.error_code = ErrorCode::None;
                    slot.offset = found.offset;
                    slot.timestamp = found.timestamp;
                    if EPOCH_VERSION_MIN <= version {
                        slot.leader_epoch = found.leader_epoch;
                    }
                }
                Err(failure) => slot.error_code = failure.code,
            }
        }
    }
    ListOffsetsResponse { topics, ..Default::default() }
}

fn place_of(timestamp: i64) -> Result<OffsetPlace, Failure> {
    match timestamp {
        -1 => Ok(OffsetPlace::End),
        // The local start is the start where nothing is tiered.
        -2 | -4 => Ok(OffsetPlace::Start),
        -3 => Ok(OffsetPlace::LatestTime),
        -5 => Ok(OffsetPlace::Nowhere),
        0.. => Ok(OffsetPlace::Time(Timestamp(timestamp))),
        _ => {
            let text = format!("timestamp {timestamp} stands for nothing");
            Err(Failure::new(ErrorCode::InvalidRequest, text))
        }
    }
}
