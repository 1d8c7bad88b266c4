//! Which broker looks after a group, and asking it.
//!
//! Guarantees: what is known of a coordinator is forgotten when a broker says that it is wrong, or
//! cannot be reached; the next attempt looks it up again.

use model::BrokerId;
use wire::{ApiKey, ErrorCode, FindCoordinatorRequest, RequestMessage, Text};

use super::{Attempt, Cluster, incomplete};
use crate::address::Host;
use crate::connection::Connection;
use crate::error::{CallError, ClusterError};

/// Kafka's number for groups among all that has coordinators.
const GROUP: i8 = 0;
/// From this version on many are looked up at once.
const BATCHED_VERSION: i16 = 4;

impl Attempt {
    /// Whether the coordinator may be another one.
    fn is_of_coordinator(&self) -> bool {
        match self {
            Attempt::Answered { code, .. } => matches!(
                code,
                ErrorCode::NotCoordinator
                    | ErrorCode::CoordinatorNotAvailable
                    | ErrorCode::CoordinatorLoadInProgress
            ),
            Attempt::Failed(error) => matches!(
                error,
                ClusterError::Connect { .. } | ClusterError::Call(CallError::Ended(_))
            ),
        }
    }
}

impl Cluster {
    /// The broker that looks after a group, whether or not there is such a group yet.
    pub async fn coordinator(&self, group: &str) -> Result<BrokerId, ClusterError> {
        let what = what_of(group);
        self.retry(ApiKey::FindCoordinator, &what, async || self.find_coordinator(group).await)
            .await
    }

    /// Forgets who looks after a group, because a broker says that it is another.
    pub(crate) fn forget_coordinator(&self, group: &str) {
        self.known.borrow_mut().coordinators.remove(group);
    }

    /// Does something on the coordinator of a group, by the connection that all share.
    pub(super) async fn on_coordinator<T>(
        &self,
        api_key: ApiKey,
        group: &str,
        attempt: impl AsyncFnMut(Connection) -> Result<T, Attempt>,
    ) -> Result<T, ClusterError> {
        let connect = async |broker| self.connection(broker).await;
        self.on_coordinator_by(api_key, group, connect, attempt).await
    }

    /// Asks the coordinator of a group, again for as long as the answer has a code that passes.
    pub(crate) async fn ask_coordinator<R: RequestMessage>(
        &self,
        group: &str,
        connect: impl AsyncFn(BrokerId) -> Result<Connection, ClusterError>,
        ask: impl AsyncFn(Connection) -> Result<R::Response, ClusterError>,
        passing: impl Fn(&R::Response) -> Option<ErrorCode>,
    ) -> Result<R::Response, ClusterError> {
        self.on_coordinator_by(R::API, group, connect, async |connection| {
            let response = ask(connection).await?;
            match passing(&response) {
                Some(code) => Err(Attempt::Answered { code, message: None }),
                None => Ok(response),
            }
        })
        .await
    }

    async fn on_coordinator_by<T>(
        &self,
        api_key: ApiKey,
        group: &str,
        connect: impl AsyncFn(BrokerId) -> Result<Connection, ClusterError>,
        mut attempt: impl AsyncFnMut(Connection) -> Result<T, Attempt>,
    ) -> Result<T, ClusterError> {
        self.retry(api_key, &what_of(group), async || {
            let coordinator = self.find_coordinator(group).await?;
            let outcome = match connect(coordinator).await {
                Ok(connection) => attempt(connection).await,
                Err(error) => Err(error.into()),
            };
            if outcome.as_ref().is_err_and(Attempt::is_of_coordinator) {
                self.forget_coordinator(group);
            }
            outcome
        })
        .await
    }

    /// Asks once, if it is not known.
    async fn find_coordinator(&self, group: &str) -> Result<BrokerId, Attempt> {
        {
            let known = self.known.borrow();
            let coordinator = known.coordinators.get(group);
            if let Some(coordinator) = coordinator.filter(|it| known.brokers.contains_key(it)) {
                return Ok(*coordinator);
            }
        }
        let connection = self.any_connection().await?;
        let is_batched = BATCHED_VERSION <= connection.version(ApiKey::FindCoordinator)?;
        let key = Text::from(group.to_owned());
        let mut request = FindCoordinatorRequest { key_type: GROUP, ..Default::default() };
        if is_batched {
            request.coordinator_keys = vec![key];
        } else {
            request.key = key;
        }
        let mut response = connection.call(&request).await?;
        if is_batched {
            let found = response.coordinators.into_iter().next();
            let found = found.ok_or_else(|| incomplete::<FindCoordinatorRequest>(group))?;
            response.error_code = found.error_code;
            response.error_message = found.error_message;
            (response.node_id, response.host, response.port) =
                (found.node_id, found.host, found.port);
        }
        Attempt::check(response.error_code, response.error_message.as_ref())?;
        let port = u16::try_from(response.port).unwrap_or(0);
        let host = Host { name: response.host.as_str().to_owned(), port };
        let mut known = self.known.borrow_mut();
        known.brokers.insert(response.node_id, host);
        known.coordinators.insert(group.to_owned(), response.node_id);
        Ok(response.node_id)
    }
}

/// A group, in errors.
pub(super) fn what_of(group: &str) -> String {
    format!("group {group}")
}
