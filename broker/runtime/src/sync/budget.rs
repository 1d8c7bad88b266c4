//! A bound on something that is handed out in amounts, such as bytes in memory.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

#[derive(Debug)]
struct State {
    free: usize,
    total: usize,
    /// In the order of arrival, so that a large request is not starved by small ones.
    waiting: VecDeque<(u64, usize, Waker)>,
    tickets_count: u64,
}

/// So much may be in use at a time. Clones share the same budget.
#[derive(Clone, Debug)]
pub struct Budget {
    state: Rc<RefCell<State>>,
}

/// An amount in use; returned when dropped.
#[derive(Debug)]
pub struct Share {
    budget: Budget,
    amount: usize,
}

impl Budget {
    /// A budget of `total`.
    pub fn new(total: usize) -> Budget {
        let state = State { free: total, total, waiting: VecDeque::new(), tickets_count: 0 };
        Budget { state: Rc::new(RefCell::new(state)) }
    }

    /// What is not in use.
    pub fn free(&self) -> usize {
        self.state.borrow().free
    }

    /// What there is in all.
    pub fn total(&self) -> usize {
        self.state.borrow().total
    }

    /// Whether somebody waits for a part of it.
    pub fn is_waited_for(&self) -> bool {
        !self.state.borrow().waiting.is_empty()
    }

    /// Takes an amount now, or nothing.
    pub fn try_take(&self, amount: usize) -> Option<Share> {
        let mut state = self.state.borrow_mut();
        if !state.waiting.is_empty() || state.free < amount {
            return None;
        }
        state.free -= amount;
        Some(Share { budget: self.clone(), amount })
    }

    /// Takes an amount as soon as there is so much, after those who asked before. An amount above
    /// the total is cut to it: it then waits until nothing else is in use.
    pub fn take(&self, amount: usize) -> Take {
        Take { budget: self.clone(), amount: amount.min(self.total()), ticket: None }
    }

    fn give_back(&self, amount: usize) {
        let mut state = self.state.borrow_mut();
        state.free += amount;
        let first = state.waiting.front().filter(|(_, wanted, _)| *wanted <= state.free);
        if let Some((_, _, waker)) = first {
            waker.wake_by_ref();
        }
    }
}

impl Share {
    /// How much it is.
    pub fn amount(&self) -> usize {
        self.amount
    }

    /// Returns what is above `amount` early.
    pub fn shrink_to(&mut self, amount: usize) {
        if amount < self.amount {
            self.budget.give_back(self.amount - amount);
            self.amount = amount;
        }
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.budget.give_back(self.amount);
    }
}

/// Future of [`Budget::take`].
#[derive(Debug)]
pub struct Take {
    budget: Budget,
    amount: usize,
    ticket: Option<u64>,
}

impl Future for Take {
    type Output = Share;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Share> {
        let budget = self.budget.clone();
        let mut state = budget.state.borrow_mut();
        let is_first = match (self.ticket, state.waiting.front()) {
            (_, None) => true,
            (Some(ticket), Some((first, _, _))) => *first == ticket,
            (None, Some(_)) => false,
        };
        if is_first && self.amount <= state.free {
            if self.ticket.take().is_some() {
                state.waiting.pop_front();
            }
            state.free -= self.amount;
            // The next in line may fit as well.
            let next = state.waiting.front().filter(|(_, wanted, _)| *wanted <= state.free);
            if let Some((_, _, waker)) = next {
                waker.wake_by_ref();
            }
            drop(state);
            return Poll::Ready(Share { budget, amount: self.amount });
        }
        match self.ticket {
            Some(ticket) => {
                let mine = state.waiting.iter_mut().find(|(number, _, _)| *number == ticket);
                let (_, _, waker) = mine.expect("a ticket stays in line until it is served");
                waker.clone_from(context.waker());
            }
            None => {
                state.tickets_count += 1;
                let ticket = state.tickets_count;
                state.waiting.push_back((ticket, self.amount, context.waker().clone()));
                self.ticket = Some(ticket);
            }
        }
        Poll::Pending
    }
}

impl Drop for Take {
    fn drop(&mut self) {
        if let Some(ticket) = self.ticket {
            self.budget.state.borrow_mut().waiting.retain(|(number, _, _)| *number != ticket);
            self.budget.give_back(0);
        }
    }
}
