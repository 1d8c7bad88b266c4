//! Members of a group go from the classic protocol to that of KIP-848 and back, one after the other,
//! while records are produced.

use crate::install::say;
use crate::scripts::{Client, PROGRAM_LIMIT};

use super::Work;
use super::member::{Commit, Group, Protocol};

const MEMBERS: usize = 3;
/// Of each member, before the next one is replaced.
const RECORDS: usize = 50;

/// Each member leaves and is started again with the other protocol.
fn check_migration(client: Client, classic: Protocol, instances: Option<[&str; MEMBERS]>) {
    let fixed = if instances.is_some() { "static" } else { "dynamic" };
    let name = format!("migration-{client:?}-{classic:?}-{fixed}");
    let Some(mut work) = Work::start(&name) else { return };
    let mut group = Group::new(&work, client, classic, Commit::Auto);
    let instance = |place: usize| instances.map(|instances| instances[place]);
    let mut members = Vec::new();
    for place in 0..MEMBERS {
        let Some(member) = group.add(instance(place)) else { return };
        members.push(member);
    }
    group.wait_until("everybody has its share", PROGRAM_LIMIT, Group::is_balanced);
    work.begin();
    for protocol in [Protocol::Consumer, classic] {
        group.set_protocol(protocol);
        for (place, member) in members.iter_mut().enumerate() {
            group.stop(*member);
            let next = group.add(instance(place)).expect("it was there before");
            group.wait_until("it has its share and works", PROGRAM_LIMIT, |group| {
                group.is_balanced() && RECORDS <= group.history(next).processed_count()
            });
            *member = next;
        }
    }
    let repeated = group.finish(&work.end());
    say(&format!("{name}: {repeated} records were processed again"));
    work.broker.stop();
}

#[test]
fn members_of_java_that_give_up_everything_change_their_protocol_one_by_one() {
    check_migration(Client::Java, Protocol::Range, None);
}

#[test]
fn members_of_java_that_keep_what_they_can_change_their_protocol_one_by_one() {
    check_migration(Client::Java, Protocol::CooperativeSticky, None);
}

#[test]
fn static_members_of_java_change_their_protocol_one_by_one() {
    check_migration(Client::Java, Protocol::CooperativeSticky, Some(["one", "two", "three"]));
}

#[test]
fn members_of_librdkafka_change_their_protocol_one_by_one() {
    // Its cooperative leader adds data of its own to assignments, which Kafka does not convert either.
    check_migration(Client::Librdkafka, Protocol::Range, None);
}
