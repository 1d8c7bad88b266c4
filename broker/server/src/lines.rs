//! Lines of the log about what clients do: few, whatever they do.
//!
//! Guarantees: at most one line a second of each kind on each core; the next one says how many were
//! left out. What a client has written stands in a line as `Debug` shows it, so that it cannot look
//! like lines of its own.
//! Does not know: what the lines say.

use std::cell::Cell;
use std::time::Duration;

use runtime::Instant;

const LINE_EVERY: Duration = Duration::from_secs(1);

/// Lines of one kind.
#[derive(Debug, Default)]
pub(crate) struct Lines {
    next: Cell<Option<Instant>>,
    left_out: Cell<u64>,
}

impl Lines {
    /// Whether there may be a line now: how many were left out since the last one.
    pub(crate) fn admit(&self) -> Option<u64> {
        let now = runtime::now();
        if self.next.get().is_some_and(|next| now < next) {
            self.left_out.set(self.left_out.get() + 1);
            return None;
        }
        self.next.set(Some(now + LINE_EVERY));
        Some(self.left_out.take())
    }
}

/// The kinds that there are.
#[derive(Debug, Default)]
pub(crate) struct ClientLines {
    /// A connection was ended by the broker.
    pub(crate) closed: Lines,
    /// A connection was not taken: there are too many.
    pub(crate) refused: Lines,
    /// The file system does not tell how full it is.
    pub(crate) disk_unknown: Lines,
    /// The kernel had no connection to give.
    pub(crate) not_accepted: Lines,
    /// A topic that was asked for cannot be created.
    pub(crate) not_created: Lines,
    /// Transactions were asked for.
    pub(crate) transactional: Lines,
}
