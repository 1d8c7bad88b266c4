//! What is known of a group: what its members hold, what they are to do, and what was committed.
//!
//! Guarantees: a division is whole if every member that is there holds partitions of one generation,
//! later than the one before, and all of them together every partition once. Does not know:
//! connections.

use std::cell::{Cell, RefCell};

use model::PartitionIndex;
use runtime::sync::watch::Watch;
use runtime::{Instant, now};

use super::Window;

/// A group.
pub(super) struct Group {
    pub(super) name: String,
    orders: Watch<Orders>,
    held: Watch<Vec<Option<Held>>>,
    /// The last generation in which everything was divided.
    generation: Cell<i32>,
    /// By partition.
    pub(super) books: RefCell<Vec<Book>>,
}

/// What the members are to do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Orders {
    /// When to commit.
    pub(super) window: Option<Window>,
    /// Who has to stay away.
    pub(super) away: Option<u32>,
    /// Leave, and come no more.
    pub(super) is_over: bool,
}

/// What a member holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Held {
    pub(super) generation: i32,
    pub(super) partitions: Vec<PartitionIndex>,
}

/// The offsets of a partition.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Book {
    /// The last that was sent; 0 if none was.
    pub(super) sent: i64,
    /// The last that was acknowledged.
    pub(super) acknowledged: i64,
}

impl Group {
    pub(super) fn new(name: String, members: u32) -> Group {
        let count = members as usize;
        Group {
            name,
            orders: Watch::new(Orders::default()),
            held: Watch::new(vec![None; count]),
            generation: Cell::new(-1),
            books: RefCell::new(vec![Book::default(); count]),
        }
    }

    pub(super) fn orders(&self) -> Orders {
        *self.orders.borrow()
    }

    /// Waits until the orders are no longer these.
    pub(super) async fn other_orders(&self, known: Orders) {
        self.orders.wait_for(|orders| (*orders != known).then_some(())).await;
    }

    pub(super) fn open(&self, window: Window) {
        self.orders.update(|orders| orders.window = Some(window));
    }

    pub(super) fn send_away(&self, member: Option<u32>) {
        self.orders.update(|orders| orders.away = member);
    }

    pub(super) fn end(&self) {
        self.orders.update(|orders| orders.is_over = true);
    }

    /// A member holds these partitions now, or is not in the group any more.
    pub(super) fn note_held(&self, member: u32, held: Option<Held>) {
        self.held.update(|all| all[member as usize] = held);
    }

    /// Waits until everything is divided in a new generation, among all but one or among all. Gives
    /// when that was.
    pub(super) async fn divided(&self, without: Option<u32>) -> Instant {
        let after = self.generation.get();
        let whole = self.held.wait_for(|all| generation_of(all, without).filter(|it| after < *it));
        self.generation.set(whole.await);
        now()
    }

    /// The next offset of a partition.
    pub(super) fn next_offset(&self, partition: PartitionIndex) -> i64 {
        let mut books = self.books.borrow_mut();
        let book = &mut books[index_of(partition)];
        book.sent += 1;
        book.sent
    }

    pub(super) fn note_acknowledged(&self, partition: PartitionIndex, offset: i64) {
        let mut books = self.books.borrow_mut();
        let book = &mut books[index_of(partition)];
        book.acknowledged = book.acknowledged.max(offset);
    }

    /// Whether a partition is one of those that the group reads.
    pub(super) fn has(&self, partition: PartitionIndex) -> bool {
        usize::try_from(partition.0).is_ok_and(|index| index < self.books.borrow().len())
    }
}

fn index_of(partition: PartitionIndex) -> usize {
    usize::try_from(partition.0).expect("a member holds partitions of the topic")
}

/// The generation in which everything is divided; there are as many partitions as members.
fn generation_of(all: &[Option<Held>], without: Option<u32>) -> Option<i32> {
    let mut generation = None;
    let mut is_held = vec![false; all.len()];
    for (member, held) in (0..).zip(all) {
        if without == Some(member) {
            continue;
        }
        let held = held.as_ref()?;
        if *generation.get_or_insert(held.generation) != held.generation {
            return None;
        }
        for partition in &held.partitions {
            let is_held = is_held.get_mut(usize::try_from(partition.0).ok()?)?;
            if std::mem::replace(is_held, true) {
                return None;
            }
        }
    }
    generation.filter(|_| is_held.iter().all(|it| *it))
}

#[cfg(test)]
mod tests;
