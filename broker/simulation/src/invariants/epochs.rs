//! Epochs (P10): leader epochs rise along the log, and no one is told a lower one later.

use std::collections::BTreeMap;

use crate::history::{History, SeenBatch};

pub(super) fn check(history: &History) -> Result<(), String> {
    let at_the_end = history.finals.iter().map(|(partition, log)| (*partition, &log.batches));
    let fetched = history.fetches.iter().map(|fetch| (fetch.partition, &fetch.batches));
    for (partition, batches) in at_the_end.chain(fetched) {
        let falls = |pair: &&[SeenBatch]| pair[1].leader_epoch < pair[0].leader_epoch;
        if let Some(pair) = batches.windows(2).find(falls) {
            let (offset, epoch) = (pair[1].base_offset.0, pair[1].leader_epoch.0);
            let before = pair[0].leader_epoch.0;
            return Err(format!("{partition}: epoch {before} becomes {epoch} at offset {offset}"));
        }
    }
    // By the time at which they were told; who asked before that may be told less.
    let mut told = history.told_epochs.clone();
    told.sort_by_key(|told| told.span.ended_at);
    let mut known: BTreeMap<_, Vec<_>> = BTreeMap::new();
    for told in told {
        let of_partition = known.entry(told.partition).or_default();
        let before = of_partition.partition_point(|(at, _)| *at < told.span.started_at);
        let highest = of_partition[..before].last().map(|(_, epoch)| *epoch);
        if highest.is_some_and(|highest| told.epoch < highest) {
            let (partition, epoch, at) = (told.partition, told.epoch.0, told.span.started_at);
            return Err(format!("{partition}: epoch {epoch} was told at {at}, after {highest:?}"));
        }
        let highest = of_partition.last().map_or(told.epoch, |(_, last)| told.epoch.max(*last));
        of_partition.push((told.span.ended_at, highest));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Story, check};
    use expect_test::expect;
    use model::LeaderEpoch;

    #[test]
    fn epochs_do_not_fall() {
        let mut story = Story::new().end("durable", &[1, 2]);
        story.history.finals[0].1.batches[1].leader_epoch = LeaderEpoch(9);
        check(super::check, &story, expect!["ok"]);
        story.history.finals[0].1.batches[1].leader_epoch = LeaderEpoch(0);
        check(super::check, &story, expect!["broken"]);
        let story = Story::new().told("durable", 3);
        check(super::check, &story.clone().told("durable", 3), expect!["ok"]);
        check(super::check, &story.told("durable", 2), expect!["broken"]);
    }
}
