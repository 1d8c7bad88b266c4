//! Visibility (P8): a fetch shows nothing from its high watermark on; log start, last stable offset
//! and high watermark stand in this order, and on one connection none of them falls.

use std::collections::BTreeMap;

use super::view::records_of;
use crate::history::History;

pub(super) fn check(history: &History) -> Result<(), String> {
    let mut highest = BTreeMap::new();
    for fetch in &history.fetches {
        let partition = fetch.partition;
        let now = [fetch.log_start, fetch.last_stable, fetch.high_watermark];
        if !now.is_sorted() {
            return Err(format!("{partition}: log start, last stable, high watermark are {now:?}"));
        }
        if let Some(beyond) =
            records_of(&fetch.batches).find(|record| fetch.high_watermark <= record.offset)
        {
            let (offset, high_watermark) = (beyond.offset.0, fetch.high_watermark.0);
            return Err(format!(
                "{partition}: record {offset} was shown with a high watermark of {high_watermark}"
            ));
        }
        let before = highest.insert((fetch.connection, partition), now).unwrap_or(now);
        if let Some((was, is)) = before.iter().zip(now).find(|(was, is)| *is < **was) {
            return Err(format!("{partition}: on one connection {} falls to {}", was.0, is.0));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Story, check};
    use expect_test::expect;
    use model::Offset;

    #[test]
    fn nothing_is_shown_beyond_the_high_watermark() {
        let mut story = Story::new().fetch("durable", 0, &[1, 2]);
        check(super::check, &story, expect!["ok"]);
        story.history.fetches[0].high_watermark = Offset(1);
        story.history.fetches[0].last_stable = Offset(1);
        check(super::check, &story, expect!["broken"]);
    }

    #[test]
    fn watermarks_stand_in_order_and_do_not_fall() {
        let story = Story::new().fetch("durable", 0, &[1, 2]).fetch("durable", 2, &[3]);
        check(super::check, &story, expect!["ok"]);
        let mut falling = story.clone();
        falling.history.fetches[1].batches.clear();
        falling.history.fetches[1].high_watermark = Offset(1);
        falling.history.fetches[1].last_stable = Offset(1);
        check(super::check, &falling, expect!["broken"]);
        falling.history.fetches[1].connection += 1;
        check(super::check, &falling, expect!["ok"]);
        let mut unordered = story;
        unordered.history.fetches[0].log_start = Offset(100);
        check(super::check, &unordered, expect!["broken"]);
    }
}
