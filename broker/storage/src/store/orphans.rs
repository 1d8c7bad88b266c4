//! Directories of partitions that live nowhere (rule C5).

use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};

use model::{PartitionIndex, TopicId, TopicPartition};

use super::partition_path;
use crate::error::StartError;
use crate::journal::recovery::remove_dir_and_files;
use crate::log::DELETED;

/// Ends the name of a partition's directory that no journal knows.
const ORPHAN: &str = "orphan";

/// Puts the directories of partitions aside that no journal knows, under names that are served by
/// nobody, and removes those of partitions that were deleted. `live` are the logs of all journals,
/// `left` the partitions that have left one. Returns what was put aside.
///
/// Only when no journal was found damaged: what a damaged one knows is not all told. And not while
/// partitions are created.
pub async fn set_orphans_aside(
    data_dir: &Path,
    live: &BTreeSet<TopicPartition>,
    left: &BTreeSet<TopicPartition>,
) -> Result<Vec<PathBuf>, StartError> {
    let mut orphans = Vec::new();
    let topics = data_dir.join("topics");
    for (topic, topic_path) in directories(&topics).await? {
        let Some(topic) = TopicId::from_hex(&topic) else { continue };
        let mut is_empty = true;
        for (name, path) in directories(&topic_path).await? {
            let partition = partition_of(topic, &name);
            if name.ends_with(&format!(".{DELETED}"))
                || partition.is_some_and(|partition| {
                    left.contains(&partition) && !live.contains(&partition)
                })
            {
                remove_dir_and_files(&path).await.map_err(failed("remove", &path))?;
                continue;
            }
            is_empty = false;
            if let Some(partition) = partition
                && !live.contains(&partition)
            {
                let aside = partition_path(data_dir, partition).with_extension(ORPHAN);
                runtime::rename(&path, &aside).await.map_err(failed("put aside", &path))?;
                tracing::warn!(%partition, path = %aside.display(),
                    "a directory that no journal knows was put aside");
                orphans.push(aside);
            }
        }
        if is_empty {
            match runtime::remove_dir(&topic_path).await {
                Err(error) if error.kind() != io::ErrorKind::DirectoryNotEmpty => {
                    return Err(failed("remove", &topic_path)(error));
                }
                _ => {}
            }
        }
    }
    Ok(orphans)
}

/// The directories in one, with their names; none if it is not there.
async fn directories(path: &Path) -> Result<Vec<(String, PathBuf)>, StartError> {
    let entries = match runtime::read_dir(path).await {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.map_err(failed("read", path))?,
    };
    let directories = entries.into_iter().filter(|entry| entry.is_dir);
    Ok(directories.map(|entry| (entry.name.clone(), path.join(entry.name))).collect())
}

/// The partition whose directory has this name; none for any other name.
fn partition_of(topic: TopicId, name: &str) -> Option<TopicPartition> {
    let number: i32 = name.parse().ok()?;
    // Only the one spelling, as it is written.
    let is_ours = 0 <= number && number.to_string() == name;
    is_ours.then_some(TopicPartition { topic, partition: PartitionIndex(number) })
}

fn failed(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> StartError {
    let path = path.to_owned();
    move |source| StartError::Io { action, path, source }
}
