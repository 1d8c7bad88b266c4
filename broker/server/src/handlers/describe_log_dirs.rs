//! DescribeLogDirs: the data directory, and how large the partitions in it are.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;
use std::sync::Arc;

use model::{PartitionIndex, TopicPartition};
use runtime::CoreId;
use wire::describe_log_dirs::{
    DescribeLogDirsPartition, DescribeLogDirsResult, DescribeLogDirsTopic,
};
use wire::{DescribeLogDirsRequest, DescribeLogDirsResponse, ErrorCode, Text};

use crate::call::{CoreAnswer, CoreRequest};
use crate::core::Core;
use crate::image::TopicImage;

pub(super) async fn handle(
    core: &Rc<Core>,
    request: &DescribeLogDirsRequest,
) -> DescribeLogDirsResponse {
    let mut by_owner: BTreeMap<CoreId, Vec<TopicPartition>> = BTreeMap::new();
    let asked = asked_for(core, request);
    for (topic, indexes) in &asked {
        for (partition, owner) in indexes.iter().filter_map(|index| topic.partition(*index)) {
            by_owner.entry(owner).or_default().push(partition);
        }
    }
    let calls: Vec<_> = by_owner
        .into_iter()
        .map(|(owner, partitions)| {
            let call = core.mesh().call(owner, CoreRequest::Sizes(partitions.clone()));
            (partitions, call)
        })
        .collect();
    let mut sizes: BTreeMap<TopicPartition, u64> = BTreeMap::new();
    for (partitions, call) in calls {
        let Ok(CoreAnswer::Sizes(found)) = call.await else { continue };
        // Kafka leaves out, too, what is not there.
        let found = partitions.into_iter().zip(found);
        sizes.extend(found.filter_map(|(partition, size)| Some((partition, size.ok()?))));
    }
    let topics = asked.into_iter().map(|(topic, indexes)| {
        let size_of = |index: PartitionIndex| {
            let (partition, _) = topic.partition(index)?;
            Some(DescribeLogDirsPartition {
                partition_index: index,
                partition_size: i64::try_from(*sizes.get(&partition)?).unwrap_or(i64::MAX),
                offset_lag: 0,
                is_future_key: false,
            })
        };
        let partitions = indexes.into_iter().filter_map(size_of).collect();
        DescribeLogDirsTopic { name: topic.name.clone(), partitions }
    });
    let topics = topics.filter(|topic| !topic.partitions.is_empty()).collect();
    let data_dir = &core.config.data_dir;
    let space = runtime::space(data_dir).await;
    let bytes = |bytes: u64| i64::try_from(bytes).unwrap_or(i64::MAX);
    let (total_bytes, usable_bytes) = match &space {
        Ok(space) => (bytes(space.total_bytes), bytes(space.free_bytes)),
        Err(_) => (-1, -1),
    };
    let error_code = if space.is_ok() { ErrorCode::None } else { ErrorCode::KafkaStorageError };
    let result = DescribeLogDirsResult {
        error_code,
        log_dir: Text::from(data_dir.display().to_string()),
        topics,
        total_bytes,
        usable_bytes,
    };
    DescribeLogDirsResponse { results: vec![result], ..Default::default() }
}

/// Each topic and partition once, as far as they exist. Null asks for all.
fn asked_for(
    core: &Core,
    request: &DescribeLogDirsRequest,
) -> Vec<(Arc<TopicImage>, Vec<PartitionIndex>)> {
    let image = core.image();
    let Some(asked) = &request.topics else {
        let all = |topic: &Arc<TopicImage>| {
            let count = i32::try_from(topic.partitions.len()).expect("a topic's are counted so");
            (topic.clone(), (0..count).map(PartitionIndex).collect())
        };
        return image.topics().map(all).collect();
    };
    let mut wanted: BTreeMap<&str, BTreeSet<PartitionIndex>> = BTreeMap::new();
    for topic in asked {
        wanted.entry(&topic.topic).or_default().extend(&topic.partitions);
    }
    let known = wanted.into_iter().filter_map(|(name, indexes)| {
        Some((image.topic(name)?.clone(), indexes.into_iter().collect()))
    });
    known.collect()
}
