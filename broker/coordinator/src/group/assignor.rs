//! Who of a group's members is to read which partition, as the broker decides it (KIP-848).
//!
//! Guarantees: every partition of a topic that somebody reads goes to exactly one member that reads
//! it; the same input gives the same assignment.

use std::collections::{BTreeMap, BTreeSet};

use model::{PartitionIndex, TopicId};

use super::Partitions;

/// A way of assignment that the broker knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Assignor {
    /// Members get equally many partitions, as far as their topics allow, and keep what they have.
    Uniform,
    /// Of each topic a member gets partitions that follow each other, the same ones of topics that
    /// have equally many.
    Range,
}

impl Assignor {
    /// As members ask for it.
    pub fn of(name: &str) -> Option<Assignor> {
        [Assignor::Uniform, Assignor::Range].into_iter().find(|assignor| assignor.name() == name)
    }

    /// As Kafka spells it.
    pub fn name(self) -> &'static str {
        match self {
            Assignor::Uniform => "uniform",
            Assignor::Range => "range",
        }
    }

    /// What each member is to have. Of topics that no member reads nothing is said.
    pub(super) fn assign(
        self,
        members: &[Reader<'_>],
        partitions_counts: &BTreeMap<TopicId, i32>,
    ) -> Vec<Partitions> {
        match self {
            Assignor::Uniform => uniform(members, partitions_counts),
            Assignor::Range => range(members, partitions_counts),
        }
    }
}

/// A member, as an assignor sees it.
#[derive(Clone, Debug)]
pub(super) struct Reader<'a> {
    /// By which members are put in order: the instance's id where there is one, so that a restart
    /// changes nothing.
    pub(super) order: &'a str,
    pub(super) topics: BTreeSet<TopicId>,
    /// What it was to have before.
    pub(super) before: &'a Partitions,
}

fn partitions_of(count: i32) -> impl Iterator<Item = PartitionIndex> {
    (0..count).map(PartitionIndex)
}

/// Members that read a topic, by their numbers.
fn readers_of(members: &[Reader<'_>], topic: TopicId) -> Vec<usize> {
    let readers = members.iter().enumerate().filter(|(_, it)| it.topics.contains(&topic));
    readers.map(|(number, _)| number).collect()
}

fn range(members: &[Reader<'_>], partitions_counts: &BTreeMap<TopicId, i32>) -> Vec<Partitions> {
    let mut assigned = vec![Partitions::default(); members.len()];
    for (topic, count) in partitions_counts {
        let mut readers = readers_of(members, *topic);
        readers.sort_by_key(|number| members[*number].order);
        let readers_count = i32::try_from(readers.len()).unwrap_or(i32::MAX);
        if readers_count == 0 {
            continue;
        }
        let (each, extra) = (count / readers_count, count % readers_count);
        let mut partitions = partitions_of(*count);
        for (place, number) in (0..).zip(readers) {
            let own_count = each + i32::from(place < extra);
            for partition in partitions.by_ref().take(usize::try_from(own_count).unwrap_or(0)) {
                assigned[number].insert(*topic, partition);
            }
        }
    }
    assigned
}

fn uniform(members: &[Reader<'_>], partitions_counts: &BTreeMap<TopicId, i32>) -> Vec<Partitions> {
    let mut assigned = vec![Partitions::default(); members.len()];
    let mut loads = vec![0_usize; members.len()];
    let mut left = Vec::new();
    let mut readers: BTreeMap<TopicId, Vec<usize>> = BTreeMap::new();
    for (topic, count) in partitions_counts {
        let of_topic = readers_of(members, *topic);
        if of_topic.is_empty() {
            continue;
        }
        for partition in partitions_of(*count) {
            let is_owner = |number: &&usize| members[**number].before.contains(*topic, partition);
            match of_topic.iter().find(is_owner) {
                Some(owner) => {
                    assigned[*owner].insert(*topic, partition);
                    loads[*owner] += 1;
                }
                None => left.push((*topic, partition)),
            }
        }
        readers.insert(*topic, of_topic);
    }
    let least = |loads: &[usize], topic: &TopicId| {
        let of_topic = readers[topic].iter().copied();
        of_topic.min_by_key(|number| (loads[*number], members[*number].order))
    };
    // What few can read goes first, as there is less choice.
    left.sort_by_key(|(topic, partition)| (readers[topic].len(), *topic, *partition));
    for (topic, partition) in left {
        let number = least(&loads, &topic).expect("a topic without readers was left out");
        assigned[number].insert(topic, partition);
        loads[number] += 1;
    }
    // Each move brings two loads nearer to each other, so there is an end to them.
    loop {
        let mut has_moved = false;
        let mut heaviest: Vec<usize> = (0..members.len()).collect();
        heaviest.sort_by_key(|number| (std::cmp::Reverse(loads[*number]), members[*number].order));
        for from in heaviest {
            let own: Vec<_> = assigned[from].iter().collect();
            // The last ones first, so that the first ones stay where they are.
            for (topic, partition) in own.into_iter().rev() {
                let to = least(&loads, &topic).expect("it has a reader");
                if loads[to] + 1 < loads[from] {
                    assigned[from].remove(topic, partition);
                    assigned[to].insert(topic, partition);
                    loads[from] -= 1;
                    loads[to] += 1;
                    has_moved = true;
                }
            }
        }
        if !has_moved {
            return assigned;
        }
    }
}

#[cfg(test)]
mod tests;
