//! One value from one task to another.

use std::cell::RefCell;
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

#[derive(Debug)]
enum State<T> {
    Empty(Option<Waker>),
    Sent(T),
    SenderGone,
    ReceiverGone,
}

/// The end that sends.
#[derive(Debug)]
pub struct Sender<T> {
    state: Rc<RefCell<State<T>>>,
}

/// The end that waits.
#[derive(Debug)]
pub struct Receiver<T> {
    state: Rc<RefCell<State<T>>>,
}

/// The sender was dropped without sending.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the sender is gone")]
pub struct Closed;

/// Two ends for one value.
pub fn channel<T>() -> (Sender<T>, Receiver<T>) {
    let state = Rc::new(RefCell::new(State::Empty(None)));
    (Sender { state: state.clone() }, Receiver { state })
}

impl<T> Sender<T> {
    /// Sends the value; it is dropped if nobody waits for it any more.
    pub fn send(self, value: T) {
        let mut state = self.state.borrow_mut();
        if let State::Empty(waker) = &mut *state {
            let waker = waker.take();
            *state = State::Sent(value);
            drop(state);
            if let Some(waker) = waker {
                waker.wake();
            }
        }
    }

    /// Whether the receiver has been dropped.
    pub fn is_closed(&self) -> bool {
        matches!(*self.state.borrow(), State::ReceiverGone)
    }
}

impl<T> Drop for Sender<T> {
    fn drop(&mut self) {
        let mut state = self.state.borrow_mut();
        if let State::Empty(waker) = &mut *state {
            let waker = waker.take();
            *state = State::SenderGone;
            drop(state);
            if let Some(waker) = waker {
                waker.wake();
            }
        }
    }
}

impl<T> Future for Receiver<T> {
    type Output = Result<T, Closed>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let mut state = self.state.borrow_mut();
        match &mut *state {
            State::Empty(waker) => {
                *waker = Some(context.waker().clone());
                Poll::Pending
            }
            State::SenderGone => Poll::Ready(Err(Closed)),
            State::Sent(_) => match std::mem::replace(&mut *state, State::SenderGone) {
                State::Sent(value) => Poll::Ready(Ok(value)),
                _ => unreachable!("just matched"),
            },
            State::ReceiverGone => unreachable!("this is the receiver"),
        }
    }
}

impl<T> Drop for Receiver<T> {
    fn drop(&mut self) {
        let value = std::mem::replace(&mut *self.state.borrow_mut(), State::ReceiverGone);
        // Dropped after the borrow has ended: a value's own drop may come back here.
        drop(value);
    }
}
