//! OffsetForLeaderEpoch: where the records of leader epochs end.

use std::collections::BTreeMap;
use std::rc::Rc;

use runtime::CoreId;
use wire::offset_for_leader_epoch::{EpochEndOffset, OffsetForLeaderTopicResult};
use wire::{ErrorCode, OffsetForLeaderEpochRequest, OffsetForLeaderEpochResponse};

use crate::call::{CoreAnswer, CoreRequest, EpochQuery};
use crate::core::Core;
use crate::failure::Failure;

pub(super) async fn handle(
    core: &Rc<Core>,
    request: OffsetForLeaderEpochRequest,
) -> OffsetForLeaderEpochResponse {
    let image = core.image();
    type Queries = (Vec<(usize, usize)>, Vec<EpochQuery>);
    let mut by_owner: BTreeMap<CoreId, Queries> = BTreeMap::new();
    let mut topics = Vec::with_capacity(request.topics.len());
    for (topic_number, asked) in request.topics.into_iter().enumerate() {
        let topic = image.topic(&asked.topic);
        let mut partitions = Vec::with_capacity(asked.partitions.len());
        for (number, asked) in asked.partitions.into_iter().enumerate() {
            let place = topic.and_then(|topic| topic.partition(asked.partition));
            let error_code = match place {
                Some((partition, owner)) => {
                    let (numbers, queries) = by_owner.entry(owner).or_default();
                    numbers.push((topic_number, number));
                    queries.push(EpochQuery {
                        partition,
                        believed_epoch: asked.current_leader_epoch,
                        leader_epoch: asked.leader_epoch,
                    });
                    // Overwritten by the owner's answer.
                    ErrorCode::NotLeaderOrFollower
                }
                None => Failure::unknown_partition().code,
            };
            partitions.push(EpochEndOffset {
                partition: asked.partition,
                error_code,
                ..Default::default()
            });
        }
        topics.push(OffsetForLeaderTopicResult { topic: asked.topic, partitions });
    }
    let calls: Vec<_> = by_owner
        .into_iter()
        .map(|(owner, (numbers, queries))| {
            (numbers, core.mesh().call(owner, CoreRequest::FindEpochEnds(queries)))
        })
        .collect();
    for (numbers, call) in calls {
        let Ok(CoreAnswer::EpochEnds(found)) = call.await else { continue };
        for ((topic, number), found) in numbers.into_iter().zip(found) {
            let slot = &mut topics[topic].partitions[number];
            match found {
                Ok(end) => {
                    slot.error_code = ErrorCode::None;
                    if let Some(end) = end {
                        slot.leader_epoch = end.leader_epoch;
                        slot.end_offset = end.end_offset;
                    }
                }
                Err(failure) => slot.error_code = failure.code,
            }
        }
    }
    OffsetForLeaderEpochResponse { topics, ..Default::default() }
}
