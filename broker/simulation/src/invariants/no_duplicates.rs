//! No duplicates (I1): nothing is in a log twice, however often it was sent.
//!
//! Producers without numbers send everything once, so this holds for them, too.

use std::collections::BTreeMap;

use super::view::finals;
use crate::history::History;

pub(super) fn check(history: &History) -> Result<(), String> {
    let mut known = BTreeMap::new();
    for (partition, view) in finals(history) {
        for found in view.records.values() {
            let (Some(id), offset) = (found.id, found.offset) else { continue };
            if let Some((other, before)) = known.insert(id, (partition, offset)) {
                return Err(format!(
                    "{id:?} is at {other} offset {} and at {partition} offset {}",
                    before.0, offset.0
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
    fn nothing_is_there_twice() {
        check(super::check, &Story::new().end("durable", &[1, 2]), expect!["ok"]);
        check(super::check, &Story::new().end("durable", &[1, 2, 1]), expect!["broken"]);
        let story = Story::new().end("durable", &[1]).end("relaxed", &[1]);
        check(super::check, &story, expect!["broken"]);
    }
}
