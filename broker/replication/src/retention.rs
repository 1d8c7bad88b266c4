//! What a partition keeps: its oldest segments go when they are old, or when it is large.
//!
//! The rules are Kafka's: a segment goes as a whole, oldest first, when its latest record is older
//! than `retention.ms`, or while what is left is still `retention.bytes` or more. The segment that
//! takes the appends ends and goes as well, if all of it may. What is not committed stays.

use std::rc::Rc;

use model::{Offset, Timestamp};
use storage::ReadError;

use crate::replica::{AppendRefused, Replica};

/// How long a partition's records are kept, and how many of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Retention {
    /// Milliseconds; none for ever.
    pub age_max_ms: Option<i64>,
    /// Bytes; none for any number.
    pub size_max_bytes: Option<u64>,
}

impl Retention {
    /// Everything is kept.
    pub const EVERYTHING: Retention = Retention { age_max_ms: None, size_max_bytes: None };
}

/// What has come of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Enforced {
    /// The log's new start; none if it stays where it was.
    pub log_start: Option<Offset>,
    /// When the oldest segment that is left will be too old, as far as that is known now.
    pub due: Option<Timestamp>,
}

/// Why nothing was removed.
#[derive(Debug, thiserror::Error)]
pub enum RetentionError {
    /// It cannot be told how old or how large the segments are.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// The log's start cannot be moved.
    #[error(transparent)]
    Append(#[from] AppendRefused),
}

impl Replica {
    /// What is kept from now on, by whoever asks [`Replica::enforce_retention`].
    pub fn set_retention(&self, retention: Retention) {
        self.retention.set(retention);
    }

    /// Moves the log's start behind the segments that are not kept any more, and waits until that
    /// is flushed.
    pub async fn enforce_retention(
        self: &Rc<Self>,
        now: Timestamp,
    ) -> Result<Enforced, RetentionError> {
        let Retention { age_max_ms, size_max_bytes } = self.retention.get();
        let ends = self.log().ends();
        let mut enforced = Enforced { log_start: None, due: None };
        if self.leader().is_none() || ends.log_start == ends.end_offset {
            return Ok(enforced);
        }
        let mut start = ends.log_start;
        if let Some(age_max_ms) = age_max_ms {
            let horizon = Timestamp(now.0.saturating_sub(age_max_ms));
            let expired = self.log().start_by_time(horizon).await?;
            start = start.max(expired.start);
            let due = |latest: Timestamp| Timestamp(latest.0.saturating_add(age_max_ms));
            enforced.due = expired.next_latest.map(due);
        }
        if let Some(size_max_bytes) = size_max_bytes {
            start = start.max(self.log().start_by_size(size_max_bytes).await?);
        }
        if ends.log_start < start {
            self.log().admitted_other().await.map_err(AppendRefused::from)?;
            if start == self.log().ends().end_offset {
                self.log().roll();
            }
            enforced.log_start = Some(self.move_log_start(start).await?);
        }
        Ok(enforced)
    }
}
