//! Epoch ends (P12): where the records of a leader epoch are said to end, none of them or of an
//! earlier one is behind, and none of a later one before; and every epoch that was known is.
//!
//! The current epoch's end is the log's, with what is not committed yet. More may come after it,
//! and with the process its last records may go, so that a later epoch begins before it.

use std::collections::{BTreeMap, BTreeSet};

use model::{LeaderEpoch, Offset, TopicPartition};
use runtime::Instant;

use super::view::{acknowledged, life};
use crate::history::{EpochEnd, Era, History, SeenBatch};

/// What of a partition's life a fact belongs to.
type Life = (TopicPartition, Era);

/// A record that somebody has seen.
#[derive(Clone, Copy)]
struct Record {
    epoch: LeaderEpoch,
    offset: Offset,
    /// When somebody knew that it is there.
    known_at: Instant,
}

pub(super) fn check(history: &History) -> Result<(), String> {
    let (records, epochs) = (seen_records(history), known_epochs(history));
    for told in &history.epoch_ends {
        let of_life = records.get(&life(history, told.partition, told.span.era));
        let highest_epoch = epochs.get(&told.partition).and_then(|known| {
            let before = known.iter().take_while(|(at, _)| *at < told.span.started_at);
            before.map(|(_, epoch)| *epoch).max()
        });
        check_one(told, of_life.map_or(&[], Vec::as_slice), highest_epoch).map_err(|text| {
            let EpochEnd { partition, asked, epoch, end, span } = told;
            format!(
                "{partition}: who asked at {} for the end of epoch {} was told epoch {} and offset \
                 {}, but {text}",
                span.started_at, asked.0, epoch.0, end.0
            )
        })?;
    }
    Ok(())
}

fn check_one(
    told: &EpochEnd,
    records: &[Record],
    highest_epoch: Option<LeaderEpoch>,
) -> Result<(), String> {
    let EpochEnd { asked, epoch, end, span, .. } = *told;
    if epoch == LeaderEpoch::NONE || end == Offset::NONE {
        let is_known = highest_epoch.is_some_and(|highest| asked <= highest);
        let is_whole = epoch == LeaderEpoch::NONE && end == Offset::NONE;
        return match (is_whole, is_known) {
            (true, false) => Ok(()),
            (true, true) => Err(format!("epoch {highest_epoch:?} was known by then")),
            (false, _) => Err("it knows both or none".to_owned()),
        };
    }
    if asked < epoch {
        return Err("that is a later epoch".to_owned());
    }
    // Then nothing is appended in it any more.
    let is_over = epoch < asked || highest_epoch.is_some_and(|highest| asked < highest);
    let is_wrong = |record: &&Record| {
        let was_there = is_over || record.epoch < asked || record.known_at < span.started_at;
        let is_behind = record.epoch <= asked && end <= record.offset && was_there;
        let is_between = epoch < record.epoch && record.epoch <= asked;
        let is_before = is_over && asked < record.epoch && record.offset < end;
        is_behind || is_between || is_before
    };
    match records.iter().find(is_wrong) {
        None => Ok(()),
        Some(record) => {
            Err(format!("the record at {} is of epoch {}", record.offset.0, record.epoch.0))
        }
    }
}

/// The records that readers have seen, each once, by the part of its partition's life.
fn seen_records(history: &History) -> BTreeMap<Life, Vec<Record>> {
    let mut known = BTreeMap::new();
    for send in &history.sends {
        let life = life(history, send.partition, send.span.era);
        for record in acknowledged(send) {
            known.insert((life, record.offset), send.span.ended_at);
        }
    }
    let fetched = history.fetches.iter().map(|fetch| {
        (life(history, fetch.partition, fetch.span.era), &fetch.batches, fetch.span.ended_at)
    });
    let at_the_end = history.finals.iter().map(|(partition, log)| {
        (life(history, *partition, history.last_era()), &log.batches, Instant::FAR_FUTURE)
    });
    let mut seen: BTreeMap<(Life, Offset), Record> = BTreeMap::new();
    for (life, batches, seen_at) in fetched.chain(at_the_end) {
        for (offset, epoch) in offsets_of(batches) {
            let acknowledged_at = known.get(&(life, offset)).copied();
            let known_at = acknowledged_at.map_or(seen_at, |at: Instant| at.min(seen_at));
            let record = seen.entry((life, offset)).or_insert(Record { epoch, offset, known_at });
            record.known_at = record.known_at.min(known_at);
        }
    }
    let mut by_life: BTreeMap<Life, Vec<Record>> = BTreeMap::new();
    for ((life, _), record) in seen {
        by_life.entry(life).or_default().push(record);
    }
    by_life
}

fn offsets_of(batches: &[SeenBatch]) -> impl Iterator<Item = (Offset, LeaderEpoch)> {
    batches
        .iter()
        .flat_map(|batch| batch.records.iter().map(|record| (record.offset, batch.leader_epoch)))
}

/// The leader epochs that anybody has heard of, and when. They never fall, also where records may
/// get lost.
fn known_epochs(history: &History) -> BTreeMap<TopicPartition, BTreeSet<(Instant, LeaderEpoch)>> {
    let told = history.told_epochs.iter().map(|it| (it.partition, it.span.ended_at, it.epoch));
    let ends = history.epoch_ends.iter().map(|it| (it.partition, it.span.ended_at, it.epoch));
    let fetched = history.fetches.iter().flat_map(|fetch| {
        let last = fetch.batches.last();
        last.map(|last| (fetch.partition, fetch.span.ended_at, last.leader_epoch))
    });
    let mut known: BTreeMap<_, BTreeSet<_>> = BTreeMap::new();
    for (partition, at, epoch) in told.chain(ends).chain(fetched) {
        known.entry(partition).or_default().insert((at, epoch));
    }
    known
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Story, check};
    use expect_test::expect;

    /// Two records of epoch 1, and one of epoch 3.
    fn story(topic: &str) -> Story {
        Story::new().fetch_of(topic, 0, 1, &[1, 2]).fetch_of(topic, 2, 3, &[3])
    }

    #[test]
    fn an_epoch_ends_where_the_next_one_begins() {
        let story = story("durable");
        check(super::check, &story.clone().epoch_end("durable", 1, 1, 2), expect!["ok"]);
        // A record of the epoch is behind; a record of a later one is before.
        check(super::check, &story.clone().epoch_end("durable", 1, 1, 1), expect!["broken"]);
        check(super::check, &story.clone().epoch_end("durable", 1, 1, 3), expect!["broken"]);
        // Nobody has seen a record of epoch 2, and it is over.
        check(super::check, &story.clone().epoch_end("durable", 2, 1, 2), expect!["ok"]);
        check(super::check, &story.clone().epoch_end("durable", 2, 1, 3), expect!["broken"]);
        check(super::check, &story.clone().epoch_end("durable", 2, 0, 2), expect!["broken"]);
        check(super::check, &story.epoch_end("durable", 1, 3, 3), expect!["broken"]);
    }

    #[test]
    fn the_current_epoch_ends_with_the_log() {
        let before = story("durable").epoch_end("durable", 3, 3, 3);
        check(super::check, &before, expect!["ok"]);
        check(super::check, &before.fetch_of("durable", 3, 3, &[4]), expect!["ok"]);
        // What was not committed may be gone when the next epoch begins.
        let longer = story("durable").epoch_end("durable", 3, 3, 5);
        check(super::check, &longer.fetch_of("durable", 3, 4, &[4]), expect!["ok"]);
        // What was seen or acknowledged before is before the end.
        let after = story("durable").fetch_of("durable", 3, 3, &[4]);
        check(super::check, &after.epoch_end("durable", 3, 3, 3), expect!["broken"]);
        let acknowledged = story("durable").ack("durable", 3, &[4]);
        let asked = acknowledged.epoch_end("durable", 3, 3, 3);
        check(super::check, &asked, expect!["ok"]);
        check(super::check, &asked.fetch_of("durable", 3, 3, &[4]), expect!["broken"]);
        // Records of epochs before cannot come any more.
        let early = Story::new().epoch_end("durable", 3, 3, 1);
        check(super::check, &early.fetch_of("durable", 1, 2, &[2]), expect!["broken"]);
    }

    #[test]
    fn an_epoch_that_was_known_stays_known() {
        let unknown = |story: Story, asked| story.epoch_end("durable", asked, -1, -1);
        check(super::check, &unknown(story("durable"), 4), expect!["ok"]);
        check(super::check, &unknown(story("durable"), 3), expect!["broken"]);
        check(super::check, &unknown(story("durable"), 2), expect!["broken"]);
        check(super::check, &unknown(story("durable").told("durable", 4), 4), expect!["broken"]);
        let later = unknown(Story::new(), 1).told("durable", 1);
        check(super::check, &later, expect!["ok"]);
        check(super::check, &story("durable").epoch_end("durable", 1, 1, -1), expect!["broken"]);
    }

    #[test]
    fn a_relaxed_log_may_lose_the_end_of_an_epoch_with_the_power() {
        let asked = |story: Story, topic| story.power_loss().epoch_end(topic, 1, 1, 1);
        let with_end = |topic| asked(story(topic), topic).fetch_of(topic, 1, 4, &[5]);
        check(super::check, &with_end("relaxed"), expect!["ok"]);
        check(super::check, &with_end("durable"), expect!["broken"]);
        let without_loss = story("relaxed").epoch_end("relaxed", 1, 1, 1);
        check(super::check, &without_loss, expect!["broken"]);
        // The new life has its own records.
        let shorter = asked(story("relaxed"), "relaxed");
        check(super::check, &shorter.fetch_of("relaxed", 0, 4, &[5]), expect!["broken"]);
    }
}
