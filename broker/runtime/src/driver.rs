//! The machine under a core: the kernel's io_uring, or the simulator.
//!
//! One enum and no type parameter above it, so that the broker's code is the same on both.

pub(crate) mod slots;
pub(crate) mod uring;

use std::task::{Poll, Waker};

use crate::arena::Key;
use crate::mesh::Doorbell;
use crate::op::{Completion, Op};
use crate::sim::SimDriver;
use crate::time::Instant;
use uring::UringDriver;

pub(crate) enum Driver {
    Uring(Box<UringDriver>),
    Sim(SimDriver),
}

impl Driver {
    /// Takes an operation over. It goes to the machine at the core's next turn at the latest.
    pub(crate) fn submit(&mut self, op: Op) -> Key {
        match self {
            Driver::Uring(driver) => driver.submit(op),
            Driver::Sim(driver) => driver.submit(op),
        }
    }

    /// The operation's completion, once; before it, remembers whom to wake.
    pub(crate) fn poll(&mut self, key: Key, waker: &Waker) -> Poll<Completion> {
        match self {
            Driver::Uring(driver) => driver.poll(key, waker),
            Driver::Sim(driver) => driver.poll(key, waker),
        }
    }

    /// Asks the machine to end a receive soon. Whoever waits gets its completion, which may still
    /// be that of bytes that came before.
    pub(crate) fn cancel(&mut self, key: Key) {
        match self {
            Driver::Uring(driver) => driver.cancel(key),
            Driver::Sim(driver) => driver.cancel(key),
        }
    }

    /// Nobody waits for the operation any more: cancels it where that is possible. Its buffers stay
    /// with it until it is completed.
    pub(crate) fn abandon(&mut self, key: Key) {
        match self {
            Driver::Uring(driver) => driver.abandon(key),
            Driver::Sim(driver) => driver.abandon(key),
        }
    }

    /// Wakes another core, at this core's next turn at the latest.
    pub(crate) fn ring(&mut self, doorbell: &Doorbell) {
        match self {
            Driver::Uring(driver) => driver.ring(doorbell),
            Driver::Sim(driver) => driver.ring(doorbell),
        }
    }

    /// Ends the process, from whichever of its cores. On the kernel it does not return.
    pub(crate) fn end_process(&mut self, text: &str) {
        match self {
            Driver::Uring(_) => uring::end_process(text),
            Driver::Sim(driver) => driver.end_process(text),
        }
    }

    /// The monotonic clock.
    pub(crate) fn now(&self) -> Instant {
        match self {
            Driver::Uring(_) => uring::monotonic_now(),
            Driver::Sim(driver) => driver.now(),
        }
    }

    /// Milliseconds since 1970-01-01 UTC. May jump.
    pub(crate) fn wall_clock_ms(&self) -> i64 {
        match self {
            Driver::Uring(_) => uring::wall_clock_ms(),
            Driver::Sim(driver) => driver.wall_clock_ms(),
        }
    }
}
