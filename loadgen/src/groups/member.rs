//! A member's life: it joins, says that it is alive, commits when it is due, and leaves when told to.

use std::rc::Rc;
use std::time::Duration;

use client::{Assignor, ClusterError, Committed, GroupOffsets, Member, MemberOptions, Standing};
use model::{Offset, PartitionIndex};
use runtime::{Instant, now, sleep, timeout};

use super::group::{Group, Held, Orders};
use super::{GroupsSettings, Load, Window};
use crate::worker::cluster_options;

/// One request at a time, as a member waits for each answer.
const IN_FLIGHT_MAX: usize = 5;
const RETRY_PAUSE: Duration = Duration::from_millis(100);

/// When a member's commits are due, since the first of all: every so often, in turns with all the
/// others.
#[derive(Clone, Debug)]
pub(super) struct Schedule {
    next: Duration,
    every: Duration,
    /// Of one that never commits.
    is_empty: bool,
}

impl Schedule {
    /// Of one member of one group.
    pub(super) fn new(settings: &GroupsSettings, group: u32, member: u32) -> Schedule {
        if settings.commits.0 == 0.0 {
            return Schedule { next: Duration::ZERO, every: Duration::ZERO, is_empty: true };
        }
        let turn = Duration::from_secs_f64(1.0 / settings.commits.0);
        let members = u32::try_from(settings.members_count()).expect("settings limit it");
        let number = member * settings.groups + group;
        Schedule { next: turn * number, every: turn * members, is_empty: false }
    }

    /// When the next is due; never after the window.
    fn due(&self, window: Window) -> Instant {
        let due = window.begin + self.next;
        if !self.is_empty && due < window.to { due } else { Instant::FAR_FUTURE }
    }

    /// Takes the next if it is due by now.
    fn take_due(&mut self, window: Window) -> Option<Instant> {
        let due = self.due(window);
        let is_due = due <= now();
        if is_due {
            self.advance();
        }
        is_due.then_some(due)
    }

    fn advance(&mut self) {
        self.next += self.every;
    }
}

pub(super) async fn run(load: Rc<Load>, group: Rc<Group>, number: u32, schedule: Schedule) {
    let mut task = Task {
        member: Member::new(options(&load, &group)),
        heartbeat_at: now(),
        is_in: false,
        load,
        group,
        number,
        schedule,
    };
    loop {
        let orders = task.group.orders();
        if orders.is_over {
            task.give_up_commits(orders);
            task.leave().await;
            return;
        }
        if let Err(error) = task.step(orders).await {
            task.load.note(&error);
            task.is_in = false;
            sleep(RETRY_PAUSE).await;
        }
    }
}

fn options(load: &Load, group: &Group) -> MemberOptions {
    let mut connection = cluster_options().connection;
    connection.in_flight_max = IN_FLIGHT_MAX;
    MemberOptions {
        group: group.name.clone(),
        topics: vec![load.topic.clone()],
        assignors: vec![Assignor::Range],
        instance: None,
        session_timeout: load.settings.session_timeout.0,
        rebalance_timeout: load.settings.session_timeout.0,
        connection,
    }
}

struct Task {
    load: Rc<Load>,
    group: Rc<Group>,
    number: u32,
    member: Member,
    schedule: Schedule,
    heartbeat_at: Instant,
    /// Whether it has its partitions; otherwise it has to join.
    is_in: bool,
}

impl Task {
    /// The one thing that is to be done now.
    async fn step(&mut self, orders: Orders) -> Result<(), ClusterError> {
        if orders.away == Some(self.number) {
            self.leave().await;
            self.group.other_orders(orders).await;
            self.withhold();
            return Ok(());
        }
        if !self.is_in {
            return self.join().await;
        }
        let commit_at =
            orders.window.map_or(Instant::FAR_FUTURE, |window| self.schedule.due(window));
        let due = commit_at.min(self.heartbeat_at);
        if now() < due {
            let other_orders = self.group.other_orders(orders);
            // Either way there is something else to do.
            let _ = timeout(due.since(now()), other_orders).await;
            return Ok(());
        }
        match orders.window {
            Some(window) if commit_at <= self.heartbeat_at => self.commit(window, commit_at).await,
            Some(_) | None => self.heartbeat().await,
        }
    }

    async fn join(&mut self) -> Result<(), ClusterError> {
        self.member.join(&self.load.cluster).await?;
        let of_topic = self.member.partitions().get(&self.load.topic);
        let partitions: Vec<PartitionIndex> = of_topic.cloned().unwrap_or_default();
        let partitions = partitions.into_iter().filter(|it| self.group.has(*it)).collect();
        let held = Held { generation: self.member.generation(), partitions };
        self.group.note_held(self.number, Some(held));
        self.is_in = true;
        self.heartbeat_at = now() + self.load.settings.heartbeat.0;
        self.withhold();
        Ok(())
    }

    /// Passes over what has fallen due while it had nothing to commit.
    fn withhold(&mut self) {
        let Some(window) = self.group.orders().window else { return };
        while let Some(due) = self.schedule.take_due(window) {
            self.note_withheld(window, due);
        }
    }

    fn note_withheld(&self, window: Window, due: Instant) {
        if window.from <= due {
            self.load.measured.borrow_mut().commits.withheld += 1;
        }
    }

    /// What should have been sent by now and was not.
    fn give_up_commits(&mut self, orders: Orders) {
        let Some(window) = orders.window else { return };
        while let Some(due) = self.schedule.take_due(window) {
            if window.from <= due {
                let mut measured = self.load.measured.borrow_mut();
                measured.commits.unsent += 1;
                measured.note_time(now().since(due));
            }
        }
    }

    async fn commit(&mut self, window: Window, due: Instant) -> Result<(), ClusterError> {
        self.schedule.advance();
        let of_topic = self.member.partitions().get(&self.load.topic);
        let partition = of_topic.and_then(|it| it.first()).filter(|it| self.group.has(**it));
        let Some(&partition) = partition else {
            self.note_withheld(window, due);
            return Ok(());
        };
        let offset = self.group.next_offset(partition);
        let committed = [(partition, Committed::at(Offset(offset)))].into();
        let offsets = GroupOffsets::from([(self.load.topic.clone(), committed)]);
        let standing = self.member.commit(&self.load.cluster, &offsets).await;
        let is_acknowledged = matches!(standing, Ok(Standing::Stable));
        if is_acknowledged {
            self.group.note_acknowledged(partition, offset);
        }
        if window.from <= due {
            let mut measured = self.load.measured.borrow_mut();
            match &standing {
                Ok(Standing::Stable) => {
                    measured.commits.acknowledged += 1;
                    measured.note_time(now().since(due));
                }
                Ok(Standing::Rebalancing | Standing::Lost) => measured.commits.refused += 1,
                Err(_) => measured.commits.failed += 1,
            }
        }
        self.is_in = matches!(standing?, Standing::Stable);
        Ok(())
    }

    async fn heartbeat(&mut self) -> Result<(), ClusterError> {
        let standing = self.member.heartbeat(&self.load.cluster).await?;
        self.load.measured.borrow_mut().heartbeats += 1;
        self.heartbeat_at = now() + self.load.settings.heartbeat.0;
        self.is_in = standing == Standing::Stable;
        Ok(())
    }

    async fn leave(&mut self) {
        if let Err(error) = self.member.leave(&self.load.cluster).await {
            self.load.note(&error);
        }
        self.is_in = false;
        self.group.note_held(self.number, None);
    }
}

#[cfg(test)]
mod tests;
