//! Topics (M3): a topic that is made again has another id, and nothing of the old one.

use super::view::records_of;
use crate::history::History;

pub(super) fn check(history: &History) -> Result<(), String> {
    for remade in &history.remade {
        if remade.old == remade.new {
            return Err(format!("{} has its old id {}", remade.name, remade.new.to_hex()));
        }
        let old = records_of(&remade.seen).filter_map(|record| record.id);
        if let Some(id) = old.into_iter().find(|id| remade.old_records.contains(id)) {
            return Err(format!("{} shows {id:?} of the topic that was deleted", remade.name));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Story, check};
    use expect_test::expect;

    #[test]
    fn a_new_topic_is_new() {
        check(super::check, &Story::new().remade(1, &[5], 2, &[]), expect!["ok"]);
        // A late request by name may reach the new topic.
        check(super::check, &Story::new().remade(1, &[5], 2, &[6]), expect!["ok"]);
        check(super::check, &Story::new().remade(1, &[5], 1, &[]), expect!["broken"]);
        check(super::check, &Story::new().remade(1, &[5], 2, &[5]), expect!["broken"]);
    }
}
