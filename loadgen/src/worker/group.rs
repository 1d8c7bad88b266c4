//! Consumer groups that read a run: members that divide the partitions between them, commit how far
//! they have read, and go on where somebody else has.
//!
//! A group's members are spread over the workers, and each reads whatever it is assigned, also what
//! other workers produce.
//!
//! Guarantees: a record counts as read once an offset behind it is committed, so that a group has
//! everything exactly if its commits are kept and its members begin where they say; a group is at the
//! end when its offsets, as the broker has them, are the ends of all partitions.

use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use client::{
    Assignor, ClusterError, Committed, Connection, GroupOffsets, Member, MemberOptions, Standing,
};
use model::{BrokerId, Offset, TopicId};
use runtime::sync::watch::Watch;
use runtime::{Instant, JoinHandle, now, sleep, spawn};
use wire::Text;

use super::consumer::{Position, Purpose, RETRY_PAUSE, fetch_round};
use super::reader::Reader;
use super::{StartGate, Worker, cluster_options};
use crate::plan::Share;
use crate::settings::Pace;

/// What Kafka's consumers do if they are told nothing.
const HEARTBEAT_EVERY: Duration = Duration::from_secs(3);
const SESSION_TIMEOUT: Duration = Duration::from_secs(45);
const COMMIT_EVERY: Duration = Duration::from_secs(5);
/// Between two looks at what the others have committed, in the end.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// How many of a group's members a worker has; none of what is no group.
pub(super) fn members_count(pace: Pace, share: Share) -> Option<usize> {
    let Pace::Group(members) = pace else { return None };
    Some((0..members).filter(|member| share.has(*member)).count())
}

/// How far members have come that were started.
#[derive(Default)]
struct Joined {
    count: usize,
    error: Option<ClusterError>,
}

/// Starts the worker's members of all groups, and waits until each of them has joined.
pub(super) async fn join_all(
    worker: &Rc<Worker>,
    gate: &Arc<StartGate>,
) -> Result<Vec<JoinHandle<()>>, ClusterError> {
    let kinds = worker.settings.readers.iter().flat_map(|it| it.each());
    let groups = (0..).zip(kinds).zip(&worker.readers).filter_map(|((number, kind), readers)| {
        Some((number, members_count(kind.pace, worker.share)?, readers))
    });
    let groups: Vec<(u32, usize, &Vec<Rc<Reader>>)> = groups.collect();
    if groups.is_empty() {
        return Ok(Vec::new());
    }
    let starts = Rc::new(worker.partitions.ends(&worker.cluster, Share::WHOLE).await?);
    let joined = Rc::new(Watch::new(Joined::default()));
    let mut tasks = Vec::new();
    for (number, members_count, readers) in groups {
        if members_count == 0 {
            // It has nothing to read, and has read it.
            readers.iter().for_each(|reader| reader.note_end(0));
        }
        for reader in readers.iter().take(members_count) {
            let task = Task::new(worker, gate, reader.clone(), number, starts.clone());
            tasks.push(spawn(task.run(joined.clone())));
        }
    }
    let all = tasks.len();
    let failed = joined.wait_for(|joined| match &joined.error {
        Some(_) => Some(true),
        None => (joined.count == all).then_some(false),
    });
    match failed.await {
        true => Err(joined.update(|joined| joined.error.take()).expect("it has just been there")),
        false => Ok(tasks),
    }
}

/// A member.
struct Task {
    worker: Rc<Worker>,
    gate: Arc<StartGate>,
    /// Its own books.
    reader: Rc<Reader>,
    group: String,
    member: Member,
    /// Where partitions ended before the run, by number.
    starts: Rc<Vec<Offset>>,
    /// Where they end after it, once that is known.
    ends: Option<Vec<Offset>>,
    /// Of the partitions that it has.
    positions: Vec<Position>,
    connections: BTreeMap<BrokerId, Connection>,
    /// What its reader had read at the last commit.
    committed_records: u64,
    heartbeat_at: Instant,
    commit_at: Instant,
    /// Whether it has its partitions; otherwise it has to join.
    is_in: bool,
}

impl Task {
    fn new(
        worker: &Rc<Worker>,
        gate: &Arc<StartGate>,
        reader: Rc<Reader>,
        number: u32,
        starts: Rc<Vec<Offset>>,
    ) -> Task {
        let group = format!("loadgen-{:08x}-{number}", worker.run);
        let options = MemberOptions {
            group: group.clone(),
            topics: worker.partitions.topics().map(str::to_owned).collect(),
            assignors: vec![Assignor::Range],
            instance: None,
            session_timeout: SESSION_TIMEOUT,
            rebalance_timeout: SESSION_TIMEOUT,
            connection: cluster_options().connection,
        };
        Task {
            worker: worker.clone(),
            gate: gate.clone(),
            reader,
            group,
            member: Member::new(options),
            starts,
            ends: None,
            positions: Vec::new(),
            connections: BTreeMap::new(),
            committed_records: 0,
            heartbeat_at: now(),
            commit_at: now(),
            is_in: false,
        }
    }

    async fn run(mut self, joined: Rc<Watch<Joined>>) {
        if let Err(error) = self.join().await {
            joined.update(|joined| joined.error = Some(error));
            return;
        }
        joined.update(|joined| joined.count += 1);
        loop {
            match self.step().await {
                Ok(true) => break,
                Ok(false) => {}
                Err(error) => {
                    self.worker.note_error(&error);
                    self.lose();
                    sleep(RETRY_PAUSE).await;
                }
            }
        }
        self.reader.note_end(self.worker.since_start(now()));
        if let Err(error) = self.member.leave(&self.worker.cluster).await {
            self.worker.note_error(&error);
        }
    }

    /// The one thing that is to be done now. Whether that was the last.
    async fn step(&mut self) -> Result<bool, ClusterError> {
        if !self.is_in {
            self.join().await?;
        } else if self.heartbeat_at <= now() {
            self.heartbeat().await?;
        } else if self.commit_at <= now() {
            self.commit().await?;
        } else if self.is_at_end().await? {
            self.commit().await?;
            if self.is_in && self.is_group_at_end().await? {
                return Ok(true);
            }
            sleep(LOOK_EVERY).await;
        } else if self.positions.is_empty() {
            sleep(LOOK_EVERY).await;
        } else {
            self.fetch().await;
        }
        Ok(false)
    }

    async fn join(&mut self) -> Result<(), ClusterError> {
        let cluster = &self.worker.cluster;
        self.member.join(cluster).await?;
        let assigned = self.member.partitions();
        let committed = cluster.committed_offsets(&self.group, Some(assigned)).await?;
        let mut positions = Vec::new();
        for (topic, indexes) in assigned {
            let name = Text::from(topic.clone());
            for index in indexes {
                let partition = self.worker.partitions.number(&name, TopicId::ZERO, *index);
                let Some(partition) = partition else { continue };
                positions
                    .push(Position { partition, offset: self.offset_in(&committed, partition) });
            }
        }
        self.positions = positions;
        self.is_in = true;
        self.heartbeat_at = now() + HEARTBEAT_EVERY;
        self.commit_at = now() + COMMIT_EVERY;
        Ok(())
    }

    async fn heartbeat(&mut self) -> Result<(), ClusterError> {
        self.heartbeat_at = now() + HEARTBEAT_EVERY;
        match self.member.heartbeat(&self.worker.cluster).await? {
            Standing::Stable => {}
            Standing::Rebalancing => {
                self.commit().await?;
                self.lose();
            }
            Standing::Lost => self.lose(),
        }
        Ok(())
    }

    async fn commit(&mut self) -> Result<(), ClusterError> {
        self.commit_at = now() + COMMIT_EVERY;
        let mut offsets = GroupOffsets::new();
        for position in &self.positions {
            let (topic, index) = self.worker.partitions.place(position.partition);
            let of_topic = offsets.entry(topic.name.as_str().to_owned()).or_default();
            of_topic.insert(index, Committed::at(position.offset));
        }
        if offsets.is_empty() {
            return Ok(());
        }
        match self.member.commit(&self.worker.cluster, &offsets).await? {
            Standing::Stable => self.committed_records = self.reader.records_count(),
            Standing::Rebalancing | Standing::Lost => self.lose(),
        }
        Ok(())
    }

    /// Gives up its partitions: whoever gets them reads again what is not committed.
    fn lose(&mut self) {
        self.reader.take_back(self.committed_records);
        self.positions.clear();
        self.is_in = false;
    }

    async fn fetch(&mut self) {
        let is_last = self.gate.have_all_produced();
        let purpose = Purpose::Read(self.reader.clone());
        let (positions, connections) = (&mut self.positions, &mut self.connections);
        let round = fetch_round(&self.worker, positions, connections, is_last, &purpose).await;
        if let Err(error) = round {
            self.worker.note_error(&error);
            for position in &self.positions {
                self.worker.partitions.forget_leader(&self.worker.cluster, position.partition);
            }
            sleep(RETRY_PAUSE).await;
        }
    }

    /// Whether it has read all that there will ever be in its partitions.
    async fn is_at_end(&mut self) -> Result<bool, ClusterError> {
        if !self.gate.have_all_produced() {
            return Ok(false);
        }
        if self.ends.is_none() {
            let ends = self.worker.partitions.ends(&self.worker.cluster, Share::WHOLE).await?;
            self.ends = Some(ends);
        }
        let ends = self.ends.as_ref().expect("they have just been asked for");
        Ok(self.positions.iter().all(|it| ends[it.partition as usize] <= it.offset))
    }

    /// Whether the group has, by what it has committed.
    async fn is_group_at_end(&self) -> Result<bool, ClusterError> {
        let Some(ends) = &self.ends else { return Ok(false) };
        let committed = self.worker.cluster.committed_offsets(&self.group, None).await?;
        let is_at_end =
            |partition: u32| ends[partition as usize] <= self.offset_in(&committed, partition);
        Ok((0..self.worker.partitions.count()).all(is_at_end))
    }

    /// How far the group has come in a partition, by what it has committed.
    fn offset_in(&self, committed: &GroupOffsets, partition: u32) -> Offset {
        let (topic, index) = self.worker.partitions.place(partition);
        let found = committed.get(topic.name.as_str()).and_then(|it| it.get(&index));
        found.map_or(self.starts[partition as usize], |committed| committed.offset)
    }
}
