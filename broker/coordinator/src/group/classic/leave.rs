//! Members leave, or are taken out by somebody else.

use super::ClassicGroup;
use crate::group::groups::GroupsSettings;
use crate::group::{GroupError, Leaving, Turn};

impl ClassicGroup {
    /// What has become of each, in order. The others rebalance once.
    pub(in crate::group) fn leave(
        &mut self,
        turn: &mut Turn<'_>,
        settings: &GroupsSettings,
        leaving: &[Leaving],
    ) -> Vec<Result<(), GroupError>> {
        let (mut has_left, mut was_pending) = (false, false);
        let mut outcomes = Vec::with_capacity(leaving.len());
        for Leaving { member, instance } in leaving {
            if self.pending.remove(member).is_some() {
                was_pending = true;
                outcomes.push(Ok(()));
                continue;
            }
            let outcome = self.find_leaving(member, instance.as_deref()).map(|id| {
                self.remove_member(turn, &id);
                has_left = true;
            });
            outcomes.push(outcome);
        }
        if has_left {
            self.rebalance_or_complete(turn, settings);
        } else if was_pending {
            self.pending_have_gone(turn, settings);
        }
        outcomes
    }

    fn find_leaving(&self, member: &str, instance: Option<&str>) -> Result<String, GroupError> {
        if member.is_empty()
            && let Some(instance) = instance
        {
            let unknown = GroupError::UnknownMember { member: String::new() };
            return self.static_member(instance).map(|(id, _)| id.to_owned()).ok_or(unknown);
        }
        self.check_member(member, instance)?;
        Ok(member.to_owned())
    }

    /// A rebalance may have waited for them.
    fn pending_have_gone(&mut self, turn: &mut Turn<'_>, settings: &GroupsSettings) {
        if !self.members.is_empty() && matches!(self.phase, super::Phase::Preparing(_)) {
            self.rebalance_or_complete(turn, settings);
        }
    }
}
