//! Walk (P7): a fetch from a position gives the batch that holds it first, and a consumer that goes
//! on from there neither misses a record nor sees one again.

use std::collections::BTreeMap;

use model::Offset;

use crate::history::History;

pub(super) fn check(history: &History) -> Result<(), String> {
    let mut next_of_walk = BTreeMap::new();
    for fetch in &history.fetches {
        let (partition, position) = (fetch.partition, fetch.position);
        let next = next_of_walk.insert(fetch.walk, position);
        if next.is_some_and(|next| next != position) {
            return Err(format!("walk {} at {partition} jumps to {}", fetch.walk, position.0));
        }
        let Some(first) = fetch.batches.first() else { continue };
        let end_of = |last: Option<&crate::history::SeenRecord>, base: Offset| {
            last.map_or(base, |last| Offset(last.offset.0 + 1))
        };
        let first_end = end_of(first.records.last(), first.base_offset);
        if position < first.base_offset || first_end <= position {
            return Err(format!(
                "a fetch of {partition} from {} begins with a batch of {}..{}",
                position.0, first.base_offset.0, first_end.0
            ));
        }
        let last = fetch.batches.last().expect("there is a first");
        next_of_walk.insert(fetch.walk, end_of(last.records.last(), last.base_offset));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Story, check};
    use expect_test::expect;
    use model::Offset;

    #[test]
    fn a_consumer_misses_nothing() {
        let story = Story::new().fetch("durable", 0, &[1, 2]);
        check(super::check, &story.clone().fetch("durable", 2, &[3]), expect!["ok"]);
        let mut skipping = story.fetch("durable", 3, &[3]);
        check(super::check, &skipping, expect!["broken"]);
        skipping.history.fetches[1].position = Offset(2);
        check(super::check, &skipping, expect!["broken"]);
    }
}
