//! Agreement (P2): an offset has one record, whoever tells of it and when.

use std::collections::BTreeMap;

use super::view::{acknowledged, finals, life, records_of};
use crate::history::History;

pub(super) fn check(history: &History) -> Result<(), String> {
    let mut known = BTreeMap::new();
    let acknowledged = history.sends.iter().flat_map(|send| {
        let life = life(history, send.partition, send.span.era);
        acknowledged(send).map(move |record| (life, record))
    });
    let fetched = history.fetches.iter().flat_map(|fetch| {
        let life = life(history, fetch.partition, fetch.span.era);
        records_of(&fetch.batches).map(move |record| (life, record))
    });
    let finals = finals(history);
    let at_the_end = finals.iter().flat_map(|(partition, view)| {
        let life = life(history, *partition, history.last_era());
        view.records.values().map(move |found| (life, *found))
    });
    for (life, record) in acknowledged.chain(fetched).chain(at_the_end) {
        let id = *known.entry((life, record.offset)).or_insert(record.id);
        if id != record.id {
            let (partition, offset) = (life.0, record.offset.0);
            return Err(format!("{partition} offset {offset} is {id:?} and {:?}", record.id));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Story, check};
    use expect_test::expect;

    #[test]
    fn an_offset_has_one_record() {
        let story = Story::new().ack("durable", 0, &[1]);
        check(super::check, &story.clone().fetch("durable", 0, &[1]), expect!["ok"]);
        check(super::check, &story.clone().fetch("durable", 0, &[2]), expect!["broken"]);
        check(super::check, &story.clone().end("durable", &[2]), expect!["broken"]);
        let story = story.fetch("durable", 0, &[1]).power_loss();
        check(super::check, &story.fetch("durable", 0, &[2]), expect!["broken"]);
    }

    #[test]
    fn a_relaxed_partition_may_begin_anew_after_a_loss_of_power() {
        let story = Story::new().fetch("relaxed", 0, &[1]);
        check(super::check, &story.clone().fetch("relaxed", 0, &[2]), expect!["broken"]);
        check(super::check, &story.power_loss().fetch("relaxed", 0, &[2]), expect!["ok"]);
    }
}
