//! The next step of one member towards what it is to have.

use std::collections::BTreeMap;

use model::{PartitionIndex, TopicId};

use crate::group::Partitions;
use crate::group::record::{CurrentAssignment, MemberState};

/// What the next step depends on.
pub(super) struct Reconciliation<'a> {
    pub(super) member: &'a str,
    pub(super) current: &'a CurrentAssignment,
    pub(super) target_epoch: i32,
    pub(super) target: &'a Partitions,
    pub(super) owners: &'a BTreeMap<(TopicId, PartitionIndex), String>,
    /// What the member says it has; none if it does not say.
    pub(super) owned: Option<&'a Partitions>,
}

impl Reconciliation<'_> {
    /// The member's assignment after this heartbeat; the same if it has to wait.
    pub(super) fn next(&self) -> CurrentAssignment {
        let current = self.current;
        match current.state {
            MemberState::Stable if current.epoch == self.target_epoch => current.clone(),
            MemberState::UnrevokedPartitions if self.still_has(&current.revoking) => {
                current.clone()
            }
            MemberState::Stable
            | MemberState::UnrevokedPartitions
            | MemberState::UnreleasedPartitions => self.towards_target(),
        }
    }

    /// Whether the member may still read any of these: it has not said that it does not.
    fn still_has(&self, partitions: &Partitions) -> bool {
        self.owned.is_none_or(|owned| owned.has_any_of(partitions))
    }

    fn towards_target(&self) -> CurrentAssignment {
        let current = self.current;
        let kept = current.assigned.iter().filter(|(topic, it)| self.target.contains(*topic, *it));
        let mut assigned: Partitions = kept.collect();
        let given_up = current.assigned.iter();
        let revoking: Partitions =
            given_up.filter(|(topic, it)| !assigned.contains(*topic, *it)).collect();
        if !revoking.is_empty() && self.still_has(&revoking) {
            // It stays in its epoch until it has given them up.
            let state = MemberState::UnrevokedPartitions;
            return CurrentAssignment { state, assigned, revoking, ..*current };
        }
        let mut state = MemberState::Stable;
        for (topic, partition) in self.target.iter() {
            match self.owners.get(&(topic, partition)) {
                Some(owner) if owner != self.member => state = MemberState::UnreleasedPartitions,
                Some(_) | None => assigned.insert(topic, partition),
            }
        }
        let (epoch, previous_epoch) = match current.epoch == self.target_epoch {
            true => (current.epoch, current.previous_epoch),
            false => (self.target_epoch, current.epoch),
        };
        CurrentAssignment {
            epoch,
            previous_epoch,
            state,
            assigned,
            revoking: Partitions::default(),
        }
    }
}
