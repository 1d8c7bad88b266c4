//! DeleteRecords: logs start later.

use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;

use model::Offset;
use runtime::CoreId;
use wire::delete_records::{DeleteRecordsPartitionResult, DeleteRecordsTopicResult};
use wire::{DeleteRecordsRequest, DeleteRecordsResponse, ErrorCode};

use crate::call::{CoreAnswer, CoreRequest};
use crate::core::Core;
use crate::failure::Failure;
use crate::image::is_internal;

/// Up to the high watermark.
const EVERYTHING: Offset = Offset(-1);

pub(super) async fn handle(
    core: &Rc<Core>,
    request: DeleteRecordsRequest,
) -> DeleteRecordsResponse {
    let image = core.image();
    type Deletions = (Vec<(usize, usize)>, Vec<(model::TopicPartition, Option<Offset>)>);
    let mut by_owner: BTreeMap<CoreId, Deletions> = BTreeMap::new();
    let mut topics = Vec::with_capacity(request.topics.len());
    for (topic_number, asked) in request.topics.into_iter().enumerate() {
        let topic = image.topic(&asked.name);
        let is_internal = is_internal(&asked.name);
        let mut partitions = Vec::with_capacity(asked.partitions.len());
        for (number, asked) in asked.partitions.into_iter().enumerate() {
            let place = topic.and_then(|topic| topic.partition(asked.partition_index));
            let is_kept = topic.is_some_and(|topic| !topic.log.is_deleted_from);
            let error_code = match place {
                Some(_) if is_internal => ErrorCode::InvalidTopicException,
                // Every key's last record is to stay.
                Some(_) if is_kept => ErrorCode::PolicyViolation,
                Some((partition, owner)) => {
                    let (numbers, deletions) = by_owner.entry(owner).or_default();
                    numbers.push((topic_number, number));
                    let before = (asked.offset != EVERYTHING).then_some(asked.offset);
                    deletions.push((partition, before));
                    // Until the owner has answered.
                    ErrorCode::RequestTimedOut
                }
                None => Failure::unknown_partition().code,
            };
            partitions.push(DeleteRecordsPartitionResult {
                partition_index: asked.partition_index,
                low_watermark: Offset::NONE,
                error_code,
            });
        }
        topics.push(DeleteRecordsTopicResult { name: asked.name, partitions });
    }
    let calls: Vec<_> = by_owner
        .into_iter()
        .map(|(owner, (numbers, deletions))| {
            (numbers, core.mesh().call(owner, CoreRequest::DeleteRecords(deletions)))
        })
        .collect();
    let begun = runtime::now();
    let limit = Duration::from_millis(u64::try_from(request.timeout_ms).unwrap_or(0));
    for (numbers, call) in calls {
        // What has begun goes on.
        let left = limit.saturating_sub(runtime::now().since(begun));
        let answer = match limit.is_zero() {
            true => Ok(call.await),
            false => runtime::timeout(left, call).await,
        };
        let log_starts = match answer {
            Ok(Ok(CoreAnswer::LogStarts(log_starts))) => log_starts,
            Ok(_) => {
                for (topic, number) in numbers {
                    topics[topic].partitions[number].error_code = ErrorCode::NotLeaderOrFollower;
                }
                continue;
            }
            Err(runtime::TimedOut) => continue,
        };
        for ((topic, number), log_start) in numbers.into_iter().zip(log_starts) {
            let slot = &mut topics[topic].partitions[number];
            match log_start {
                Ok(log_start) => {
                    slot.error_code = ErrorCode::None;
                    slot.low_watermark = log_start;
                }
                Err(failure) => slot.error_code = failure.code,
            }
        }
    }
    DeleteRecordsResponse { topics, ..Default::default() }
}
