//! Order (P6): what one producer's session sends to a partition has offsets in the order of its
//! numbers.

use std::collections::BTreeMap;

use super::view::life;
use crate::history::{History, Outcome};

pub(super) fn check(history: &History) -> Result<(), String> {
    let mut sessions = BTreeMap::new();
    for send in &history.sends {
        let (Some(sequence), Outcome::Acknowledged { base_offset }) = (send.sequence, send.outcome)
        else {
            continue;
        };
        let life = life(history, send.partition, send.span.era);
        let of_session: &mut Vec<_> = sessions.entry((send.session, life)).or_default();
        of_session.push((sequence.epoch, sequence.first, base_offset));
    }
    for ((session, (partition, _)), mut batches) in sessions {
        batches.sort_unstable();
        for pair in batches.windows(2) {
            let ((_, first, before), (_, second, after)) = (pair[0], pair[1]);
            if after <= before {
                return Err(format!(
                    "session {session} at {partition}: number {first} is at offset {} and {second} \
                     at {}",
                    before.0, after.0
                ));
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Story, check};
    use expect_test::expect;

    #[test]
    fn offsets_rise_with_the_numbers() {
        let story = Story::new().numbered("durable", 0, 0, &[1]);
        check(super::check, &story.clone().numbered("durable", 1, 5, &[2]), expect!["ok"]);
        check(super::check, &story.numbered("durable", 1, 0, &[2]), expect!["broken"]);
        let story = Story::new().numbered("durable", 0, 5, &[1]);
        check(super::check, &story.numbered("durable", 1, 4, &[2]), expect!["broken"]);
    }
}
