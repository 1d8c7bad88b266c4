//! A member of a group of the classic protocol.

use std::collections::BTreeSet;

use bytes::Bytes;

use super::record::{ClassicMember, ClassicMemberMetadata, MemberMetadata};
use super::{Moment, Ticket};

/// A client, as it is shown to whoever looks at the group.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ClientInfo {
    /// As it names itself.
    pub id: String,
    /// Its address.
    pub host: String,
}

/// A member. What is not in [`ClassicMember`] is lost with the process.
#[derive(Clone, Debug)]
pub(super) struct Member {
    pub(super) instance: Option<String>,
    pub(super) client: ClientInfo,
    pub(super) session_timeout_ms: i32,
    pub(super) rebalance_timeout_ms: i32,
    /// The best first. After a start only the one that was chosen.
    pub(super) protocols: Vec<(String, Bytes)>,
    pub(super) assignment: Bytes,
    /// When its session ends, unless it waits for an answer.
    pub(super) expires_at: Moment,
    /// It has not been in a generation yet: it is let go after a while even if it waits, as nobody
    /// tells whether it still does.
    pub(super) is_new: bool,
    pub(super) joining: Option<Ticket>,
    pub(super) syncing: Option<Ticket>,
    /// It has the answer to its join, and the group waits for it to ask for its assignment.
    pub(super) owes_sync: bool,
}

impl Member {
    /// A member as its record says.
    pub(super) fn of(record: &ClassicMember, protocol: Option<&str>) -> Member {
        let protocol = protocol.unwrap_or_default().to_owned();
        Member {
            instance: record.instance.clone(),
            client: record.client.clone(),
            session_timeout_ms: record.session_timeout_ms,
            rebalance_timeout_ms: record.rebalance_timeout_ms,
            protocols: vec![(protocol, record.subscription.clone())],
            assignment: record.assignment.clone(),
            expires_at: Moment(u64::MAX),
            is_new: false,
            joining: None,
            syncing: None,
            owes_sync: false,
        }
    }

    /// Whether the record says of it what is known.
    pub(super) fn is_as(&self, record: &ClassicMember, protocol: Option<&str>) -> bool {
        self.instance == record.instance
            && self.client == record.client
            && self.session_timeout_ms == record.session_timeout_ms
            && self.rebalance_timeout_ms == record.rebalance_timeout_ms
            && self.metadata(protocol.unwrap_or_default()) == record.subscription
    }

    /// A member of a consumer group that joins and syncs. Its session is yet to begin.
    pub(super) fn of_consumer(
        said: &MemberMetadata,
        classic: &ClassicMemberMetadata,
        assignment: Bytes,
    ) -> Member {
        Member {
            instance: said.instance.clone(),
            client: said.client.clone(),
            session_timeout_ms: classic.session_timeout_ms,
            rebalance_timeout_ms: said.rebalance_timeout_ms,
            protocols: classic.supported_protocols.clone(),
            assignment,
            expires_at: Moment(u64::MAX),
            is_new: false,
            joining: None,
            syncing: None,
            owes_sync: false,
        }
    }

    /// What it says of itself for a protocol.
    pub(super) fn metadata(&self, protocol: &str) -> Bytes {
        let found = self.protocols.iter().find(|(name, _)| name == protocol);
        found.map(|(_, metadata)| metadata.clone()).unwrap_or_default()
    }

    pub(super) fn protocol_names(&self) -> BTreeSet<&str> {
        self.protocols.iter().map(|(name, _)| name.as_str()).collect()
    }

    /// A sign of life.
    pub(super) fn extend(&mut self, now: Moment) {
        let session_ms = u64::try_from(self.session_timeout_ms).unwrap_or(0);
        self.expires_at = now.after_ms(session_ms);
    }

    /// None while it waits for an answer: it cannot send anything then.
    pub(super) fn deadline(&self) -> Option<Moment> {
        let waits = self.joining.is_some() || self.syncing.is_some();
        (self.is_new || !waits).then_some(self.expires_at)
    }
}
