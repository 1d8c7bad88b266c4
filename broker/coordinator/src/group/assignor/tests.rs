//! What every assignment keeps to, and what the assignors promise beyond that.

use proptest::prelude::*;

use super::*;

fn topic(number: u8) -> TopicId {
    TopicId::from_bytes([number; 16])
}

fn numbers(partitions: &Partitions, of: u8) -> Vec<i32> {
    let own = partitions.iter().filter(|(it, _)| *it == topic(of));
    own.map(|(_, partition)| partition.0).collect()
}

fn assign(
    assignor: Assignor,
    members: &[(&str, &[u8])],
    before: &[Partitions],
    counts: &[(u8, i32)],
) -> Vec<Partitions> {
    let none = Partitions::default();
    let readers: Vec<Reader<'_>> = members
        .iter()
        .enumerate()
        .map(|(number, (order, topics))| Reader {
            order,
            topics: topics.iter().map(|number| topic(*number)).collect(),
            before: before.get(number).unwrap_or(&none),
        })
        .collect();
    let counts = counts.iter().map(|(number, count)| (topic(*number), *count)).collect();
    assignor.assign(&readers, &counts)
}

#[test]
fn ranges_follow_each_other_and_are_the_same_of_like_topics() {
    let members: [(&str, &[u8]); 3] = [("b", &[1, 2]), ("a", &[1, 2]), ("c", &[1, 2])];
    let assigned = assign(Assignor::Range, &members, &[], &[(1, 7), (2, 7)]);
    for of in [1, 2] {
        let all: Vec<_> = assigned.iter().map(|own| numbers(own, of)).collect();
        assert_eq!(all, [vec![3, 4], vec![0, 1, 2], vec![5, 6]]);
    }
}

#[test]
fn a_member_that_comes_takes_as_few_as_it_must() {
    let two: [(&str, &[u8]); 2] = [("a", &[1]), ("b", &[1])];
    let before = assign(Assignor::Uniform, &two, &[], &[(1, 9)]);
    let counts: Vec<usize> = before.iter().map(Partitions::len).collect();
    assert_eq!(counts, [5, 4]);
    let three: [(&str, &[u8]); 3] = [("a", &[1]), ("b", &[1]), ("c", &[1])];
    let after = assign(Assignor::Uniform, &three, &before, &[(1, 9)]);
    for (before, after) in before.iter().zip(&after) {
        assert_eq!(after.len(), 3);
        assert!(after.is_within(before), "nobody gets what another one had");
    }
    // And when it goes again, the others get what it had and keep the rest.
    let again = assign(Assignor::Uniform, &two, &after, &[(1, 9)]);
    for (before, after) in after.iter().zip(&again) {
        assert!(before.is_within(after));
    }
}

#[test]
fn a_topic_that_nobody_reads_is_nobodys() {
    for assignor in [Assignor::Uniform, Assignor::Range] {
        let assigned = assign(assignor, &[("a", &[1])], &[], &[(1, 2), (2, 5)]);
        assert_eq!((numbers(&assigned[0], 1), assigned[0].len()), (vec![0, 1], 2));
        assert!(assign(assignor, &[], &[], &[(1, 2)]).is_empty());
    }
}

proptest! {
    #[test]
    fn every_partition_has_one_reader_and_loads_are_as_even_as_topics_allow(
        members in prop::collection::vec(prop::collection::btree_set(0..5_u8, 0..5), 1..8),
        before in prop::collection::vec(prop::collection::vec((0..5_u8, 0..6_i32), 0..10), 8),
        counts in prop::collection::vec(0..9_i32, 5),
        is_range in any::<bool>(),
    ) {
        let names: Vec<String> = (0..members.len()).map(|number| format!("m{number}")).collect();
        let topics: Vec<Vec<u8>> = members.iter().map(|own| own.iter().copied().collect()).collect();
        let specs: Vec<(&str, &[u8])> =
            names.iter().zip(&topics).map(|(name, own)| (name.as_str(), own.as_slice())).collect();
        let before: Vec<Partitions> = before
            .iter()
            .map(|own| own.iter().map(|(of, number)| (topic(*of), PartitionIndex(*number))).collect())
            .collect();
        let counts: Vec<(u8, i32)> = (0..).zip(counts).collect();
        let assignor = if is_range { Assignor::Range } else { Assignor::Uniform };
        let assigned = assign(assignor, &specs, &before, &counts);
        prop_assert_eq!(assigned.len(), members.len());
        for (of, count) in &counts {
            let is_read = members.iter().any(|own| own.contains(of));
            for partition in partitions_of(*count) {
                let owners: Vec<usize> = (0..assigned.len())
                    .filter(|number| assigned[*number].contains(topic(*of), partition))
                    .collect();
                prop_assert_eq!(owners.len(), usize::from(is_read));
                prop_assert!(owners.iter().all(|number| members[*number].contains(of)));
            }
        }
        let total: i32 = counts.iter()
            .filter(|(of, _)| members.iter().any(|own| own.contains(of)))
            .map(|(_, count)| *count)
            .sum();
        let given: usize = assigned.iter().map(Partitions::len).sum();
        prop_assert_eq!(given, usize::try_from(total).unwrap());
        if !is_range {
            for (from, own) in assigned.iter().enumerate() {
                for (of, _) in own.iter() {
                    for (to, other) in assigned.iter().enumerate() {
                        let reads = members[to].iter().any(|it| topic(*it) == of);
                        prop_assert!(!reads || own.len() <= other.len() + 1, "{from} to {to}");
                    }
                }
            }
        }
    }
}
