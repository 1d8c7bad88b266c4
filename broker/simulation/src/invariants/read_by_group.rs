//! Read by group (G6): members go on where their group has come to, so what lies before a committed
//! offset was read by one of them.

use std::collections::BTreeMap;

use model::{Offset, TopicPartition};

use crate::history::{History, Outcome};

pub(super) fn check(history: &History) -> Result<(), String> {
    let mut read: BTreeMap<(&str, TopicPartition), Vec<(Offset, Offset)>> = BTreeMap::new();
    for by in &history.read_by {
        read.entry((&by.group, by.partition)).or_default().push((by.from, by.end));
    }
    for ranges in read.values_mut() {
        ranges.sort_unstable();
    }
    for set in &history.offsets_set {
        if !matches!(set.outcome, Outcome::Acknowledged { .. }) {
            continue;
        }
        let ranges = read.get(&(set.group.as_str(), set.partition));
        let mut reached = Offset::ZERO;
        for (from, end) in ranges.into_iter().flatten() {
            if reached < *from {
                break;
            }
            reached = reached.max(*end);
        }
        if reached < set.offset {
            return Err(format!(
                "group {}, {}: {} is committed, and nobody has read {reached}",
                set.group, set.partition, set.offset
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
    fn what_is_committed_was_read() {
        let read = Story::new().read_by(0, 4).read_by(4, 9);
        check(super::check, &read.clone().set("a", 9), expect!["ok"]);
        check(super::check, &read.clone().set("a", 10), expect!["broken"]);
        check(super::check, &read.read_by(11, 12).set("a", 12), expect!["broken"]);
        check(super::check, &Story::new().set("a", 0), expect!["ok"]);
    }
}
