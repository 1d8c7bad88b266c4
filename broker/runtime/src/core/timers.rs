//! Who sleeps until when.

use std::collections::BTreeMap;
use std::task::Waker;

use crate::time::Instant;

/// A registered timer: its deadline, and a number that tells timers of one deadline apart.
pub(super) type TimerKey = (Instant, u64);

pub(super) struct Timers {
    waiting: BTreeMap<TimerKey, Waker>,
    count: u64,
}

impl Timers {
    pub(super) const fn new() -> Timers {
        Timers { waiting: BTreeMap::new(), count: 0 }
    }

    pub(super) fn insert(&mut self, deadline: Instant, waker: Waker) -> TimerKey {
        self.count += 1;
        let key = (deadline, self.count);
        self.waiting.insert(key, waker);
        key
    }

    /// Wakes another task at the same time; does nothing once the timer has fired.
    pub(super) fn update(&mut self, key: TimerKey, waker: &Waker) {
        if let Some(waiting) = self.waiting.get_mut(&key) {
            waiting.clone_from(waker);
        }
    }

    pub(super) fn remove(&mut self, key: TimerKey) {
        self.waiting.remove(&key);
    }

    pub(super) fn pop_due(&mut self, now: Instant) -> Option<Waker> {
        let first = self.waiting.first_entry()?;
        (first.key().0 <= now).then(|| first.remove())
    }

    pub(super) fn next(&self) -> Option<Instant> {
        self.waiting.first_key_value().map(|((deadline, _), _)| *deadline)
    }
}
