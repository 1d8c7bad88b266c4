//! Whether the broker has what it has acknowledged.

use std::rc::Rc;

use client::{Cluster, ClusterError};
use model::PartitionIndex;

use super::group::{Book, Group};

/// Asks for the offsets of all groups. Gives how many were looked at, and what is wrong with them.
pub(super) async fn compare(
    cluster: &Cluster,
    topic: &str,
    groups: &[Rc<Group>],
) -> Result<(u64, Vec<String>), ClusterError> {
    let mut looked_at = 0;
    let mut wrong = Vec::new();
    for group in groups {
        let committed = cluster.committed_offsets(&group.name, None).await?;
        let of_topic = committed.get(topic);
        for (partition, book) in (0..).zip(&*group.books.borrow()) {
            let found = of_topic.and_then(|it| it.get(&PartitionIndex(partition)));
            looked_at += 1;
            if let Some(what) = wrong_of(*book, found.map_or(0, |it| it.offset.0)) {
                wrong.push(format!("{} partition {partition}: {what}", group.name));
            }
        }
    }
    Ok((looked_at, wrong))
}

/// A commit without an answer may be there or not.
fn wrong_of(book: Book, found: i64) -> Option<String> {
    let Book { sent, acknowledged } = book;
    let is_right = (acknowledged..=sent).contains(&found);
    (!is_right).then(|| {
        format!(
            "offset {found} is committed; {acknowledged} was acknowledged, {sent} was sent last"
        )
    })
}

#[cfg(test)]
mod tests;
