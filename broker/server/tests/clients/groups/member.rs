//! The members of a group, as child processes.

use std::collections::BTreeSet;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use nix::sys::signal::Signal;

use crate::process::{Heard, Running};
use crate::scripts::{Client, PROGRAM_LIMIT, java};

use super::history::{Event, History, is_everything_processed, judge};
use super::{PARTITIONS, TOPIC, Work};

/// Between two questions whether anybody has something to say.
const PAUSE: Duration = Duration::from_millis(10);

/// Who assigns the partitions, and how.
#[derive(Clone, Copy, Debug)]
pub(super) enum Protocol {
    /// A member; everything is revoked before.
    Range,
    /// A member, in two steps, so that what stays is never revoked.
    CooperativeSticky,
    /// The broker (KIP-848).
    Consumer,
    /// A member, by the tasks of Kafka Streams, in two steps as well.
    Streams,
}

impl Protocol {
    fn name(self) -> &'static str {
        match self {
            Protocol::Range => "range",
            Protocol::CooperativeSticky => "cooperative-sticky",
            Protocol::Consumer => "consumer",
            Protocol::Streams => "streams",
        }
    }
}

/// When members commit.
#[derive(Clone, Copy, Debug)]
pub(super) enum Commit {
    /// Every record, once it is processed.
    Each,
    /// As the client does by itself.
    Auto,
}

/// Members of one group, of one kind.
pub(super) struct Group {
    client: Client,
    protocol: Protocol,
    commit: Commit,
    name: &'static str,
    address: String,
    members: Vec<Member>,
}

struct Member {
    name: String,
    /// None once it has ended.
    running: Option<Running>,
    history: History,
}

/// Since 1970, as members tell it.
pub(super) fn now_us() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).expect("it is later than 1970");
    u64::try_from(since.as_micros()).expect("it is not that much later")
}

impl Group {
    pub(super) fn new(work: &Work, client: Client, protocol: Protocol, commit: Commit) -> Group {
        Group::named("workers", work, client, protocol, commit)
    }

    pub(super) fn named(
        name: &'static str,
        work: &Work,
        client: Client,
        protocol: Protocol,
        commit: Commit,
    ) -> Group {
        let address = work.address().to_owned();
        Group { client, protocol, commit, name, address, members: Vec::new() }
    }

    /// Whom the next members are.
    pub(super) fn set_client(&mut self, client: Client) {
        self.client = client;
    }

    /// By which protocol the next members speak.
    pub(super) fn set_protocol(&mut self, protocol: Protocol) {
        self.protocol = protocol;
    }

    pub(super) fn name(&self) -> &'static str {
        self.name
    }

    /// Starts a member, static if it has an instance, and gives its number. None if the client is not
    /// on this machine.
    pub(super) fn add(&mut self, instance: Option<&str>) -> Option<usize> {
        let commit = match self.commit {
            Commit::Each => "each",
            Commit::Auto => "auto",
        };
        let mut command = match self.protocol {
            Protocol::Range | Protocol::CooperativeSticky | Protocol::Consumer => {
                self.client.member()?
            }
            Protocol::Streams => java("StreamsMember")?,
        };
        command.args([&self.address, self.name, TOPIC, instance.unwrap_or("-")]);
        command.args([self.protocol.name(), commit]);
        let index = self.members.len();
        let name = format!("{:?} member {index}", self.client);
        let running = Running::start(&name, &mut command).unwrap();
        let history = History::new(instance.map_or_else(|| name.clone(), str::to_owned));
        self.members.push(Member { name, running: Some(running), history });
        Some(index)
    }

    pub(super) fn history(&self, index: usize) -> &History {
        &self.members[index].history
    }

    pub(super) fn histories(&self) -> Vec<&History> {
        self.members.iter().map(|member| &member.history).collect()
    }

    /// How many partitions each member has that is running.
    pub(super) fn shares(&self) -> Vec<usize> {
        let running = self.members.iter().filter(|member| member.running.is_some());
        running.map(|member| member.history.owned().len()).collect()
    }

    /// Whether the running members have all partitions between them, and as many each.
    pub(super) fn is_balanced(&self) -> bool {
        let shares = self.shares();
        self.has_all() && shares.iter().all(|share| share * shares.len() == PARTITIONS as usize)
    }

    /// Whether they have all partitions between them.
    pub(super) fn has_all(&self) -> bool {
        let owned = self.members.iter().flat_map(|member| member.history.owned());
        owned.collect::<BTreeSet<u32>>() == (0..PARTITIONS).collect()
    }

    /// Whether every record has been processed by somebody.
    pub(super) fn has_processed(&self, sent: &[u64]) -> bool {
        is_everything_processed(&self.histories(), sent)
    }

    /// Listens to everybody until something is so.
    pub(super) fn wait_until(
        &mut self,
        what: &str,
        limit: Duration,
        is_so: impl Fn(&Group) -> bool,
    ) {
        let deadline = Instant::now() + limit;
        loop {
            let has_heard = self.listen();
            if is_so(self) {
                return;
            }
            if deadline < Instant::now() {
                panic!("not within {limit:?}: {what}\n{}", self.summary());
            }
            if !has_heard {
                std::thread::sleep(PAUSE);
            }
        }
    }

    /// Takes what members have said so far, and tells whether that was something.
    pub(super) fn listen(&mut self) -> bool {
        let mut has_heard = false;
        for member in &mut self.members {
            has_heard |= member.listen();
        }
        has_heard
    }

    /// Stops everybody when all is processed, and checks that all was as it has to be. Gives how many
    /// records were processed again.
    pub(super) fn finish(&mut self, sent: &[u64]) -> usize {
        self.wait_until("everything is processed", PROGRAM_LIMIT, |group| {
            is_everything_processed(&group.histories(), sent)
        });
        for index in 0..self.members.len() {
            if self.members[index].running.is_some() {
                self.stop(index);
            }
        }
        let (complaints, repeated) = judge(&self.histories(), sent);
        assert!(complaints.is_empty(), "{}\n{}", complaints.join("\n"), self.summary());
        repeated
    }

    pub(super) fn summary(&self) -> String {
        let told: Vec<String> = self.members.iter().map(Member::summary).collect();
        told.join("\n")
    }

    /// kill -9. Gives the time of it.
    pub(super) fn kill(&mut self, index: usize) -> u64 {
        let member = &mut self.members[index];
        let running = member.running.take().expect("it has not ended");
        running.signal(Signal::SIGKILL);
        let at = now_us();
        let (_, lines, _) = running.finish(PROGRAM_LIMIT).unwrap();
        lines.iter().for_each(|line| member.note(line));
        member.history.end(at);
        at
    }

    /// SIGTERM. Whether it can leave the group is not waited for.
    pub(super) fn dismiss(&mut self, index: usize) {
        let member = &mut self.members[index];
        member.history.leave();
        let running = member.running.as_ref().expect("it has not ended");
        running.signal(Signal::SIGTERM);
    }

    /// SIGTERM, on which a member leaves in good order.
    pub(super) fn stop(&mut self, index: usize) {
        let member = &mut self.members[index];
        let running = member.running.take().expect("it has not ended");
        member.history.leave();
        running.signal(Signal::SIGTERM);
        let (status, lines, errors) = running.finish(PROGRAM_LIMIT).unwrap();
        assert!(status.success(), "{}: {status}: {errors}", member.name);
        lines.iter().for_each(|line| member.note(line));
        assert!(member.history.is_closed(), "{} has closed its client: {errors}", member.name);
        member.history.end(now_us());
    }
}

impl Member {
    /// Takes what it has said so far, and tells whether that was something.
    fn listen(&mut self) -> bool {
        let mut has_heard = false;
        while let Some(running) = &self.running {
            match running.hear(Duration::ZERO) {
                Heard::Line(line) => self.note(&line),
                Heard::End if self.history.is_closed() => {
                    self.running = None;
                    self.history.end(now_us());
                }
                Heard::End => panic!("{} has ended: {}", self.name, running.errors()),
                Heard::Silence => break,
            }
            has_heard = true;
        }
        has_heard
    }

    fn note(&mut self, line: &str) {
        match serde_json::from_str::<Event>(line) {
            Ok(event) => self.history.add(event),
            Err(error) => panic!("{} says what is no event: {error}: {line}", self.name),
        }
    }

    fn summary(&self) -> String {
        let errors = self.running.as_ref().map(Running::errors).unwrap_or_default();
        format!("{}: {:?}\n{errors}", self.name, self.history.turns())
    }
}
