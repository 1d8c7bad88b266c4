//! Compaction of a partition: by whose rules, and whether it is time.

use std::rc::Rc;

use model::Timestamp;
use storage::{CompactionError, CompactionReport, CompactionRules, Dirtiness, ReadError};

use crate::replica::Replica;

/// When and how a partition is compacted; see [`CompactionRules`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Compaction {
    /// `min.compaction.lag.ms`.
    pub lag_min_ms: i64,
    /// `max.compaction.lag.ms`.
    pub lag_max_ms: i64,
    /// `min.cleanable.dirty.ratio`.
    pub dirty_ratio_min: f64,
    /// `delete.retention.ms`.
    pub tombstones_ms: i64,
}

impl Compaction {
    fn rules(&self, now: Timestamp) -> CompactionRules {
        let Compaction { lag_min_ms, lag_max_ms, dirty_ratio_min, tombstones_ms } = *self;
        CompactionRules { now, lag_min_ms, lag_max_ms, dirty_ratio_min, tombstones_ms }
    }
}

impl Replica {
    /// How the partition is compacted from now on, by whoever asks [`Replica::compact`]; none for not
    /// at all.
    pub fn set_compaction(&self, compaction: Option<Compaction>) {
        self.compaction.set(compaction);
    }

    /// How much there is to compact; none if nothing is, or nothing may be.
    pub async fn dirtiness(&self, now: Timestamp) -> Result<Option<Dirtiness>, ReadError> {
        match self.compaction.get() {
            Some(compaction) => self.log().dirtiness(&compaction.rules(now)).await,
            None => Ok(None),
        }
    }

    /// Compacts what [`Replica::dirtiness`] has found. None if that is not wanted any more.
    pub async fn compact(
        self: &Rc<Self>,
        now: Timestamp,
        dirtiness: &Dirtiness,
    ) -> Result<Option<CompactionReport>, CompactionError> {
        match self.compaction.get() {
            Some(compaction) => {
                self.log().compact(&compaction.rules(now), dirtiness).await.map(Some)
            }
            None => Ok(None),
        }
    }
}
