//! Times (P11): a time finds the first record of it or later; the start of a log is 0.

use std::collections::BTreeMap;

use model::{Offset, Timestamp};

use super::view::{FinalView, acknowledged, finals};
use crate::history::{History, Listed, Place};
use crate::payload::RecordId;

pub(super) fn check(history: &History) -> Result<(), String> {
    let finals = finals(history);
    let mut acknowledged_at = BTreeMap::new();
    for send in &history.sends {
        for record in acknowledged(send).filter_map(|record| record.id) {
            acknowledged_at.insert(record, send.span.ended_at);
        }
    }
    for listed in &history.listed {
        let Some(end) = finals.get(&listed.partition) else { continue };
        if !history.binds(listed.partition, listed.span.era) {
            continue;
        }
        match listed.place {
            Place::End => {}
            Place::Start if listed.offset == Offset(0) => {}
            Place::Start => {
                return Err(format!("{} starts at {:?}", listed.partition, listed.offset));
            }
            Place::Time(time) => check_time(end, listed, time, &acknowledged_at)?,
        }
    }
    Ok(())
}

fn check_time(
    end: &FinalView,
    listed: &Listed,
    time: Timestamp,
    acknowledged_at: &BTreeMap<RecordId, runtime::Instant>,
) -> Result<(), String> {
    let Listed { partition, offset, timestamp, span, .. } = *listed;
    // Everything before the answer was there when it was given.
    let first = end.records.values().find(|found| time <= found.timestamp);
    let Some(first) = first.copied() else {
        return match offset {
            Offset::NONE => Ok(()),
            _ if end.is_told => Ok(()),
            _ => Err(format!("{partition}: time {} is said to be at {}", time.0, offset.0)),
        };
    };
    let was_there = first
        .id
        .and_then(|id| acknowledged_at.get(&id))
        .is_some_and(|acknowledged| *acknowledged < span.started_at);
    let is_right = (offset, timestamp) == (first.offset, first.timestamp);
    // Nothing of that time may have been there yet.
    let is_early = offset == Offset::NONE && !was_there;
    if is_right || is_early {
        return Ok(());
    }
    Err(format!(
        "{partition}: time {} is at {} ({}), and not at {} ({}) as was said at {}",
        time.0, first.offset.0, first.timestamp.0, offset.0, timestamp.0, span.ended_at
    ))
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Story, check};
    use expect_test::expect;

    #[test]
    fn a_time_finds_the_first_record_from_it_on() {
        // Record n has time n.
        let story = Story::new().ack("durable", 0, &[10, 30, 20]).end("durable", &[10, 30, 20]);
        check(super::check, &story.clone().list_time("durable", 15, 1, 30), expect!["ok"]);
        check(super::check, &story.clone().list_time("durable", 15, 2, 20), expect!["broken"]);
        check(super::check, &story.clone().list_time("durable", 15, -1, -1), expect!["broken"]);
        check(super::check, &story.clone().list_time("durable", 31, -1, -1), expect!["ok"]);
        check(super::check, &story.list_time("durable", 31, 1, 30), expect!["broken"]);
        let early = Story::new().list_time("durable", 15, -1, -1).ack("durable", 0, &[20]);
        check(super::check, &early.end("durable", &[20]), expect!["ok"]);
    }
}
