//! The operations that a driver has taken over and not yet handed back.

use std::io;
use std::task::{Poll, Waker};

use crate::arena::{Arena, Key};
use crate::op::{Completion, Op, Output};

enum State {
    /// In flight; whom to wake.
    Waiting(Option<Waker>),
    /// Completed; the future has not seen it yet.
    Completed(io::Result<Output>),
    /// In flight, and nobody waits for it.
    Abandoned,
}

struct Slot<S> {
    op: Op,
    /// What the driver keeps at a stable address beside the operation.
    scratch: S,
    state: State,
}

/// Invariant: an operation stays here, with its buffers, until its completion has been reaped.
pub(crate) struct Slots<S> {
    arena: Arena<Box<Slot<S>>>,
}

impl<S> Slots<S> {
    pub(crate) const fn new() -> Slots<S> {
        Slots { arena: Arena::new() }
    }

    pub(crate) fn insert(&mut self, op: Op, scratch: S) -> Key {
        self.arena.insert(Box::new(Slot { op, scratch, state: State::Waiting(None) }))
    }

    /// The operation and its scratch space. Their address does not change while they are here.
    pub(crate) fn in_flight(&mut self, key: Key) -> (&mut Op, &mut S) {
        let slot = self.arena.get_mut(key).expect("the operation is in flight");
        (&mut slot.op, &mut slot.scratch)
    }

    pub(crate) fn poll(&mut self, key: Key, waker: &Waker) -> Poll<Completion> {
        let slot = self.arena.get_mut(key).expect("a future polls its own operation, once");
        match &mut slot.state {
            State::Waiting(waiting) => {
                match waiting {
                    Some(known) if known.will_wake(waker) => {}
                    other => *other = Some(waker.clone()),
                }
                Poll::Pending
            }
            State::Completed(_) => {
                let slot = self.arena.remove(key).expect("just seen");
                let State::Completed(result) = slot.state else { unreachable!("just matched") };
                Poll::Ready(Completion { op: slot.op, result })
            }
            State::Abandoned => unreachable!("an abandoned operation has no future"),
        }
    }

    /// Notes the completion and wakes whoever waits. Gives the completion back if nobody does:
    /// what it opened must be closed.
    pub(crate) fn complete(&mut self, key: Key, result: io::Result<Output>) -> Option<Completion> {
        let slot = self.arena.get_mut(key).expect("an operation completes once");
        match std::mem::replace(&mut slot.state, State::Completed(result)) {
            State::Waiting(waker) => {
                if let Some(waker) = waker {
                    waker.wake();
                }
                None
            }
            State::Abandoned => {
                let slot = self.arena.remove(key).expect("just seen");
                let State::Completed(result) = slot.state else { unreachable!("just replaced") };
                Some(Completion { op: slot.op, result })
            }
            State::Completed(_) => unreachable!("an operation completes once"),
        }
    }

    /// Marks the operation as waited for by nobody. Gives its completion back if it had completed;
    /// otherwise it is still in flight and may be cancelled.
    pub(crate) fn abandon(&mut self, key: Key) -> Option<Completion> {
        let slot = self.arena.get_mut(key).expect("a future abandons its own operation, once");
        match std::mem::replace(&mut slot.state, State::Abandoned) {
            State::Waiting(_) => None,
            State::Completed(result) => {
                let slot = self.arena.remove(key).expect("just seen");
                Some(Completion { op: slot.op, result })
            }
            State::Abandoned => unreachable!("an operation is abandoned once"),
        }
    }

    /// Whether the machine has completed the operation, and its future has not seen it yet.
    pub(crate) fn is_completed(&mut self, key: Key) -> bool {
        let slot = self.arena.get_mut(key).expect("its future has not seen it");
        matches!(slot.state, State::Completed(_))
    }

    /// Whether nobody waits for the operation, which is still in flight.
    pub(crate) fn is_abandoned(&mut self, key: Key) -> bool {
        let slot = self.arena.get_mut(key).expect("the operation is in flight");
        matches!(slot.state, State::Abandoned)
    }

    /// The operations that the machine has not completed yet, in the order of their slots.
    pub(crate) fn in_flight_ops(&self) -> impl Iterator<Item = &Op> {
        let slots = self.arena.iter().filter(|slot| !matches!(slot.state, State::Completed(_)));
        slots.map(|slot| &slot.op)
    }

    /// The same operations, to be tampered with.
    pub(crate) fn in_flight_ops_mut(&mut self) -> impl Iterator<Item = &mut Op> {
        let slots = self.arena.iter_mut();
        let slots = slots.filter(|slot| !matches!(slot.state, State::Completed(_)));
        slots.map(|slot| &mut slot.op)
    }

    /// How many operations the machine has not completed yet.
    pub(crate) fn in_flight_count(&self) -> usize {
        self.in_flight_ops().count()
    }
}
