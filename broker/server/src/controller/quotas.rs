//! Quotas are changed while clients are limited by them.

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
        let mut state = self.state.borrow().clone();
        let mut records = Vec::new();
        let mut outcomes: Vec<Result<(), Failure>> = Vec::with_capacity(alters.len());
        for alter in &alters {
            outcomes.push(match state.decide_quotas(alter) {
                Ok(decided) => {
                    for record in &decided {
                        state.replay(record).expect("what was decided can be replayed");
                    }
                    records.extend(decided);
                    Ok(())
                }
                Err(refused) => Err(refused.into()),
            });
        }
        if validate_only || records.is_empty() {
            return outcomes;
        }
        if let Err(failure) = self.record(records).await {
            return outcomes.into_iter().map(|it| it.and(Err(failure.clone()))).collect();
        }
        self.install().await;
        outcomes
    }
}
