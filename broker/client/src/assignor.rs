//! Who in a group reads what: Kafka's `range` and `roundrobin`, as the leader of a group works them
//! out.
//!
//! Guarantees: every partition of a topic goes to exactly one of the members that want the topic,
//! and to the same one as Kafka's own assignor of the name would give it, if nobody names a rack;
//! the order in which members are listed does not matter. Does not know: brokers.

use std::collections::BTreeMap;

use model::PartitionIndex;

use crate::consumer_protocol::Partitions;

/// A rule by which partitions are divided.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Assignor {
    /// Of each topic a run of neighbours to each member.
    Range,
    /// One partition after the other, of all topics, to one member after the other.
    RoundRobin,
}

/// A member, as far as it matters here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subscriber {
    pub id: String,
    /// Of a static member.
    pub instance: Option<String>,
    pub topics: Vec<String>,
}

impl Assignor {
    pub const ALL: [Assignor; 2] = [Assignor::Range, Assignor::RoundRobin];

    /// The name by which members agree on it.
    pub const fn name(self) -> &'static str {
        match self {
            Assignor::Range => "range",
            Assignor::RoundRobin => "roundrobin",
        }
    }

    pub fn named(name: &str) -> Option<Assignor> {
        Assignor::ALL.into_iter().find(|assignor| assignor.name() == name)
    }

    /// What each member is to read, by the members' ids; those that get nothing are there as well.
    /// A topic that is not in `partitions_counts` has no partitions.
    pub fn assign(
        self,
        partitions_counts: &BTreeMap<String, usize>,
        members: &[Subscriber],
    ) -> BTreeMap<String, Partitions> {
        let mut members: Vec<&Subscriber> = members.iter().collect();
        // Static members come first, by instance, so that they keep theirs with each new id.
        members.sort_by_key(|it| (it.instance.is_none(), it.instance.as_deref(), it.id.as_str()));
        let mut assigned = members.iter().map(|it| (it.id.clone(), Partitions::new())).collect();
        match self {
            Assignor::Range => range(partitions_counts, &members, &mut assigned),
            Assignor::RoundRobin => round_robin(partitions_counts, &members, &mut assigned),
        }
        assigned
    }
}

fn range(
    partitions_counts: &BTreeMap<String, usize>,
    members: &[&Subscriber],
    assigned: &mut BTreeMap<String, Partitions>,
) {
    for (topic, &partitions_count) in partitions_counts {
        let readers: Vec<&&Subscriber> = members.iter().filter(|it| it.wants(topic)).collect();
        let mut next = 0;
        for (position, reader) in readers.iter().enumerate() {
            // The first ones take what is left over.
            let has_one_more = position < partitions_count % readers.len();
            let end = next + partitions_count / readers.len() + usize::from(has_one_more);
            (next..end).for_each(|index| give(assigned, reader, topic, index));
            next = end;
        }
    }
}

fn round_robin(
    partitions_counts: &BTreeMap<String, usize>,
    members: &[&Subscriber],
    assigned: &mut BTreeMap<String, Partitions>,
) {
    let mut turns = members.iter().cycle();
    for (topic, &partitions_count) in partitions_counts {
        if !members.iter().any(|it| it.wants(topic)) {
            continue;
        }
        for index in 0..partitions_count {
            let reader = turns.find(|it| it.wants(topic)).expect("one of them wants it");
            give(assigned, reader, topic, index);
        }
    }
}

impl Subscriber {
    fn wants(&self, topic: &str) -> bool {
        self.topics.iter().any(|it| it == topic)
    }
}

fn give(
    assigned: &mut BTreeMap<String, Partitions>,
    reader: &Subscriber,
    topic: &str,
    index: usize,
) {
    let index = i32::try_from(index).expect("partitions are numbered by Kafka's integers");
    let of_member = assigned.get_mut(&reader.id).expect("every member is there");
    of_member.entry(topic.to_owned()).or_default().push(PartitionIndex(index));
}

#[cfg(test)]
mod tests;
