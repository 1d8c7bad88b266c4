//! Quotas are changed while clients are limited by them.

use coordinator::ClusterState;
use coordinator::quota::AlterQuotas;

use super::Controller;
use crate::failure::Failure;

impl Controller {
    /// Changes quotas, each entity for itself: one that is refused does not hinder the others. What
    /// has changed holds on every core once this returns.
    pub(crate) async fn alter_quotas(
        &self,
        alters: Vec<AlterQuotas>,
        validate_only: bool,
    ) -> Vec<Result<(), Failure>> {
        let _turn = self.changing.take(1).await;
        let decide = |state: &ClusterState, alter: &AlterQuotas| Ok(state.decide_quotas(alter)?);
        let (_, outcomes) = self.alter_each(&alters, validate_only, decide).await;
        outcomes
    }
}
