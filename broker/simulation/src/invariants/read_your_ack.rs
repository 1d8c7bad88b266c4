//! Read your ack (P9): whoever asks after an acknowledgement sees a high watermark beyond it.

use std::collections::BTreeMap;

use model::Offset;

use super::view::{acknowledged, life};
use crate::history::{History, Place};

pub(super) fn check(history: &History) -> Result<(), String> {
    let mut acks: BTreeMap<_, Vec<_>> = BTreeMap::new();
    for send in &history.sends {
        let Some(last) = acknowledged(send).last() else { continue };
        let life = life(history, send.partition, send.span.era);
        acks.entry(life).or_default().push((send.span.ended_at, last.offset));
    }
    for of_life in acks.values_mut() {
        of_life.sort_unstable();
        // The highest that was acknowledged up to each moment.
        let mut highest = Offset(0);
        for (_, offset) in of_life {
            highest = highest.max(*offset);
            *offset = highest;
        }
    }
    let fetched = history.fetches.iter().map(|it| (it.partition, it.span, it.high_watermark));
    let listed = history.listed.iter().filter(|listed| listed.place == Place::End);
    let listed = listed.map(|it| (it.partition, it.span, it.offset));
    for (partition, span, high_watermark) in fetched.chain(listed) {
        let life = life(history, partition, span.era);
        let Some(of_life) = acks.get(&life) else { continue };
        let before = of_life.partition_point(|(ended_at, _)| *ended_at < span.started_at);
        let Some((ended_at, offset)) = before.checked_sub(1).map(|at| of_life[at]) else {
            continue;
        };
        if high_watermark <= offset {
            return Err(format!(
                "{partition}: {} was acknowledged by {ended_at}, and who asked at {} was told a high \
                 watermark of {}",
                offset.0, span.started_at, high_watermark.0
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
    fn an_acknowledgement_can_be_read() {
        let story = Story::new().ack("durable", 0, &[1, 2]);
        check(super::check, &story.clone().list_end("durable", 2), expect!["ok"]);
        check(super::check, &story.clone().list_end("durable", 1), expect!["broken"]);
        check(super::check, &story.power_loss().list_end("durable", 1), expect!["broken"]);
        let story = Story::new().ack("relaxed", 0, &[1, 2]);
        check(super::check, &story.clone().list_end("relaxed", 1), expect!["broken"]);
        check(super::check, &story.power_loss().list_end("relaxed", 1), expect!["ok"]);
        // Who asked before need not see it.
        let story = Story::new().list_end("durable", 0).ack("durable", 0, &[1]);
        check(super::check, &story, expect!["ok"]);
    }
}
