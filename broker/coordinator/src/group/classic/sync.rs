//! The leader gives assignments, and members ask for theirs.

use bytes::Bytes;

use super::{ClassicGroup, Phase};
use crate::group::{GroupError, Reply, Sync, Synced, Ticket, Turn};

impl ClassicGroup {
    /// Answers a member when its leader has given it an assignment.
    pub(in crate::group) fn sync(&mut self, turn: &mut Turn<'_>, ticket: Ticket, sync: Sync) {
        if let Err(error) = self.try_sync(turn, ticket, sync) {
            turn.replies.push((ticket, Reply::Sync(Err(error))));
        }
    }

    fn try_sync(
        &mut self,
        turn: &mut Turn<'_>,
        ticket: Ticket,
        sync: Sync,
    ) -> Result<(), GroupError> {
        let id = &sync.member.member;
        self.check(&sync.member)?;
        let differs =
            |theirs: &Option<String>, ours: &Option<String>| theirs.is_some() && theirs != ours;
        if differs(&sync.protocol_type, &self.protocol_type)
            || differs(&sync.protocol, &self.protocol)
        {
            return Err(GroupError::InconsistentProtocol);
        }
        match self.phase {
            Phase::Empty => unreachable!("it has a member"),
            Phase::Preparing(_) => return Err(GroupError::RebalanceInProgress),
            Phase::Completing { .. } | Phase::Stable => {}
        }
        let is_assigning =
            self.leader.as_ref() == Some(id) && matches!(self.phase, Phase::Completing { .. });
        if is_assigning {
            let assignment_of = |member: &str| {
                let mut assignments = sync.assignments.iter();
                let found = assignments.find(|(assigned, _)| assigned == member);
                // A member that was left out gets nothing, as in Kafka.
                found.map_or_else(Bytes::new, |(_, assignment)| assignment.clone())
            };
            let metadata = self.metadata(|member, _| assignment_of(member));
            self.record(turn, metadata)?;
            self.phase = Phase::Stable;
            self.state_since = Some(turn.wall_clock);
        }
        let member = self.members.get_mut(id).expect("it was checked");
        member.owes_sync = false;
        if let Some(before) = member.syncing.replace(ticket) {
            turn.replies.push((before, Reply::Sync(Err(GroupError::RebalanceInProgress))));
        }
        if self.phase == Phase::Stable {
            self.answer_syncs(turn);
        }
        Ok(())
    }

    fn answer_syncs(&mut self, turn: &mut Turn<'_>) {
        for member in self.members.values_mut() {
            let Some(ticket) = member.syncing.take() else { continue };
            member.extend(turn.now);
            let synced = Synced {
                protocol_type: self.protocol_type.clone(),
                protocol: self.protocol.clone(),
                assignment: member.assignment.clone(),
            };
            turn.replies.push((ticket, Reply::Sync(Ok(synced))));
        }
    }
}
