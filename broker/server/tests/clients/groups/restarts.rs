//! Static members (KIP-345) are restarted one after the other, and nobody else notices.

use std::collections::BTreeSet;

use crate::scripts::{Client, PROGRAM_LIMIT};

use super::Work;
use super::member::{Commit, Group, Protocol};

const INSTANCES: [&str; 3] = ["one", "two", "three"];
/// Of each member, after its restart.
const RECORDS: usize = 50;

fn check_rolling_restart(client: Client, protocol: Protocol) {
    let Some(mut work) = Work::start(&format!("static-{client:?}-{protocol:?}")) else { return };
    let mut group = Group::new(&work, client, protocol, Commit::Auto);
    let mut members = Vec::new();
    for instance in INSTANCES {
        let Some(member) = group.add(Some(instance)) else { return };
        members.push(member);
    }
    group.wait_until("everybody has its share", PROGRAM_LIMIT, Group::is_balanced);
    work.begin();
    group.wait_until("everybody works", PROGRAM_LIMIT, |group| {
        group.histories().iter().all(|history| RECORDS <= history.processed_count())
    });
    let shares: Vec<BTreeSet<u32>> =
        members.iter().map(|member| group.history(*member).owned()).collect();
    // Where the broker assigns, only who joined last has heard of the last one.
    let generation = group.histories().iter().filter_map(|history| history.generation()).max();

    for (index, instance) in INSTANCES.into_iter().enumerate() {
        let turns = |group: &Group| -> Vec<usize> {
            let others = members.iter().enumerate().filter(|(other, _)| *other != index);
            others.map(|(_, member)| group.history(*member).turns().len()).collect()
        };
        let before = turns(&group);
        group.stop(members[index]);
        let member = group.add(Some(instance)).expect("it was there before");
        group.wait_until("it works as before", PROGRAM_LIMIT, |group| {
            RECORDS <= group.history(member).processed_count()
        });
        assert_eq!(group.history(member).owned(), shares[index], "{instance} has what it had");
        assert_eq!(turns(&group), before, "the others have noticed nothing of {instance}");
        assert_eq!(group.history(member).generation(), generation, "{instance}");
        members[index] = member;
    }

    group.finish(&work.end());
    work.broker.stop();
}

#[test]
fn static_members_of_librdkafka_are_restarted_unnoticed() {
    check_rolling_restart(Client::Librdkafka, Protocol::Range);
}

#[test]
fn static_members_of_java_are_restarted_unnoticed() {
    check_rolling_restart(Client::Java, Protocol::Range);
}

#[test]
fn static_members_of_java_are_restarted_unnoticed_as_the_broker_assigns() {
    check_rolling_restart(Client::Java, Protocol::Consumer);
}

#[test]
fn static_members_of_franz_go_are_restarted_unnoticed() {
    check_rolling_restart(Client::FranzGo, Protocol::CooperativeSticky);
}

#[test]
fn static_members_of_kafka_python_are_restarted_unnoticed() {
    check_rolling_restart(Client::KafkaPython, Protocol::Range);
}

#[test]
fn static_members_of_aiokafka_are_restarted_unnoticed() {
    check_rolling_restart(Client::Aiokafka, Protocol::Range);
}

#[test]
fn static_instances_of_kafka_streams_are_restarted_unnoticed() {
    check_rolling_restart(Client::Java, Protocol::Streams);
}
