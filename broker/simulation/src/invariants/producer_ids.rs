//! Producer ids (I6): nobody gets an id that another has.

use std::collections::BTreeSet;

use crate::history::History;

pub(super) fn check(history: &History) -> Result<(), String> {
    let mut known = BTreeSet::new();
    match history.producer_ids.iter().find(|id| !known.insert(**id)) {
        None => Ok(()),
        Some(id) => Err(format!("producer id {} was given twice", id.0)),
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Story, check};
    use expect_test::expect;
    use model::ProducerId;

    #[test]
    fn ids_are_given_once() {
        let mut story = Story::new();
        story.history.producer_ids = vec![ProducerId(1), ProducerId(2)];
        check(super::check, &story, expect!["ok"]);
        story.history.producer_ids.push(ProducerId(1));
        check(super::check, &story, expect!["broken"]);
    }
}
