//! Consumer groups in great numbers: members that join, say that they are alive, commit at a rate,
//! leave and come again.
//!
//! ```text
//!  form ─────────► warm-up ──► measured ────────────────────────► over ──► books
//!  every group      commits by a schedule, from each member        the offsets that the broker has
//!  has divided      churn: one of a group leaves, the others       are asked for and compared with
//!  its topic        divide anew, it comes again, they do so again  what it has acknowledged
//! ```
//! Guarantees: a commit's time counts from when it was due, however late it could be sent, and also if
//! it never could; a commit that fell due while its member had no partitions is counted as withheld, as
//! no consumer commits then; a division counts when every partition is read by somebody, and by nobody
//! else, in one generation.
//! Does not know: records. The offsets are numbers that rise.

mod books;
mod churn;
mod group;
mod member;

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;

use client::{Cluster, ClusterError, NewTopic, in_full};
use runtime::{Instant, Neighbours, Threads, TimedOut, now, sleep, sleep_until, spawn, timeout};
use serde::{Deserialize, Serialize};

use crate::measure::{Histogram, Summary, histogram};
use crate::run::{RunError, random_number, wake_in_time};
use crate::settings::{SettingsError, hosts_of, range};
use crate::units::{Rate, Span, nanos};
use crate::worker::cluster_options;
use group::Group;

/// Members of all groups together; each has a connection of its own.
const MEMBERS_MAX: u64 = 20_000;
/// Per second, of commits and of members that leave.
const RATE_MAX: u64 = 1_000_000;
/// How many wrong offsets are told in words.
const WRONG_SHOWN_MAX: usize = 20;
/// How many different notes are kept; an error may have a number in it.
const NOTES_MAX: usize = 50;

/// What there is, and for how long.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GroupsSettings {
    /// Brokers to ask first, as HOST:PORT.
    pub bootstrap: Vec<String>,
    pub groups: u32,
    /// Of each group, and the partitions of the topic that each of them reads.
    pub members: u32,
    /// Commits per second of all members together, each of one partition.
    pub commits: Rate,
    /// How often per second a member leaves its group and comes again once the others have divided
    /// its partitions. The groups take turns.
    pub churn: Rate,
    /// Between two heartbeats of a member.
    pub heartbeat: Span,
    pub session_timeout: Span,
    /// New members per second, until all are there.
    pub arrivals: Rate,
    /// Commits that are not measured.
    pub warm_up: Span,
    pub duration: Span,
    /// How long groups may take to divide their partitions.
    pub patience: Span,
    /// The processor to stay on.
    pub processor: Option<usize>,
}

impl GroupsSettings {
    /// As Kafka's consumers have it, as far as they have it: a thousand groups of three.
    pub fn usual(bootstrap: impl Into<String>) -> GroupsSettings {
        GroupsSettings {
            bootstrap: vec![bootstrap.into()],
            groups: 1000,
            members: 3,
            commits: Rate(10_000.0),
            churn: Rate(0.0),
            heartbeat: Span(Duration::from_secs(3)),
            session_timeout: Span(Duration::from_secs(45)),
            arrivals: Rate(1000.0),
            warm_up: Span(Duration::from_secs(1)),
            duration: Span(Duration::from_secs(20)),
            patience: Span(Duration::from_secs(60)),
            processor: None,
        }
    }

    pub fn check(&self) -> Result<(), SettingsError> {
        hosts_of(&self.bootstrap)?;
        range("--groups", self.groups.into(), 1, MEMBERS_MAX)?;
        range("--members", self.members.into(), 1, MEMBERS_MAX)?;
        range("number of members", self.members_count(), 1, MEMBERS_MAX)?;
        for (name, rate, min) in [
            ("--commits", self.commits, 0),
            ("--churn", self.churn, 0),
            ("--arrivals", self.arrivals, 1),
        ] {
            range(name, crate::units::whole(rate.0.ceil()), min, RATE_MAX)?;
        }
        range("--heartbeat in ms", nanos(self.heartbeat.0) / 1_000_000, 1, 60_000)?;
        range("--session-timeout in ms", nanos(self.session_timeout.0) / 1_000_000, 1, 1_800_000)?;
        range("--duration in ms", nanos(self.duration.0) / 1_000_000, 1, 86_400_000)?;
        if self.members == 1 && 0.0 < self.churn.0 {
            // Who is alone leaves its partitions to nobody.
            return Err(SettingsError::TooSmall {
                name: "--members with --churn",
                value: 1,
                min: 2,
            });
        }
        Ok(())
    }

    fn members_count(&self) -> u64 {
        u64::from(self.groups) * u64::from(self.members)
    }
}

/// What became of the commits that fell due in the measured time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CommitCounts {
    pub acknowledged: u64,
    /// Because the group was dividing its partitions anew, or had done so already.
    pub refused: u64,
    /// Never sent: their member was joining, or away.
    pub withheld: u64,
    /// Ended in errors, which are among the notes.
    pub failed: u64,
    /// Not sent before all was over, as those before them waited for so long. They count with the
    /// time that they had waited by then.
    pub unsent: u64,
}

impl CommitCounts {
    pub fn due(&self) -> u64 {
        self.acknowledged + self.refused + self.withheld + self.failed + self.unsent
    }
}

/// How long groups took to divide their partitions anew.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rebalances {
    /// From a member's wish to leave until the others had all partitions.
    pub left: Summary,
    /// From its wish to come again until all had theirs.
    pub joined: Summary,
    /// That did not begin, as the group was still busy with the one before.
    pub skipped: u64,
    /// That did not come to an end.
    pub unfinished: u64,
}

/// What came of it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct GroupsOutcome {
    pub settings: GroupsSettings,
    /// Of each group, from its first member's start until it had divided its topic: the broker's
    /// initial delay is part of it.
    pub formed: Summary,
    pub commits: CommitCounts,
    /// From when a commit was due until it was acknowledged; at least so long where some are unsent.
    pub commit_times: Summary,
    pub rebalances: Rebalances,
    /// In the measured time.
    pub heartbeats: u64,
    /// Partitions whose committed offset was looked at in the end.
    pub looked_at: u64,
    /// Those that the broker has not as it acknowledged them, in words.
    pub wrong: Vec<String>,
    /// Errors in words, and how often.
    pub notes: BTreeMap<String, u64>,
    /// When the measured time began and ended, on the host's monotonic clock.
    pub window_ns: (u64, u64),
    /// What share of its processor the generator used in the measured time.
    pub cpu: f64,
}

impl GroupsOutcome {
    /// Whether the broker kept its word, and gave it.
    pub fn is_good(&self) -> bool {
        self.fault().is_none()
    }

    /// The worst that the broker did.
    pub fn fault(&self) -> Option<Fault> {
        if !self.wrong.is_empty() {
            return Some(Fault::WrongOffsets);
        }
        if 0 < self.rebalances.unfinished {
            return Some(Fault::Unfinished);
        }
        let is_nothing = self.commits.acknowledged == 0 && self.settings.commits.0 != 0.0;
        is_nothing.then_some(Fault::NothingAcknowledged)
    }

    /// The first of what is wrong, which is all but in a disaster.
    pub fn wrong_shown(&self) -> &[String] {
        &self.wrong[..self.wrong.len().min(WRONG_SHOWN_MAX)]
    }
}

/// What a broker did that it must not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// It has not what it acknowledged.
    WrongOffsets,
    /// A group did not divide its partitions in time.
    Unfinished,
    /// Of the commits that were due.
    NothingAcknowledged,
}

/// Why there is no outcome.
#[derive(Debug, thiserror::Error)]
pub enum GroupsError {
    #[error(transparent)]
    Run(#[from] RunError),
    #[error("{missing} of {groups} groups have not divided their topic after {patience}{notes}")]
    NotFormed { missing: usize, groups: usize, patience: Span, notes: String },
}

impl From<ClusterError> for GroupsError {
    fn from(error: ClusterError) -> GroupsError {
        GroupsError::Run(error.into())
    }
}

/// Runs the groups. `on_formed` is told when all of them have divided their topic and the warm-up
/// begins.
pub fn run(
    settings: &GroupsSettings,
    on_formed: impl FnOnce() + Send + 'static,
) -> Result<GroupsOutcome, GroupsError> {
    settings.check().map_err(RunError::from)?;
    runtime::host::raise_open_files_limit().map_err(RunError::OpenFiles)?;
    let run = random_number()?;
    let owned = settings.clone();
    let main = move || async move {
        wake_in_time();
        run_on_core(owned, run, on_formed).await
    };
    let threads = Threads {
        neighbours: Neighbours::new(1),
        processors: settings.processor.into_iter().collect(),
        lock: None,
    };
    let mut results = threads.run(vec![main]).map_err(RunError::from)?;
    results.pop().expect("one core, one result")
}

/// What all members share.
struct Load {
    settings: GroupsSettings,
    cluster: Cluster,
    topic: String,
    measured: RefCell<Measured>,
    notes: RefCell<BTreeMap<String, u64>>,
}

/// When commits are due, once that is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Window {
    /// The first commit.
    begin: Instant,
    from: Instant,
    to: Instant,
}

struct Measured {
    commits: CommitCounts,
    commit_times: Histogram,
    left: Histogram,
    joined: Histogram,
    skipped: u64,
    unfinished: u64,
    heartbeats: u64,
}

impl Load {
    /// Remembers an error for the report.
    fn note(&self, error: &ClusterError) {
        let mut notes = self.notes.borrow_mut();
        let text = in_full(error);
        if notes.len() < NOTES_MAX || notes.contains_key(&text) {
            *notes.entry(text).or_default() += 1;
        }
    }
}

async fn run_on_core(
    settings: GroupsSettings,
    run: u32,
    on_formed: impl FnOnce(),
) -> Result<GroupsOutcome, GroupsError> {
    let hosts = hosts_of(&settings.bootstrap).map_err(RunError::from)?;
    let cluster = Cluster::connect(hosts, cluster_options()).await?;
    let topic = format!("loadgen-groups-{run:08x}");
    cluster.create_topic(&new_topic(&topic, settings.members)).await?;
    let load = Rc::new(Load {
        settings,
        cluster,
        topic,
        measured: RefCell::new(Measured::new()),
        notes: RefCell::default(),
    });
    let outcome = run_groups(&load, run, on_formed).await;
    let deleted = load.cluster.delete_topic(&load.topic).await;
    // A run that failed has more to say than that its topic is still there.
    outcome.and_then(|outcome| deleted.map(|()| outcome).map_err(GroupsError::from))
}

fn new_topic(name: &str, members: u32) -> NewTopic {
    NewTopic {
        name: name.to_owned(),
        partitions_count: i32::try_from(members).expect("settings limit it"),
        replication_factor: 1,
        configs: Vec::new(),
    }
}

async fn run_groups(
    load: &Rc<Load>,
    run: u32,
    on_formed: impl FnOnce(),
) -> Result<GroupsOutcome, GroupsError> {
    let settings = &load.settings;
    let name = |number| format!("loadgen-{run:08x}-{number}");
    let groups: Vec<Rc<Group>> =
        (0..settings.groups).map(|it| Rc::new(Group::new(name(it), settings.members))).collect();
    // The first to ask makes the topic of all groups, which is none of theirs to wait for.
    load.cluster.coordinator(&groups[0].name).await?;
    let mut members = Vec::new();
    let formed = form(load, &groups, &mut members).await?;
    let begin = now();
    let from = begin + settings.warm_up.0;
    let window = Window { begin, from, to: from + settings.duration.0 };
    groups.iter().for_each(|group| group.open(window));
    on_formed();
    sleep_until(from).await;
    let heartbeats_before = load.measured.borrow().heartbeats;
    let cpu_before = runtime::host::thread_cpu_time();
    let churning =
        (0.0 < settings.churn.0).then(|| spawn(churn::run(load.clone(), groups.clone(), window)));
    sleep_until(window.to).await;
    let cpu_ns = nanos(runtime::host::thread_cpu_time().since(cpu_before));
    let heartbeats = load.measured.borrow().heartbeats - heartbeats_before;
    if let Some(churning) = churning {
        churning.await;
    }
    groups.iter().for_each(|group| group.end());
    for member in members {
        member.await;
    }
    let (looked_at, wrong) = books::compare(&load.cluster, &load.topic, &groups).await?;
    for group in &groups {
        load.cluster.delete_group(&group.name).await?;
    }
    let measured = load.measured.borrow();
    Ok(GroupsOutcome {
        settings: settings.clone(),
        formed: Summary::of(&formed),
        commits: measured.commits,
        commit_times: Summary::of(&measured.commit_times),
        rebalances: Rebalances {
            left: Summary::of(&measured.left),
            joined: Summary::of(&measured.joined),
            skipped: measured.skipped,
            unfinished: measured.unfinished,
        },
        heartbeats,
        looked_at,
        wrong,
        notes: load.notes.borrow().clone(),
        window_ns: (window.from.as_nanos(), window.to.as_nanos()),
        cpu: cpu_ns as f64 / nanos(settings.duration.0) as f64,
    })
}

/// Starts all members, and waits until every group has divided its topic.
async fn form(
    load: &Rc<Load>,
    groups: &[Rc<Group>],
    members: &mut Vec<runtime::JoinHandle<()>>,
) -> Result<Histogram, GroupsError> {
    let settings = &load.settings;
    let pause = Duration::from_secs_f64(1.0 / settings.arrivals.0);
    let mut forming = Vec::new();
    for (group, of_all) in groups.iter().zip(0..) {
        let begun = now();
        for number in 0..settings.members {
            let schedule = member::Schedule::new(settings, of_all, number);
            members.push(spawn(member::run(load.clone(), group.clone(), number, schedule)));
            sleep(pause).await;
        }
        let group = group.clone();
        forming.push(spawn(async move { group.divided(None).await.since(begun) }));
    }
    let mut formed = histogram();
    let deadline = now() + settings.patience.0;
    let mut missing = 0;
    for group in forming {
        match timeout(deadline.since(now()), group).await {
            Ok(took) => formed.record(nanos(took)).expect("it grows with its values"),
            Err(TimedOut) => missing += 1,
        }
    }
    if missing == 0 {
        return Ok(formed);
    }
    let notes = load.notes.borrow();
    let notes = notes.iter().map(|(note, count)| format!("; {count} × {note}")).collect();
    let (groups, patience) = (groups.len(), settings.patience);
    Err(GroupsError::NotFormed { missing, groups, patience, notes })
}

impl Measured {
    fn new() -> Measured {
        Measured {
            commits: CommitCounts::default(),
            commit_times: histogram(),
            left: histogram(),
            joined: histogram(),
            skipped: 0,
            unfinished: 0,
            heartbeats: 0,
        }
    }

    /// How long a commit took, or has waited.
    fn note_time(&mut self, time: Duration) {
        self.commit_times.record(nanos(time)).expect("it grows with its values");
    }
}

#[cfg(test)]
mod tests;
