//! A bounded queue from many tasks to one.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::future::poll_fn;
use std::rc::Rc;
use std::task::{Poll, Waker};

#[derive(Debug)]
struct State<T> {
    items: VecDeque<T>,
    capacity: usize,
    senders_count: usize,
    receiver_gone: bool,
    receiver: Option<Waker>,
    waiting_senders: VecDeque<Waker>,
}

/// An end that sends; there may be several.
#[derive(Debug)]
pub struct Sender<T> {
    state: Rc<RefCell<State<T>>>,
}

/// The end that receives.
#[derive(Debug)]
pub struct Receiver<T> {
    state: Rc<RefCell<State<T>>>,
}

/// The queue does not take the item, which comes back.
#[derive(Debug, PartialEq, Eq)]
pub enum SendError<T> {
    /// It is full for now.
    Full(T),
    /// The receiver is gone.
    Closed(T),
}

/// A queue that holds at most `capacity` items.
pub fn bounded<T>(capacity: usize) -> (Sender<T>, Receiver<T>) {
    assert!(0 < capacity, "a queue without room would never deliver");
    let state = Rc::new(RefCell::new(State {
        items: VecDeque::new(),
        capacity,
        senders_count: 1,
        receiver_gone: false,
        receiver: None,
        waiting_senders: VecDeque::new(),
    }));
    (Sender { state: state.clone() }, Receiver { state })
}

impl<T> Sender<T> {
    /// Adds the item if there is room.
    pub fn try_send(&self, item: T) -> Result<(), SendError<T>> {
        let mut state = self.state.borrow_mut();
        if state.receiver_gone {
            return Err(SendError::Closed(item));
        }
        if state.capacity <= state.items.len() {
            return Err(SendError::Full(item));
        }
        state.items.push_back(item);
        wake(state.receiver.take());
        Ok(())
    }

    /// Adds the item when there is room. Gives it back if the receiver is gone.
    pub async fn send(&self, item: T) -> Result<(), T> {
        let mut item = Some(item);
        poll_fn(|context| match self.try_send(item.take().expect("polled until ready")) {
            Ok(()) => Poll::Ready(Ok(())),
            Err(SendError::Closed(item)) => Poll::Ready(Err(item)),
            Err(SendError::Full(refused)) => {
                item = Some(refused);
                self.state.borrow_mut().waiting_senders.push_back(context.waker().clone());
                Poll::Pending
            }
        })
        .await
    }
}

impl<T> Clone for Sender<T> {
    fn clone(&self) -> Sender<T> {
        self.state.borrow_mut().senders_count += 1;
        Sender { state: self.state.clone() }
    }
}

impl<T> Drop for Sender<T> {
    fn drop(&mut self) {
        let mut state = self.state.borrow_mut();
        state.senders_count -= 1;
        if state.senders_count == 0 {
            wake(state.receiver.take());
        }
    }
}

impl<T> Receiver<T> {
    /// The next item, or none when the queue is empty and every sender is gone.
    pub async fn receive(&mut self) -> Option<T> {
        poll_fn(|context| {
            let mut state = self.state.borrow_mut();
            if let Some(item) = state.items.pop_front() {
                wake(state.waiting_senders.pop_front());
                return Poll::Ready(Some(item));
            }
            if state.senders_count == 0 {
                return Poll::Ready(None);
            }
            state.receiver = Some(context.waker().clone());
            Poll::Pending
        })
        .await
    }

    /// The next item if there is one now.
    pub fn try_receive(&mut self) -> Option<T> {
        let mut state = self.state.borrow_mut();
        let item = state.items.pop_front()?;
        wake(state.waiting_senders.pop_front());
        Some(item)
    }
}

impl<T> Drop for Receiver<T> {
    fn drop(&mut self) {
        let mut state = self.state.borrow_mut();
        state.receiver_gone = true;
        let items = std::mem::take(&mut state.items);
        for waker in std::mem::take(&mut state.waiting_senders) {
            waker.wake();
        }
        drop(state);
        drop(items);
    }
}

fn wake(waker: Option<Waker>) {
    if let Some(waker) = waker {
        waker.wake();
    }
}
