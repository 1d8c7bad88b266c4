//! A member joins a group whose members keep what they can, and go on with it meanwhile.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::install::say;
use crate::scripts::{Client, PROGRAM_LIMIT};

use super::Work;
use super::member::{Commit, Group, Protocol, now_us};

const RECORDS: usize = 100;
/// Each partition is sent fifty records a second.
const PAUSE_MAX: Duration = Duration::from_secs(2);

fn check_join(client: Client, protocol: Protocol) {
    let Some(mut work) = Work::start(&format!("join-{client:?}-{protocol:?}")) else { return };
    let mut group = Group::new(&work, client, protocol, Commit::Auto);
    for _ in 0..2 {
        if group.add(None).is_none() {
            return;
        }
    }
    group.wait_until("both have their share", PROGRAM_LIMIT, Group::is_balanced);
    work.begin();
    group.wait_until("both work", PROGRAM_LIMIT, |group| {
        group.histories().iter().all(|history| RECORDS <= history.processed_count())
    });

    let before = [0, 1].map(|member| group.history(member).owned());
    let joined_at = now_us();
    let third = group.add(None).expect("the others are there");
    group.wait_until("the third has its share and works", PROGRAM_LIMIT, |group| {
        group.is_balanced() && RECORDS <= group.history(third).processed_count()
    });
    let mut pause = Duration::ZERO;
    let mut stayed_count = 0;
    for (member, before) in before.iter().enumerate() {
        let history = group.history(member);
        let has = history.owned();
        // Kafka Streams may exchange tasks on the way.
        if !matches!(protocol, Protocol::Streams) {
            assert!(has.is_subset(before), "member {member} had {before:?} and has {has:?}");
        }
        assert_eq!(has.len(), 2, "one of three was given up");
        let given_up: BTreeSet<u32> = before.difference(&has).copied().collect();
        assert_eq!(history.revoked_since(joined_at), given_up, "nothing else was ever revoked");
        let stayed: BTreeSet<u32> = before.intersection(&has).copied().collect();
        stayed_count += stayed.len();
        for partition in stayed {
            let times = history.processed_at(partition);
            let pauses = times.windows(2).filter(|pair| joined_at < pair[1]);
            let longest = pauses.map(|pair| pair[1] - pair[0]).max().expect("it went on");
            pause = pause.max(Duration::from_micros(longest));
        }
    }
    say(&format!(
        "{client:?} {protocol:?}: while a member joined, partitions that stayed paused for at most {} ms",
        pause.as_millis()
    ));
    assert!(pause < PAUSE_MAX, "{pause:?}");
    assert_ne!(stayed_count, 0, "nobody kept anything");

    group.finish(&work.end());
    work.broker.stop();
}

#[test]
fn members_of_librdkafka_go_on_while_one_joins() {
    check_join(Client::Librdkafka, Protocol::CooperativeSticky);
}

#[test]
fn members_of_librdkafka_go_on_while_one_joins_as_the_broker_assigns() {
    check_join(Client::Librdkafka, Protocol::Consumer);
}

#[test]
fn members_of_java_go_on_while_one_joins() {
    check_join(Client::Java, Protocol::CooperativeSticky);
}

#[test]
fn members_of_java_go_on_while_one_joins_as_the_broker_assigns() {
    check_join(Client::Java, Protocol::Consumer);
}

#[test]
fn members_of_franz_go_go_on_while_one_joins() {
    check_join(Client::FranzGo, Protocol::CooperativeSticky);
}

#[test]
fn members_of_kafka_python_go_on_while_one_joins() {
    check_join(Client::KafkaPython, Protocol::CooperativeSticky);
}

#[test]
fn instances_of_kafka_streams_go_on_while_one_joins() {
    check_join(Client::Java, Protocol::Streams);
}
