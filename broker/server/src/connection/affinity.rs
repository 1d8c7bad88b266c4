//! To which cores a connection's produces and fetches go, and whether it should live on another.
//!
//! Guarantees: a connection wants to move only after a whole window of requests, most of whose
//! partitions live on one other core, and not soon after it has moved or failed to; one whose
//! partitions are spread stays where it is.
//! Does not know: how a connection moves.

use std::cell::{Cell, RefCell};
use std::time::Duration;

use runtime::sync::watch::Watch;
use runtime::{CoreId, Instant};
use wire::ApiKey;

use crate::core::Core;

/// A connection is judged by so many produces and fetches, and then by as many new ones. Less would
/// move clients that only look in.
const WINDOW_REQUESTS: u32 = 32;
/// After a move, or one that came to nothing, a connection stays so long: a move costs as much as a
/// few hops, and what it waits for meanwhile.
const STAY_MIN: Duration = Duration::from_secs(5);

/// What a session's id never is.
const NO_SESSION: i32 = 0;

/// Of one connection on one core.
pub(crate) struct Affinity {
    home: CoreId,
    window: RefCell<Window>,
    stays_until: Cell<Option<Instant>>,
    session: Cell<i32>,
    wish: Watch<Option<CoreId>>,
}

/// What the last requests asked for.
#[derive(Debug, Default)]
struct Window {
    requests_count: u32,
    /// By core: how often one of its partitions was named.
    named_counts: Vec<u64>,
}

impl Affinity {
    /// For a connection that has come to this core; `moved` says when, if from another one.
    pub(super) fn new(home: CoreId, moved: Option<Instant>) -> Affinity {
        Affinity {
            home,
            window: RefCell::default(),
            stays_until: Cell::new(moved.map(|moved| moved + STAY_MIN)),
            session: Cell::new(NO_SESSION),
            wish: Watch::new(None),
        }
    }

    /// Notes a request, by the owners of its partitions and how many each has.
    pub(crate) fn note(
        &self,
        core: &Core,
        api: ApiKey,
        owners: impl Iterator<Item = (CoreId, usize)>,
    ) {
        let (mut is_any, mut hops) = (false, false);
        let mut window = self.window.borrow_mut();
        for (owner, count) in owners {
            window.note(owner, count);
            is_any = true;
            hops |= owner != self.home;
        }
        if !is_any {
            return;
        }
        core.counters.note_placed(api, hops);
        window.requests_count += 1;
        if window.requests_count < WINDOW_REQUESTS {
            return;
        }
        let favourite = std::mem::take(&mut *window).favourite();
        drop(window);
        let now = runtime::now();
        if let Some(other) = favourite.filter(|favourite| *favourite != self.home)
            && self.stays_until.get().is_none_or(|until| until <= now)
            && self.may_leave(core)
        {
            self.wish.set(Some(other));
        }
    }

    /// Notes the fetch session that the client has been told of.
    pub(crate) fn note_session(&self, id: i32) {
        if id != NO_SESSION {
            self.session.set(id);
        }
    }

    /// Whether nothing of the connection has to stay. A client's session lives on one core, and it
    /// would have to begin anew elsewhere.
    pub(super) fn may_leave(&self, core: &Core) -> bool {
        !core.is_leaving() && !core.fetch_sessions.has(self.session.get())
    }

    /// Where the connection should live, if not here.
    pub(super) fn wish(&self) -> Option<CoreId> {
        *self.wish.borrow()
    }

    /// Ready when the connection should live elsewhere.
    pub(super) async fn wished(&self) {
        self.wish.wait_for(|wish| wish.map(drop)).await;
    }

    /// The move has come to nothing.
    pub(super) fn stay(&self) {
        self.stays_until.set(Some(runtime::now() + STAY_MIN));
        self.wish.set(None);
    }
}

impl Window {
    fn note(&mut self, owner: CoreId, count: usize) {
        if self.named_counts.len() <= owner.index() {
            self.named_counts.resize(owner.index() + 1, 0);
        }
        self.named_counts[owner.index()] += count as u64;
    }

    /// The core to which more than two thirds go.
    fn favourite(self) -> Option<CoreId> {
        let total: u64 = self.named_counts.iter().sum();
        let mut of_cores = (0..).map(CoreId).zip(self.named_counts);
        of_cores.find(|(_, count)| 2 * total < 3 * count).map(|(core, _)| core)
    }
}

#[cfg(test)]
mod tests;
