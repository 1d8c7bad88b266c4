//! The broker is killed again and again while members of several groups join, commit and leave. What
//! is committed stays so, no generation is given out twice, no group is stuck, and every group reads
//! everything.

use std::collections::BTreeMap;
use std::sync::PoisonError;
use std::time::{Duration, Instant};

use crate::broker::free_address;
use crate::install::say;
use crate::kills::{Delays, kills_wanted};
use crate::scripts::{Client, PROGRAM_LIMIT};

use super::member::{Commit, Group, Protocol};
use super::raw::{Connection, Mood, RawMember, Shared};
use super::{PARTITIONS, SESSION_TIMEOUT, Work};

/// After the session has timed out, where somebody was lost.
const REBALANCE_LIMIT: Duration = Duration::from_secs(5);
/// Of a broker; short ones are over before everybody is back.
const LIFE_MS_MAX: u64 = 1500;
/// Whoever left while no broker was there is missed when its session times out, which begins anew with
/// each broker; until then its group waits for it. Every so many lives are one that is long enough.
const LONG_LIFE: usize = 10;
/// So few that a group which has waited through all short lives is at the end soon.
const PER_SECOND: u32 = 50;
/// Every so many lives somebody joins each group of other people's clients, and leaves as long after.
const VISIT: usize = 3;
/// Two members that are told of generations, and one that is in no generation.
const RAW: &str = "raw";
const SIMPLE: &str = "simple";

/// What was committed last, as it was read.
#[derive(Default)]
struct Committed {
    seen: BTreeMap<&'static str, Vec<i64>>,
    complaints: Vec<String>,
    reads: usize,
}

impl Committed {
    fn read(&mut self, address: &str, groups: &[Group]) {
        let mut connection = Connection::open(address).unwrap();
        let partitions: Vec<u32> = (0..PARTITIONS).collect();
        let deadline = Instant::now() + REBALANCE_LIMIT;
        for group in groups {
            let name = group.name();
            let now = loop {
                match connection.committed(name, &partitions).unwrap() {
                    Some(offsets) => break offsets,
                    None => assert!(Instant::now() < deadline, "{name} cannot be asked"),
                }
                std::thread::sleep(Duration::from_millis(5));
            };
            self.reads += 1;
            let before = self.seen.entry(name).or_insert_with(|| vec![-1; partitions.len()]);
            for ((partition, before), now) in partitions.iter().zip(before.iter_mut()).zip(&now) {
                let acknowledged = group.histories().into_iter().filter_map(|history| {
                    i64::try_from(*history.acknowledged().get(partition)?).ok()
                });
                *before = acknowledged.fold(*before, i64::max);
                if now < before {
                    let text = format!("{name} {partition}: {before} was committed, then {now}");
                    self.complaints.push(text);
                }
                *before = *now;
            }
        }
    }
}

/// Lets a broker live for some time.
fn live(groups: &mut [Group], time: Duration) {
    let deadline = Instant::now() + time;
    while Instant::now() < deadline {
        for group in &mut *groups {
            group.listen();
        }
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// Somebody comes, or goes, in each group.
fn visit(groups: &mut [Group], kill: usize, visitors: &mut Vec<usize>) {
    if kill % VISIT != VISIT - 1 {
        return;
    }
    if visitors.is_empty() {
        for group in groups {
            group.set_client(Client::Librdkafka);
            visitors.push(group.add(None).expect("it is there"));
        }
        return;
    }
    for (group, visitor) in groups.iter_mut().zip(visitors.drain(..)) {
        group.dismiss(visitor);
    }
}

/// After the last start: how long it takes until every group is stable, and has read everything.
fn settle(groups: &mut [Group], address: &str, sent: &[u64], begun: Instant) -> [Duration; 2] {
    let limit = SESSION_TIMEOUT + REBALANCE_LIMIT;
    let left = || limit.saturating_sub(begun.elapsed());
    let mut connection = Connection::open(address).unwrap();
    let wanted = [RAW, groups[0].name(), groups[1].name()];
    let stable = loop {
        for group in &mut *groups {
            group.listen();
        }
        let states = connection.states().unwrap();
        let is_stable = |name: &&str| {
            states.as_ref().and_then(|states| states.get(*name)).is_some_and(|it| it == "Stable")
        };
        if wanted.iter().all(is_stable) && groups.iter().all(Group::has_all) {
            break begun.elapsed();
        }
        if left().is_zero() {
            let told: Vec<String> = groups.iter().map(Group::summary).collect();
            panic!("not stable after {limit:?}: {states:?}\n{}", told.join("\n"));
        }
        std::thread::sleep(Duration::from_millis(10));
    };
    for group in groups {
        group.wait_until("everything is processed", left(), |group| group.has_processed(sent));
    }
    [stable, begun.elapsed()]
}

#[test]
fn kills_take_nothing_from_groups() {
    let kills = kills_wanted();
    let listen = free_address().to_string();
    let Some(mut work) = Work::start_at("broker-kills", &listen) else { return };
    let group =
        |name, protocol| Group::named(name, &work, Client::Librdkafka, protocol, Commit::Each);
    let mut groups = [group("classic", Protocol::Range), group("consumer", Protocol::Consumer)];
    for client in [Client::Librdkafka, Client::Java] {
        for group in &mut groups {
            group.set_client(client);
            if group.add(None).is_none() {
                return;
            }
        }
    }
    for group in &mut groups {
        group.wait_until("everybody has its share", PROGRAM_LIMIT, Group::is_balanced);
    }
    work.begin_at(PER_SECOND);
    let shared = Shared::new();
    let raw: Vec<_> = [(RAW, true, 0), (RAW, true, 1), (SIMPLE, false, 2)]
        .into_iter()
        .map(|(group, joins, partition)| {
            RawMember::start(&listen, group, &shared, partition, joins)
        })
        .collect();

    let mut delays = Delays(3);
    let mut committed = Committed::default();
    let mut visitors = Vec::new();
    let mut last_start = Instant::now();
    for kill in 0..kills {
        visit(&mut groups, kill, &mut visitors);
        let long = (kill % LONG_LIFE == LONG_LIFE / 2).then_some(SESSION_TIMEOUT);
        live(&mut groups, delays.next(LIFE_MS_MAX) + long.unwrap_or_default());
        work = work.restart();
        last_start = Instant::now();
        committed.read(&listen, &groups);
    }
    shared.set_mood(Mood::Calm);
    let sent = work.end();
    let [stable, read] = settle(&mut groups, &listen, &sent, last_start);
    shared.set_mood(Mood::Over);
    let accounts: Vec<_> = raw.into_iter().map(|member| member.join().unwrap()).collect();
    committed.read(&listen, &groups);
    let generations = shared.generations.lock().unwrap_or_else(PoisonError::into_inner);
    say(&format!(
        "{kills} kills under {} records and groups: stable {} ms after the last start, and at the end \
         of the topic after {} ms; {} generations were told to members of our own, {} commits \
         acknowledged and {} refused, on {} connections; commits of others were read {} times",
        sent.iter().sum::<u64>(),
        stable.as_millis(),
        read.as_millis(),
        generations.count(),
        accounts.iter().map(|account| account.commits).sum::<usize>(),
        accounts.iter().map(|account| account.refused_commits).sum::<usize>(),
        accounts.iter().map(|account| account.connections).sum::<usize>(),
        committed.reads,
    ));
    for account in &accounts {
        assert!(account.complaints.is_empty(), "{}", account.complaints.join("\n"));
        assert!(kills < account.commits && kills / 2 < account.connections, "{account:?}");
    }
    for account in &accounts[..2] {
        assert!(kills < account.joins && 0 < account.leaves, "{account:?}");
    }
    let complaints = generations.judge();
    assert!(complaints.is_empty(), "{}", complaints.join("\n"));
    assert!(kills < generations.count(), "there were rebalances");
    assert!(committed.complaints.is_empty(), "{}", committed.complaints.join("\n"));
    assert_eq!(committed.reads, 2 * (kills + 1));
    work.broker.stop();
}
