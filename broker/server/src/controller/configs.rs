//! Configs of topics and brokers are changed while they are in use.

use std::collections::BTreeMap;

use coordinator::{AlterConfigs, BrokerConfigs, ClusterRecord, ClusterState, OFFSETS_TOPIC, Topic};
use model::TopicPartition;
use runtime::CoreId;

use super::Controller;
use crate::call::{CoreAnswer, CoreRequest, PartitionSpec};
use crate::failure::Failure;
use crate::image::{log_configs, partitions_of};

impl Controller {
    /// Changes configs, each resource for itself: one that is refused does not hinder the others.
    /// What has changed holds everywhere once this returns.
    pub(crate) async fn alter_configs(
        &self,
        alters: Vec<AlterConfigs>,
        validate_only: bool,
    ) -> Vec<Result<(), Failure>> {
        let _turn = self.changing.take(1).await;
        let decide = |state: &ClusterState, alter: &AlterConfigs| {
            let record = state.decide_configs(alter, &self.settings.limits)?;
            Ok(record.into_iter().collect())
        };
        let (changed, outcomes) = self.alter_each(&alters, validate_only, decide).await;
        if !changed.is_empty() {
            self.configure(&changed).await;
        }
        outcomes
    }

    /// Changes one thing after the other, as far as it is decided to, and records it all at once. Gives
    /// what holds now on every core, and what came of each.
    pub(super) async fn alter_each<T>(
        &self,
        alters: &[T],
        validate_only: bool,
        decide: impl Fn(&ClusterState, &T) -> Result<Vec<ClusterRecord>, Failure>,
    ) -> (Vec<ClusterRecord>, Vec<Result<(), Failure>>) {
        let mut state = self.state.borrow().clone();
        let mut records = Vec::new();
        let mut outcomes: Vec<Result<(), Failure>> = Vec::with_capacity(alters.len());
        for alter in alters {
            outcomes.push(decide(&state, alter).map(|decided| {
                for record in &decided {
                    state.replay(record).expect("what was decided can be replayed");
                }
                records.extend(decided);
            }));
        }
        if validate_only || records.is_empty() {
            return (Vec::new(), outcomes);
        }
        if let Err(failure) = self.record(records.clone()).await {
            let refused = outcomes.into_iter().map(|it| it.and(Err(failure.clone())));
            return (Vec::new(), refused.collect());
        }
        self.install().await;
        (records, outcomes)
    }

    /// What holds for topics that say nothing.
    pub(super) fn broker_configs(&self) -> BrokerConfigs {
        self.state.borrow().broker_configs(self.settings.limits.broker, &self.settings.file_configs)
    }

    /// How the logs of a topic are kept.
    pub(super) fn specs(&self) -> impl Fn(&Topic, TopicPartition) -> PartitionSpec + use<> {
        let log_config = log_configs(self.broker_configs());
        let interval_ms = self.settings.checkpoint_interval_ms;
        move |topic, partition| PartitionSpec {
            has_groups: topic.name == OFFSETS_TOPIC,
            ..PartitionSpec::new(partition, &log_config(&topic.configs), interval_ms)
        }
    }

    /// Tells the owners of the partitions that the records concern.
    async fn configure(&self, records: &[ClusterRecord]) {
        let is_concerned = |topic: &&Topic| {
            records.iter().any(|record| match record {
                ClusterRecord::TopicConfigs { id, .. } => *id == topic.id,
                _ => true,
            })
        };
        let spec_of = self.specs();
        let mut by_owner: BTreeMap<CoreId, Vec<PartitionSpec>> = BTreeMap::new();
        for topic in self.state.borrow().topics().filter(is_concerned) {
            for partition in partitions_of(topic) {
                // One that is not open gets its settings when it is.
                if let Some(image) = self.partitions.borrow().get(&partition) {
                    let specs = by_owner.entry(image.owner).or_default();
                    specs.push(spec_of(topic, partition));
                }
            }
        }
        let calls: Vec<_> = by_owner
            .into_iter()
            .map(|(owner, specs)| self.mesh.call(owner, CoreRequest::Configure(specs)))
            .collect();
        for call in calls {
            // What is recorded holds at the next start at the latest.
            if let Ok(CoreAnswer::Outcomes(outcomes)) = call.await {
                for failure in outcomes.into_iter().filter_map(Result::err) {
                    tracing::warn!(message = %failure.message, "configs do not hold yet");
                }
            }
        }
    }
}
