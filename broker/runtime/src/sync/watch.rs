//! A value that changes, and tasks that wait for a change.

use std::cell::{Cell, Ref, RefCell};
use std::future::poll_fn;
use std::task::{Poll, Waker};

/// A value and whoever waits for it to change. Shared by `Rc`.
#[derive(Debug)]
pub struct Watch<T> {
    value: RefCell<T>,
    version: Cell<u64>,
    waiting: RefCell<Vec<Waker>>,
}

impl<T> Watch<T> {
    /// A watch over this value.
    pub fn new(value: T) -> Watch<T> {
        Watch {
            value: RefCell::new(value),
            version: Cell::new(0),
            waiting: RefCell::new(Vec::new()),
        }
    }

    /// The value as it is now. Not to be held across an await.
    pub fn borrow(&self) -> Ref<'_, T> {
        self.value.borrow()
    }

    /// Replaces the value and wakes everybody.
    pub fn set(&self, value: T) {
        let old = self.value.replace(value);
        self.announce();
        drop(old);
    }

    /// Changes the value in place and wakes everybody.
    pub fn update<R>(&self, change: impl FnOnce(&mut T) -> R) -> R {
        let result = change(&mut self.value.borrow_mut());
        self.announce();
        result
    }

    /// Waits until `found` yields something for the value; it is asked now and after every change.
    pub async fn wait_for<R>(&self, mut found: impl FnMut(&T) -> Option<R>) -> R {
        let mut seen = None;
        poll_fn(|context| {
            if seen != Some(self.version.get()) {
                seen = Some(self.version.get());
                if let Some(result) = found(&self.value.borrow()) {
                    return Poll::Ready(result);
                }
            }
            let mut waiting = self.waiting.borrow_mut();
            if !waiting.iter().any(|waker| waker.will_wake(context.waker())) {
                waiting.push(context.waker().clone());
            }
            Poll::Pending
        })
        .await
    }

    fn announce(&self) {
        self.version.set(self.version.get() + 1);
        for waker in std::mem::take(&mut *self.waiting.borrow_mut()) {
            waker.wake();
        }
    }
}
