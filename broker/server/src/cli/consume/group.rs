//! Reading as a member of a group.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;

use anyhow::anyhow;
use client::{
    Assignor, Committed, ConnectionOptions, GroupOffsets, Member, MemberOptions, Partitions,
    Standing,
};
use model::{Offset, PartitionIndex};
use runtime::{Termination, now, sleep, spawn};
use wire::Text;

use super::{Consumer, Position, Round, WAIT_MAX};
use crate::cli::sentence::sentence;

/// As long as others wait when this process is killed.
const SESSION_TIMEOUT: Duration = Duration::from_secs(10);
const HEARTBEAT_INTERVAL: Duration = Duration::from_secs(3);
const REBALANCE_TIMEOUT: Duration = Duration::from_secs(60);
const COMMIT_INTERVAL: Duration = Duration::from_secs(1);
/// How often the leader looks whether the topic has more partitions.
const LOOK_INTERVAL: Duration = Duration::from_secs(30);

/// How reading has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ended {
    /// What was wanted is read, or nobody wants to see more.
    Finished,
    /// The partitions are divided anew.
    Rebalance,
}

impl Consumer<'_> {
    /// Reads what the group gives it, until there is nothing more to do or the process is to end.
    pub(super) async fn read_as_member(&mut self, group: &str) -> anyhow::Result<()> {
        let is_ending = watch_signals()?;
        let partitions = self.partitions().await?;
        let ends = self.ends(&partitions).await?;
        let mut connection = ConnectionOptions::new(Text::from_static("highwater-consume"));
        connection.request_timeout = self.args.brokers.timeout;
        connection.connect_timeout = self.args.brokers.timeout;
        let mut member = Member::new(MemberOptions {
            group: group.to_owned(),
            topics: vec![self.args.topic.clone()],
            assignors: Assignor::ALL.to_vec(),
            instance: None,
            session_timeout: SESSION_TIMEOUT,
            rebalance_timeout: REBALANCE_TIMEOUT,
            connection,
        });
        let ended = self.read_in_generations(&mut member, group, &ends, &is_ending).await;
        // The others need not wait for it, however it has ended.
        let left = member.leave(self.cluster).await;
        ended?;
        left.map_err(|error| anyhow!(sentence(&format!("leave group {group}"), &error)))
    }

    async fn read_in_generations(
        &mut self,
        member: &mut Member,
        group: &str,
        ends: &BTreeMap<PartitionIndex, Offset>,
        is_ending: &Cell<bool>,
    ) -> anyhow::Result<()> {
        loop {
            if is_ending.get() {
                return Ok(());
            }
            let joined = member.join(self.cluster).await;
            joined.map_err(|error| anyhow!(sentence(&format!("join group {group}"), &error)))?;
            let mut positions = self.assigned(member.partitions(), group, ends).await?;
            match self.read_in_generation(member, &mut positions, is_ending).await? {
                Ended::Finished => return Ok(()),
                Ended::Rebalance => {}
            }
        }
    }

    /// Where the group is in the partitions that it gives this member; elsewhere it begins as the
    /// user wants it.
    async fn assigned(
        &self,
        partitions: &Partitions,
        group: &str,
        ends: &BTreeMap<PartitionIndex, Offset>,
    ) -> anyhow::Result<Vec<Position>> {
        let mut positions = Vec::new();
        let Some(assigned) = partitions.get(&self.args.topic) else { return Ok(positions) };
        let committed = self.cluster.committed_offsets(group, Some(partitions)).await;
        let doing = format!("tell how far group {group} has read");
        let committed = committed.map_err(|error| anyhow!(sentence(&doing, &error)))?;
        for &partition in assigned {
            let of_topic = committed.get(&self.args.topic);
            let offset = match of_topic.and_then(|it| it.get(&partition)) {
                Some(committed) => committed.offset,
                None => self.beginning(partition).await?,
            };
            positions.push(self.position(partition, offset, ends));
        }
        Ok(positions)
    }

    async fn read_in_generation(
        &mut self,
        member: &mut Member,
        positions: &mut [Position],
        is_ending: &Cell<bool>,
    ) -> anyhow::Result<Ended> {
        let mut committed: Vec<Offset> = positions.iter().map(|it| it.from.offset).collect();
        let mut next_heartbeat = now() + HEARTBEAT_INTERVAL;
        let mut next_commit = now() + COMMIT_INTERVAL;
        let mut next_look = now() + LOOK_INTERVAL;
        loop {
            let round = match positions.is_empty() {
                // Others have everything; there may be something when one of them leaves.
                true => {
                    sleep(WAIT_MAX).await;
                    Round::Read
                }
                false => self.read(positions).await?,
            };
            let is_last = round == Round::Finished || is_ending.get();
            if is_last || next_commit <= now() {
                let standing = self.commit(member, positions, &mut committed).await?;
                if is_last {
                    return Ok(Ended::Finished);
                }
                if standing != Standing::Stable {
                    return Ok(Ended::Rebalance);
                }
                next_commit = now() + COMMIT_INTERVAL;
            }
            if next_heartbeat <= now() {
                let standing = member.heartbeat(self.cluster).await;
                match standing.map_err(|error| self.sorry("stay in its group", &error))? {
                    Standing::Stable => {}
                    Standing::Rebalancing => {
                        self.commit(member, positions, &mut committed).await?;
                        return Ok(Ended::Rebalance);
                    }
                    Standing::Lost => return Ok(Ended::Rebalance),
                }
                next_heartbeat = now() + HEARTBEAT_INTERVAL;
            }
            if next_look <= now() {
                let outdated = member.is_outdated(self.cluster).await;
                if outdated.map_err(|error| self.sorry("look for partitions", &error))? {
                    self.commit(member, positions, &mut committed).await?;
                    return Ok(Ended::Rebalance);
                }
                next_look = now() + LOOK_INTERVAL;
            }
        }
    }

    /// Commits what is on standard output and was not committed before.
    async fn commit(
        &self,
        member: &mut Member,
        positions: &[Position],
        committed: &mut [Offset],
    ) -> anyhow::Result<Standing> {
        let mut of_topic = BTreeMap::new();
        for (position, committed) in positions.iter().zip(&*committed) {
            if *committed < position.from.offset {
                of_topic.insert(position.from.partition, Committed::at(position.from.offset));
            }
        }
        if of_topic.is_empty() {
            return Ok(Standing::Stable);
        }
        let offsets: GroupOffsets = [(self.args.topic.clone(), of_topic)].into();
        let standing = member.commit(self.cluster, &offsets).await;
        let standing =
            standing.map_err(|error| self.sorry("commit how far it has read", &error))?;
        if standing == Standing::Stable {
            for (position, committed) in positions.iter().zip(committed) {
                *committed = position.from.offset;
            }
        }
        Ok(standing)
    }

    fn sorry(&self, doing: &str, error: &client::ClusterError) -> anyhow::Error {
        anyhow!(sentence(&format!("{} and {doing}", self.doing()), error))
    }
}

/// Notes when the process is to end, so that it can leave its group before.
fn watch_signals() -> anyhow::Result<Rc<Cell<bool>>> {
    let termination = Termination::claim()?;
    let is_ending = Rc::new(Cell::new(false));
    let noted = is_ending.clone();
    spawn(async move {
        // Without signals it ends when it has read what it should.
        if termination.requested().await.is_ok() {
            noted.set(true);
        }
    });
    Ok(is_ending)
}
