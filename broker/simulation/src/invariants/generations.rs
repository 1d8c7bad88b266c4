//! Generations (G1, G4, G5, G7): in a generation of a group each partition is one member's, whose number
//! is never another generation's, also after crashes; all members are told of one leader and one
//! protocol; what is told later is not of an earlier one; a static member that was replaced commits
//! nothing any more.

use std::collections::{BTreeMap, BTreeSet};

use model::TopicPartition;

use crate::history::{History, Outcome};

pub(super) fn check(history: &History) -> Result<(), String> {
    let mut owners: BTreeMap<(&str, i32, TopicPartition), &str> = BTreeMap::new();
    for assigned in &history.assigned {
        // A static member that came back has another id, and what it had.
        let name = assigned.instance.as_deref().unwrap_or(&assigned.member);
        for partition in &assigned.partitions {
            let key = (assigned.group.as_str(), assigned.generation, *partition);
            if let Some(owner) = owners.insert(key, name).filter(|owner| *owner != name) {
                return Err(format!(
                    "group {}, generation {}: {partition} is {owner}'s and {name}'s",
                    assigned.group, assigned.generation
                ));
            }
        }
    }
    let mut agreed: BTreeMap<(&str, i32), (&str, &str)> = BTreeMap::new();
    let instances: BTreeSet<&str> =
        history.joined.iter().filter_map(|it| it.instance.as_deref()).collect();
    for joined in &history.joined {
        // A static member that came back leads under another id, which begins with its instance.
        let is_of = |instance: &&&str| joined.leader.starts_with(**instance);
        let leader = instances.iter().find(is_of).copied().unwrap_or(&joined.leader);
        // Where the broker assigns, each member has its own in mind.
        let protocol = if joined.leader.is_empty() { "" } else { &joined.protocol };
        let told = (leader, protocol);
        let first = *agreed.entry((&joined.group, joined.generation)).or_insert(told);
        if first != told {
            return Err(format!(
                "group {}, generation {}: leader and protocol are {first:?}, and {told:?} to {}",
                joined.group, joined.generation, joined.member
            ));
        }
    }
    for later in &history.joined {
        let before = history
            .joined
            .iter()
            .filter(|it| it.group == later.group && it.span.ended_at < later.span.started_at);
        if let Some(before) = before.max_by_key(|it| it.generation)
            && later.generation < before.generation
        {
            return Err(format!(
                "group {}: generation {} was told of, and then {}",
                later.group, before.generation, later.generation
            ));
        }
    }
    for set in &history.offsets_set {
        let (Some(instance), Outcome::Acknowledged { .. }) = (&set.instance, set.outcome) else {
            continue;
        };
        let replaced = history.joined.iter().find(|it| {
            it.group == set.group
                && it.instance.as_ref() == Some(instance)
                && it.member != set.member
                && it.span.ended_at < set.span.started_at
        });
        // Unless it has joined once more itself.
        let is_back = |after: &crate::history::Joined| {
            history
                .joined
                .iter()
                .any(|it| it.member == set.member && after.span.started_at < it.span.ended_at)
        };
        if let Some(by) = replaced.filter(|by| !is_back(by)) {
            return Err(format!(
                "group {}: {} has committed after {} took the place of instance {instance}",
                set.group, set.member, by.member
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
    fn a_partition_has_one_member_in_a_generation() {
        let one = Story::new().assigned("a", 1).assigned("b", 2);
        check(super::check, &one, expect!["ok"]);
        check(super::check, &one.assigned("c", 2), expect!["broken"]);
    }

    #[test]
    fn a_generation_has_one_leader_and_one_protocol() {
        let same = Story::new().joined("a", 1).joined("b", 1).joined("b", 2);
        check(super::check, &same, expect!["ok"]);
        check(super::check, &same.clone().led_by("b", "p"), expect!["ok"]);
        let same = same.joined("c", 2);
        check(super::check, &same.clone().led_by("b", "p"), expect!["broken"]);
        check(super::check, &same.led_by("a", "q"), expect!["broken"]);
    }

    #[test]
    fn generations_rise() {
        let rising = Story::new().joined("a", 1).joined("b", 1).joined("a", 3);
        check(super::check, &rising, expect!["ok"]);
        check(super::check, &rising.joined("b", 2), expect!["broken"]);
    }

    #[test]
    fn a_static_member_that_was_replaced_is_fenced() {
        let one = Story::new().joined_as("i", "a", 1).set_as("i", "a", 5);
        check(super::check, &one, expect!["ok"]);
        let replaced = one.joined_as("i", "b", 1).set_as("i", "b", 6);
        check(super::check, &replaced, expect!["ok"]);
        check(super::check, &replaced.set_as("i", "a", 7), expect!["broken"]);
    }
}
