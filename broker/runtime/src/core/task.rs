//! Tasks and their wakers.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::{Context, Poll, Wake, Waker};

use crate::arena::{Arena, Key};

type LocalFuture = Pin<Box<dyn Future<Output = ()>>>;

struct Task {
    waker: Arc<TaskWaker>,
    /// Taken out while the task is being polled.
    running: Option<(LocalFuture, Waker)>,
}

/// The tasks of one core.
pub(super) struct Tasks {
    queue: QueueId,
    arena: RefCell<Arena<Task>>,
}

impl Tasks {
    pub(super) fn new() -> Tasks {
        Tasks { queue: QueueId::open(), arena: RefCell::new(Arena::new()) }
    }

    pub(super) fn spawn(&self, future: LocalFuture) -> Key {
        let key = self.arena.borrow_mut().insert_with(|key| {
            let waker = TaskWaker { queue: self.queue, key, queued: AtomicBool::new(true) };
            let waker = Arc::new(waker);
            Task { running: Some((future, Waker::from(waker.clone()))), waker }
        });
        self.queue.with(|ready| ready.push_back(key));
        key
    }

    pub(super) fn ready_count(&self) -> usize {
        self.queue.with(|ready| ready.len())
    }

    /// Polls the `choice`th of the ready tasks.
    pub(super) fn poll_next(&self, choice: usize) {
        let Some(key) = self.queue.with(|ready| ready.remove(choice)) else { return };
        let mut arena = self.arena.borrow_mut();
        // The task may have ended or been aborted since it was woken.
        let Some(task) = arena.get_mut(key) else { return };
        task.waker.queued.store(false, Ordering::Relaxed);
        let (mut future, waker) = task.running.take().expect("a task is polled by one at a time");
        drop(arena);
        let polled = future.as_mut().poll(&mut Context::from_waker(&waker));
        let mut arena = self.arena.borrow_mut();
        match (polled, arena.get_mut(key)) {
            (Poll::Pending, Some(task)) => task.running = Some((future, waker)),
            // Ended, or aborted by itself: what it owned is dropped when nothing is borrowed.
            (_, task) => {
                let ended = task.is_some().then(|| arena.remove(key));
                drop(arena);
                drop((ended, future));
            }
        }
    }

    pub(super) fn abort(&self, key: Key) {
        let task = self.arena.borrow_mut().remove(key);
        drop(task);
    }

    pub(super) fn drop_all(&self) {
        // Dropping a task may spawn or wake others.
        loop {
            let keys = self.arena.borrow().keys();
            if keys.is_empty() {
                return;
            }
            for key in keys {
                self.abort(key);
            }
        }
    }
}

impl Drop for Tasks {
    fn drop(&mut self) {
        self.queue.close();
    }
}

/// Wakes a task of one core. By its type it may travel to other threads, but cores meet only in
/// the mesh, so waking from another thread is a bug and stops the process.
struct TaskWaker {
    queue: QueueId,
    key: Key,
    queued: AtomicBool,
}

impl Wake for TaskWaker {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        if !self.queued.swap(true, Ordering::Relaxed) {
            self.queue.with_if_open(|ready| ready.push_back(self.key));
        }
    }
}

thread_local! {
    /// The ready tasks of the cores on this thread: one core, or all those of a simulation.
    static READY: RefCell<Vec<(QueueId, VecDeque<Key>)>> = const { RefCell::new(Vec::new()) };
}

static QUEUES_COUNT: AtomicU64 = AtomicU64::new(0);

/// Names one core's queue of ready tasks, for the life of the process.
#[derive(Clone, Copy, PartialEq, Eq)]
struct QueueId {
    number: u64,
    /// Distinguishes the threads: the address of one of the owner's thread-locals.
    thread: usize,
}

impl QueueId {
    fn open() -> QueueId {
        let number = QUEUES_COUNT.fetch_add(1, Ordering::Relaxed);
        let id = QueueId { number, thread: this_thread() };
        READY.with(|ready| ready.borrow_mut().push((id, VecDeque::new())));
        id
    }

    fn close(self) {
        // At the end of a thread its thread-locals may be gone already.
        let _ = READY.try_with(|ready| ready.borrow_mut().retain(|(id, _)| *id != self));
    }

    fn with<T>(self, body: impl FnOnce(&mut VecDeque<Key>) -> T) -> T {
        self.with_if_open(body).expect("a core's queue is open as long as the core")
    }

    fn with_if_open<T>(self, body: impl FnOnce(&mut VecDeque<Key>) -> T) -> Option<T> {
        READY
            .try_with(|ready| {
                assert_eq!(self.thread, this_thread(), "cores wake each other by the mesh only");
                let mut ready = ready.borrow_mut();
                ready.iter_mut().find(|(id, _)| *id == self).map(|(_, queue)| body(queue))
            })
            .ok()
            .flatten()
    }
}

fn this_thread() -> usize {
    READY.try_with(|ready| std::ptr::from_ref(ready) as usize).unwrap_or(0)
}
