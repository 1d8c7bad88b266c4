//! The logs of partitions: where they begin and end, how large they are, and made to begin later.
//!
//! Guarantees: what is asked of one broker is asked once, so that whoever describes a cluster sees
//! what is wrong with it and does not wait for that to pass.

use std::collections::BTreeMap;

use model::{BrokerId, Offset, PartitionIndex};
use wire::delete_records::{DeleteRecordsPartition, DeleteRecordsTopic};
use wire::describe_log_dirs::{DescribableLogDirTopic, DescribeLogDirsResult};
use wire::{
    ApiKey, DeleteRecordsRequest, DescribeLogDirsRequest, ErrorCode, ListOffsetsRequest, Text,
};

use super::records::offsets_request;
use super::{Attempt, Cluster, OffsetAt, incomplete};
use crate::error::ClusterError;

/// Kafka's offset for the high watermark, whatever it is.
const HIGH_WATERMARK: Offset = Offset(-1);

/// Up to where records are deleted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeleteBefore {
    /// What has a lower offset goes.
    Offset(Offset),
    /// Everything that can be read goes.
    End,
}

/// A directory in which a broker keeps logs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogDir {
    pub path: String,
    /// That it cannot be used, if so.
    pub error: Option<ErrorCode>,
    /// Of its disk; none if the broker does not tell.
    pub total_bytes: Option<u64>,
    pub usable_bytes: Option<u64>,
    pub replicas: Vec<LogDirReplica>,
}

/// A partition's log in a directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogDirReplica {
    pub topic: String,
    pub partition: PartitionIndex,
    pub size_bytes: u64,
    /// How far it is behind the high watermark.
    pub offset_lag: i64,
    /// Being moved here from another directory.
    pub is_future: bool,
}

impl Cluster {
    /// The offsets of a place in partitions that this broker leads, or why there is none.
    pub async fn offsets_on(
        &self,
        broker: BrokerId,
        topic: &str,
        partitions: &[PartitionIndex],
        at: OffsetAt,
    ) -> Result<BTreeMap<PartitionIndex, Result<Offset, ErrorCode>>, ClusterError> {
        let request = offsets_request(topic, partitions, at);
        let response = self.connection(broker).await?.call(&request).await?;
        let answer = response.topics.first();
        let answer = answer.ok_or_else(|| incomplete::<ListOffsetsRequest>(topic))?;
        let offsets = answer.partitions.iter().map(|partition| {
            let offset = match partition.error_code {
                ErrorCode::None => Ok(partition.offset),
                code => Err(code),
            };
            (partition.partition_index, offset)
        });
        Ok(offsets.collect())
    }

    /// Where a broker keeps these partitions, and how large they are there.
    pub async fn describe_log_dirs(
        &self,
        broker: BrokerId,
        topic: &str,
        partitions: &[PartitionIndex],
    ) -> Result<Vec<LogDir>, ClusterError> {
        let asked = DescribableLogDirTopic {
            topic: Text::from(topic.to_owned()),
            partitions: partitions.to_vec(),
        };
        let request = DescribeLogDirsRequest { topics: Some(vec![asked]) };
        let response = self.connection(broker).await?.call(&request).await?;
        if response.error_code.is_error() {
            return Err(ClusterError::Refused {
                api_key: ApiKey::DescribeLogDirs,
                what: topic.to_owned(),
                code: response.error_code,
                message: None,
            });
        }
        Ok(response.results.iter().map(log_dir).collect())
    }

    /// Deletes the records of a partition before an offset, and returns where it begins then.
    ///
    /// A topic that does not exist is waited for, as it is in [`fetch`](Self::fetch).
    pub async fn delete_records(
        &self,
        topic: &str,
        partition: PartitionIndex,
        before: DeleteBefore,
    ) -> Result<Offset, ClusterError> {
        let offset = match before {
            DeleteBefore::Offset(offset) => offset,
            DeleteBefore::End => HIGH_WATERMARK,
        };
        let request = DeleteRecordsRequest {
            topics: vec![DeleteRecordsTopic {
                name: Text::from(topic.to_owned()),
                partitions: vec![DeleteRecordsPartition { partition_index: partition, offset }],
            }],
            timeout_ms: self.admin_timeout_ms(),
        };
        self.on_leader(ApiKey::DeleteRecords, topic, partition, async |connection, _, _| {
            let response = connection.call(&request).await?;
            let answer = response.topics.first().and_then(|it| it.partitions.first());
            let answer = answer.ok_or_else(|| incomplete::<DeleteRecordsRequest>(topic))?;
            Attempt::check(answer.error_code, None)?;
            Ok(answer.low_watermark)
        })
        .await
    }
}

fn log_dir(result: &DescribeLogDirsResult) -> LogDir {
    let replicas = result.topics.iter().flat_map(|topic| {
        topic.partitions.iter().map(|partition| LogDirReplica {
            topic: topic.name.as_str().to_owned(),
            partition: partition.partition_index,
            size_bytes: u64::try_from(partition.partition_size).unwrap_or(0),
            offset_lag: partition.offset_lag,
            is_future: partition.is_future_key,
        })
    });
    LogDir {
        path: result.log_dir.as_str().to_owned(),
        error: Some(result.error_code).filter(|code| code.is_error()),
        total_bytes: u64::try_from(result.total_bytes).ok(),
        usable_bytes: u64::try_from(result.usable_bytes).ok(),
        replicas: replicas.collect(),
    }
}
