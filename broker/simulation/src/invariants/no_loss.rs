//! No loss (P1): what was acknowledged is there at the end, where the acknowledgement said.
//!
//! A relaxed partition may lose with its machine's power a part at its end: then everything after
//! the first lost record came later than the loss.

use std::collections::BTreeMap;

use model::Offset;

use super::view::{FinalView, acknowledged, finals};
use crate::history::{History, SeenRecord, Send};
use crate::payload::RecordId;

pub(super) fn check(history: &History) -> Result<(), String> {
    let finals = finals(history);
    let ended_at: BTreeMap<RecordId, _> = history
        .sends
        .iter()
        .flat_map(|send| send.records.iter().map(|record| (record.id, send.span.ended_at)))
        .collect();
    for send in &history.sends {
        let Some(end) = finals.get(&send.partition) else { continue };
        for record in acknowledged(send) {
            if end.has(record) {
                continue;
            }
            if history.binds(send.partition, send.span.era) {
                return Err(lost(end, send, record));
            }
            let loss = history.power_losses[usize::try_from(send.span.era.0).expect("few")];
            for (offset, later) in end.records.range(record.offset..) {
                let later_end = later.id.and_then(|id| ended_at.get(&id));
                if later_end.is_some_and(|ended_at| *ended_at < loss) {
                    let first = lost(end, send, record);
                    return Err(format!(
                        "{first}; and {} after it, which is older than the loss of \
                                        power, is there",
                        offset.0
                    ));
                }
            }
        }
    }
    Ok(())
}

fn lost(end: &FinalView, send: &Send, record: SeenRecord) -> String {
    let found = end.records.get(&record.offset).map(|found| found.id);
    let Offset(offset) = record.offset;
    format!(
        "record {:?} was acknowledged at {} offset {offset} (at {}), where there is {found:?} at the \
         end",
        record.id, send.partition, send.span.ended_at
    )
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Story, check};
    use expect_test::expect;

    #[test]
    fn what_is_acknowledged_has_to_be_there() {
        let story = Story::new().ack("durable", 0, &[1, 2]).ack("durable", 2, &[3]);
        check(super::check, &story.clone().end("durable", &[1, 2, 3]), expect!["ok"]);
        check(super::check, &story.clone().end("durable", &[1, 2]), expect!["broken"]);
        check(super::check, &story.clone().end("durable", &[1, 3, 2]), expect!["broken"]);
        // Also over a loss of power.
        let story = story.power_loss();
        check(super::check, &story.end("durable", &[1, 2]), expect!["broken"]);
    }

    #[test]
    fn a_relaxed_partition_may_lose_its_end_with_the_power_and_nothing_else() {
        let story = Story::new().ack("relaxed", 0, &[1, 2]).ack("relaxed", 2, &[3]);
        check(super::check, &story.clone().end("relaxed", &[1, 2]), expect!["broken"]);
        let after = story.power_loss();
        check(super::check, &after.clone().end("relaxed", &[1, 2]), expect!["ok"]);
        check(super::check, &after.clone().end("relaxed", &[1, 3]), expect!["broken"]);
        let after = after.ack("relaxed", 1, &[4]);
        check(super::check, &after.clone().end("relaxed", &[1, 4]), expect!["ok"]);
        check(super::check, &after.end("relaxed", &[4]), expect!["broken"]);
    }

    #[test]
    fn what_was_under_way_at_a_loss_of_power_may_have_come_after_it() {
        let story = Story::new().ack("relaxed", 0, &[1]);
        let settled = story.clone().unknown("relaxed", &[2]).power_loss();
        check(super::check, &settled.end("relaxed", &[2]), expect!["broken"]);
        let unsettled = story.under_way("relaxed", &[2]).power_loss();
        check(super::check, &unsettled.end("relaxed", &[2]), expect!["ok"]);
    }

    #[test]
    fn a_partition_that_says_so_may_lack_its_end() {
        let story = Story::new().ack("durable", 0, &[1, 2]).rot();
        check(super::check, &story.clone().refused_end("durable", &[1]), expect!["ok"]);
        check(super::check, &story.clone().refused_end("durable", &[2]), expect!["broken"]);
        check(super::check, &story.end("durable", &[1]), expect!["broken"]);
    }
}
