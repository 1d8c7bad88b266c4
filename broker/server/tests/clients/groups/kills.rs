//! One of three members is killed: the others take over its partitions, and what it has processed.

use std::time::Duration;

use crate::install::say;
use crate::scripts::{Client, PROGRAM_LIMIT};

use super::member::{Commit, Group, Protocol};
use super::{PARTITIONS, PER_SECOND, SESSION_TIMEOUT, Work};

/// After the session has timed out.
const REBALANCE_LIMIT: Duration = Duration::from_secs(5);
/// Of each member, before and after.
const RECORDS: usize = 100;

fn check_kill(client: Client, protocol: Protocol) {
    let Some(mut work) = Work::start(&format!("kill-{client:?}-{protocol:?}")) else { return };
    let mut group = Group::new(&work, client, protocol, Commit::Each);
    for _ in 0..3 {
        if group.add(None).is_none() {
            return;
        }
    }
    group.wait_until("everybody has its share", PROGRAM_LIMIT, Group::is_balanced);
    work.begin();
    group.wait_until("everybody works", PROGRAM_LIMIT, |group| {
        group.histories().iter().all(|history| RECORDS <= history.processed_count())
    });

    // It came first, so it leads where a member does.
    let victims = group.history(0).owned();
    let killed_at = group.kill(0);
    group.wait_until("the others have its partitions", PROGRAM_LIMIT, Group::is_balanced);
    let taken_over = [1, 2].into_iter().flat_map(|member| {
        let history = group.history(member);
        victims.iter().filter_map(|partition| history.assigned_at(*partition))
    });
    let after = Duration::from_micros(taken_over.max().expect("it had some") - killed_at);
    let before = [1, 2].map(|member| group.history(member).processed_count());
    group.wait_until("the others go on", PROGRAM_LIMIT, |group| {
        let count = |member: usize| group.history(member).processed_count();
        [1, 2].into_iter().zip(before).all(|(member, before)| before + RECORDS <= count(member))
    });

    let sent = work.end();
    let repeated = group.finish(&sent);
    // The one that was processed when the kill came, and what could not be committed in between.
    let failed: usize = group.histories().iter().map(|history| history.commits_failed()).sum();
    say(&format!(
        "{client:?} {protocol:?}: the partitions of a killed member were taken over after {} ms; of {} \
         records {repeated} were processed again, {failed} commits failed",
        after.as_millis(),
        sent.iter().sum::<u64>()
    ));
    let uncommitted = match protocol {
        Protocol::Range | Protocol::CooperativeSticky | Protocol::Consumer => 1,
        // It commits when it comes to it: at the latest within a second.
        Protocol::Streams => PER_SECOND as usize * victims.len() / PARTITIONS as usize,
    };
    assert!(
        repeated <= uncommitted + failed,
        "{repeated} were processed again, {failed} commits failed"
    );
    assert!(after < SESSION_TIMEOUT + REBALANCE_LIMIT, "{after:?}");
    assert_eq!(sent.len(), PARTITIONS as usize);
    work.broker.stop();
}

#[test]
fn members_of_librdkafka_take_over_from_a_killed_one() {
    check_kill(Client::Librdkafka, Protocol::Range);
}

#[test]
fn members_of_librdkafka_take_over_from_a_killed_one_as_the_broker_assigns() {
    check_kill(Client::Librdkafka, Protocol::Consumer);
}

#[test]
fn members_of_java_take_over_from_a_killed_one() {
    check_kill(Client::Java, Protocol::Range);
}

#[test]
fn members_of_java_take_over_from_a_killed_one_as_the_broker_assigns() {
    check_kill(Client::Java, Protocol::Consumer);
}

#[test]
fn members_of_franz_go_take_over_from_a_killed_one() {
    check_kill(Client::FranzGo, Protocol::Range);
}

#[test]
fn members_of_franz_go_take_over_from_a_killed_one_as_the_broker_assigns() {
    check_kill(Client::FranzGo, Protocol::Consumer);
}

#[test]
fn members_of_kafkajs_take_over_from_a_killed_one() {
    check_kill(Client::Kafkajs, Protocol::Range);
}

#[test]
fn members_of_kafka_python_take_over_from_a_killed_one() {
    check_kill(Client::KafkaPython, Protocol::Range);
}

#[test]
fn members_of_aiokafka_take_over_from_a_killed_one() {
    check_kill(Client::Aiokafka, Protocol::Range);
}

#[test]
fn instances_of_kafka_streams_take_over_from_a_killed_one() {
    check_kill(Client::Java, Protocol::Streams);
}
