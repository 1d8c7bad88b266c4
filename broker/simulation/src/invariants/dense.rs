//! Dense (P5): a log begins with 0, and every batch begins where the one before ended.

use model::Offset;

use crate::history::{History, SeenBatch};

pub(super) fn check(history: &History) -> Result<(), String> {
    for (partition, log) in &history.finals {
        check_run(&log.batches, Some(Offset(0)))
            .map_err(|text| format!("{partition} at the end: {text}"))?;
    }
    for fetch in &history.fetches {
        check_run(&fetch.batches, None)
            .map_err(|text| format!("{} in one fetch: {text}", fetch.partition))?;
    }
    Ok(())
}

fn check_run(batches: &[SeenBatch], start: Option<Offset>) -> Result<(), String> {
    let mut next = start;
    for batch in batches {
        let base = batch.base_offset;
        if next.is_some_and(|next| next != base) {
            let expected = next.map(|next| next.0);
            return Err(format!("a batch at {} where {expected:?} is next", base.0));
        }
        let mut offset = base;
        for record in &batch.records {
            if record.offset != offset {
                return Err(format!("record {} where {} is next", record.offset.0, offset.0));
            }
            offset = Offset(offset.0 + 1);
        }
        next = Some(offset);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Story, check};
    use expect_test::expect;
    use model::Offset;

    #[test]
    fn nothing_is_left_out() {
        let mut story = Story::new().end("durable", &[1, 2, 3]);
        check(super::check, &story, expect!["ok"]);
        let batch = &mut story.history.finals[0].1.batches[1];
        batch.base_offset = Offset(5);
        batch.records[0].offset = Offset(5);
        check(super::check, &story, expect!["broken"]);
        let mut story = Story::new().fetch("durable", 7, &[1, 2]);
        check(super::check, &story, expect!["ok"]);
        story.history.fetches[0].batches[0].records[0].offset = Offset(8);
        check(super::check, &story, expect!["broken"]);
    }
}
