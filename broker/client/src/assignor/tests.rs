use std::fmt::Write;

use super::*;

fn subscriber(id: &str, topics: &str) -> Subscriber {
    let (id, instance) = match id.split_once('@') {
        Some((id, instance)) => (id, Some(instance.to_owned())),
        None => (id, None),
    };
    let topics = topics.split_whitespace().map(str::to_owned).collect();
    Subscriber { id: id.to_owned(), instance, topics }
}

/// Who gets what, in words: members are `id` or `id@instance` with their topics.
fn assign(assignor: Assignor, counts: &[(&str, usize)], members: &[(&str, &str)]) -> String {
    let counts = counts.iter().map(|(topic, count)| ((*topic).to_owned(), *count)).collect();
    let members = members.iter().map(|(id, topics)| subscriber(id, topics));
    let mut members: Vec<Subscriber> = members.collect();
    let assigned = assignor.assign(&counts, &members);
    members.reverse();
    assert_eq!(assigned, assignor.assign(&counts, &members), "their order does not matter");
    let mut text = String::new();
    for (id, partitions) in assigned {
        let _ = write!(text, "{id}:");
        for (topic, of_topic) in partitions {
            of_topic.iter().for_each(|partition| {
                let _ = write!(text, " {topic}{partition}");
            });
        }
        text.push('\n');
    }
    text
}

#[test]
fn range_gives_neighbours_and_the_first_members_the_rest() {
    let counts = [("t", 3), ("u", 3)];
    let members = [("x", "t u"), ("y", "t u")];
    assert_eq!(assign(Assignor::Range, &counts, &members), "x: t0 t1 u0 u1\ny: t2 u2\n");
    let members = [("x", "t"), ("y", "t u"), ("z", "u")];
    assert_eq!(assign(Assignor::Range, &counts, &members), "x: t0 t1\ny: t2 u0 u1\nz: u2\n");
}

#[test]
fn round_robin_goes_on_with_the_next_topic_where_it_was() {
    let counts = [("t", 3), ("u", 3)];
    let members = [("x", "t u"), ("y", "t u")];
    assert_eq!(assign(Assignor::RoundRobin, &counts, &members), "x: t0 t2 u1\ny: t1 u0 u2\n");
    // Kafka's own example of what it does where they want different topics.
    let counts = [("t", 1), ("u", 2), ("v", 3)];
    let members = [("x", "t"), ("y", "t u"), ("z", "t u v")];
    let expected = "x: t0\ny: u0\nz: u1 v0 v1 v2\n";
    assert_eq!(assign(Assignor::RoundRobin, &counts, &members), expected);
}

#[test]
fn static_members_are_ordered_by_instance_and_before_others() {
    for assignor in Assignor::ALL {
        let members = [("z@1", "t"), ("y@2", "t"), ("a", "t")];
        let expected = "a: t2\ny: t1\nz: t0\n";
        assert_eq!(assign(assignor, &[("t", 3)], &members), expected, "{assignor:?}");
    }
}

#[test]
fn who_gets_nothing_is_there_and_what_is_not_there_is_nobodys() {
    for assignor in Assignor::ALL {
        let members = [("x", "t nowhere"), ("y", "t"), ("z", "")];
        let counts = [("other", 5), ("t", 1)];
        assert_eq!(assign(assignor, &counts, &members), "x: t0\ny:\nz:\n", "{assignor:?}");
        assert_eq!(assign(assignor, &counts, &[]), "", "{assignor:?}");
    }
}

#[test]
fn every_partition_goes_to_one_of_those_who_want_it() {
    let counts_of_members = [1, 2, 3, 5, 8, 13];
    let cases = Assignor::ALL.into_iter().flat_map(|it| counts_of_members.map(|count| (it, count)));
    for (assignor, members_count) in cases {
        let counts: BTreeMap<String, usize> =
            (0..7).map(|topic| (format!("t{topic}"), 1 + topic * 3)).collect();
        let member = |number: usize| Subscriber {
            id: format!("m{number}"),
            instance: number.is_multiple_of(3).then(|| format!("i{number}")),
            topics: (0..7).filter(|it| it % 2 <= number % 3).map(|it| format!("t{it}")).collect(),
        };
        let members: Vec<Subscriber> = (0..members_count).map(member).collect();
        let mut given = BTreeMap::new();
        for (id, partitions) in assignor.assign(&counts, &members) {
            let topics = &members.iter().find(|it| it.id == id).unwrap().topics;
            for (topic, of_topic) in partitions {
                assert!(topics.contains(&topic), "{id} does not want {topic}");
                for partition in of_topic {
                    let other = given.insert((topic.clone(), partition), id.clone());
                    assert_eq!(other, None, "{topic} {partition}");
                }
            }
        }
        let wanted = counts.iter().filter(|(topic, _)| members.iter().any(|it| it.wants(topic)));
        assert_eq!(given.len(), wanted.map(|(_, count)| count).sum::<usize>());
    }
}
