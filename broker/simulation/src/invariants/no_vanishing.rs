//! No vanishing (P4): what a consumer has seen is there at the end.

use super::view::{finals, records_of};
use crate::history::History;

pub(super) fn check(history: &History) -> Result<(), String> {
    let finals = finals(history);
    for fetch in &history.fetches {
        let Some(end) = finals.get(&fetch.partition) else { continue };
        if !history.binds(fetch.partition, fetch.span.era) {
            continue;
        }
        if let Some(record) = records_of(&fetch.batches).find(|record| !end.has(*record)) {
            let found = end.records.get(&record.offset).map(|found| found.id);
            return Err(format!(
                "{} offset {} was {:?} for a consumer at {}, and at the end it is {found:?}",
                fetch.partition, record.offset.0, record.id, fetch.span.ended_at
            ));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Story, check};
    use expect_test::expect;

    #[test]
    fn what_was_seen_stays() {
        let story = Story::new().unknown("durable", &[1, 2]).fetch("durable", 0, &[1, 2]);
        check(super::check, &story.clone().end("durable", &[1, 2]), expect!["ok"]);
        check(super::check, &story.clone().end("durable", &[1]), expect!["broken"]);
        check(super::check, &story.power_loss().end("durable", &[1]), expect!["broken"]);
        let story = Story::new().unknown("relaxed", &[1, 2]).fetch("relaxed", 0, &[1, 2]);
        check(super::check, &story.clone().end("relaxed", &[1]), expect!["broken"]);
        check(super::check, &story.power_loss().end("relaxed", &[1]), expect!["ok"]);
    }
}
