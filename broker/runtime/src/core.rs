//! The executor of one core: its tasks, its timers and its turn of the loop.
//!
//! Guarantees: tasks run on the thread that spawned them and never at the same time; a task that is
//! ready runs before the core sleeps. Does not know: what the tasks do.

mod task;
mod timers;

use std::cell::{Cell, RefCell};
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use pin_project_lite::pin_project;

use crate::arena::Key;
use crate::driver::Driver;
use crate::op::{Completion, Op};
use crate::rng::Rng;
use crate::sync::oneshot;
use crate::time::Instant;
use task::Tasks;
use timers::Timers;

/// The number of a core within its process, from 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CoreId(pub u16);

impl CoreId {
    /// As an index into a list of cores.
    pub const fn index(self) -> usize {
        self.0 as usize
    }
}

impl std::fmt::Display for CoreId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

/// Everything that belongs to one core.
pub(crate) struct Core {
    id: CoreId,
    tasks: Tasks,
    timers: RefCell<Timers>,
    driver: RefCell<Driver>,
    rng: RefCell<Rng>,
    /// Another core has rung the doorbell and nobody has answered yet.
    rung: Cell<bool>,
    on_ring: RefCell<Option<Waker>>,
}

pin_project! {
    /// A task that tells its result. An `async` block would hold the future twice: where it was
    /// captured and where it is polled.
    struct Telling<F: Future> {
        #[pin]
        future: F,
        sender: Option<oneshot::Sender<F::Output>>,
    }
}

impl<F: Future> Future for Telling<F> {
    type Output = ();

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let this = self.project();
        this.future.poll(context).map(|result| {
            this.sender.take().expect("polled until it is ready").send(result);
        })
    }
}

thread_local! {
    static CURRENT: RefCell<Option<Rc<Core>>> = const { RefCell::new(None) };
}

impl Core {
    pub(crate) fn new(id: CoreId, driver: Driver, rng: Rng) -> Rc<Core> {
        Rc::new(Core {
            id,
            tasks: Tasks::new(),
            timers: RefCell::new(Timers::new()),
            driver: RefCell::new(driver),
            rng: RefCell::new(rng),
            rung: Cell::new(false),
            on_ring: RefCell::new(None),
        })
    }

    /// The core whose task is running.
    pub(crate) fn current() -> Rc<Core> {
        Core::try_current().expect("this is called from a task of a core")
    }

    /// The core whose task is running, if it is one that asks.
    pub(crate) fn try_current() -> Option<Rc<Core>> {
        CURRENT.try_with(|current| current.borrow().clone()).ok().flatten()
    }

    /// Runs `body` with this core as the current one.
    pub(crate) fn enter<T>(self: &Rc<Core>, body: impl FnOnce() -> T) -> T {
        struct Restore(Option<Rc<Core>>);
        impl Drop for Restore {
            fn drop(&mut self) {
                CURRENT.with(|current| *current.borrow_mut() = self.0.take());
            }
        }
        let outer = CURRENT.with(|current| current.borrow_mut().replace(self.clone()));
        let _restore = Restore(outer);
        body()
    }

    pub(crate) fn spawn<T: 'static>(
        &self,
        future: impl Future<Output = T> + 'static,
    ) -> JoinHandle<T> {
        let (sender, result) = oneshot::channel();
        let key = self.tasks.spawn(Box::pin(Telling { future, sender: Some(sender) }));
        JoinHandle { key, result }
    }

    /// Polls every task that is ready now, in the order in which they became so; those that become
    /// ready meanwhile wait for the next round.
    pub(crate) fn poll_ready(&self) {
        for _ in 0..self.tasks.ready_count() {
            self.tasks.poll_next(0);
        }
    }

    /// Polls one of the ready tasks, the `choice`th.
    pub(crate) fn poll_one(&self, choice: usize) {
        self.tasks.poll_next(choice);
    }

    pub(crate) fn ready_count(&self) -> usize {
        self.tasks.ready_count()
    }

    pub(crate) fn fire_timers(&self) {
        let now = self.now();
        loop {
            let due = self.timers.borrow_mut().pop_due(now);
            match due {
                Some(waker) => waker.wake(),
                None => return,
            }
        }
    }

    /// How long the core may sleep now: not at all if a task is ready.
    pub(crate) fn next_sleep(&self) -> Option<Instant> {
        match self.ready_count() {
            0 => Some(self.next_timer().unwrap_or(Instant::FAR_FUTURE)),
            _ => None,
        }
    }

    /// When the next timer fires.
    pub(crate) fn next_timer(&self) -> Option<Instant> {
        self.timers.borrow().next()
    }

    pub(crate) fn now(&self) -> Instant {
        self.driver.borrow().now()
    }

    pub(crate) fn with_driver<T>(&self, body: impl FnOnce(&mut Driver) -> T) -> T {
        body(&mut self.driver.borrow_mut())
    }

    pub(crate) fn note_ring(&self) {
        self.rung.set(true);
        if let Some(waker) = self.on_ring.borrow_mut().take() {
            waker.wake();
        }
    }

    /// Drops every task. The operations they waited for are abandoned to the driver.
    pub(crate) fn drop_tasks(self: &Rc<Core>) {
        self.enter(|| self.tasks.drop_all());
    }
}

/// The core whose task is running.
pub fn core_id() -> CoreId {
    Core::current().id
}

/// Starts a task on this core. Dropping the handle does not stop it.
pub fn spawn<T: 'static>(future: impl Future<Output = T> + 'static) -> JoinHandle<T> {
    Core::current().spawn(future)
}

/// The monotonic clock.
pub fn now() -> Instant {
    Core::current().now()
}

/// Milliseconds since 1970-01-01 UTC. May jump, in both directions.
pub fn wall_clock_ms() -> i64 {
    Core::current().with_driver(|driver| driver.wall_clock_ms())
}

/// Ends the process at once with an error that it prints, from any core. Operations in flight may
/// still land, as after every death.
pub async fn end_process(text: &str) -> ! {
    Core::current().with_driver(|driver| driver.end_process(text));
    // A simulated process does nothing any more; nobody polls this again.
    match std::future::pending::<std::convert::Infallible>().await {}
}

/// The core's random generator.
pub fn with_rng<T>(body: impl FnOnce(&mut Rng) -> T) -> T {
    body(&mut Core::current().rng.borrow_mut())
}

/// Waits at least this long.
pub fn sleep(duration: Duration) -> Sleep {
    let core = Core::current();
    let deadline = core.now() + duration;
    Sleep { core, deadline, registered: None }
}

/// Waits until this instant has come.
pub fn sleep_until(deadline: Instant) -> Sleep {
    Sleep { core: Core::current(), deadline, registered: None }
}

/// Lets the other ready tasks run first.
pub async fn yield_now() {
    let mut yielded = false;
    std::future::poll_fn(|context| {
        if std::mem::replace(&mut yielded, true) {
            return Poll::Ready(());
        }
        context.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

/// The time given to [`timeout`] was not enough.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("timed out")]
pub struct TimedOut;

/// Waits for the future for so long from now on. It ends with what is made here.
pub fn timeout<F: Future>(duration: Duration, future: F) -> Timeout<F> {
    Timeout { future, sleep: sleep(duration) }
}

pin_project! {
    /// What [`timeout`] makes.
    #[must_use = "futures do nothing unless they are awaited"]
    pub struct Timeout<F> {
        #[pin]
        future: F,
        sleep: Sleep,
    }
}

impl<F: Future> Future for Timeout<F> {
    type Output = Result<F::Output, TimedOut>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        if let Poll::Ready(value) = this.future.poll(context) {
            return Poll::Ready(Ok(value));
        }
        Pin::new(this.sleep).poll(context).map(|()| Err(TimedOut))
    }
}

/// A task's result, to be awaited.
#[derive(Debug)]
pub struct JoinHandle<T> {
    key: Key,
    result: oneshot::Receiver<T>,
}

impl<T> JoinHandle<T> {
    /// Drops the task where it stands. From here on the handle never yields.
    pub fn abort(&self) {
        Core::current().tasks.abort(self.key);
    }
}

impl<T> Future for JoinHandle<T> {
    type Output = T;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<T> {
        match Pin::new(&mut self.result).poll(context) {
            Poll::Ready(Ok(value)) => Poll::Ready(value),
            // Aborted: there will never be a result.
            Poll::Ready(Err(oneshot::Closed)) | Poll::Pending => Poll::Pending,
        }
    }
}

/// Future of [`sleep`].
pub struct Sleep {
    core: Rc<Core>,
    deadline: Instant,
    registered: Option<timers::TimerKey>,
}

impl Future for Sleep {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        if self.deadline <= self.core.now() {
            return Poll::Ready(());
        }
        let core = self.core.clone();
        let mut timers = core.timers.borrow_mut();
        match self.registered {
            Some(key) => timers.update(key, context.waker()),
            None => self.registered = Some(timers.insert(self.deadline, context.waker().clone())),
        }
        Poll::Pending
    }
}

impl Drop for Sleep {
    fn drop(&mut self) {
        if let Some(key) = self.registered {
            self.core.timers.borrow_mut().remove(key);
        }
    }
}

/// Submits an operation now and yields its completion.
pub(crate) fn submit(op: Op) -> InFlight {
    let core = Core::current();
    let key = core.with_driver(|driver| driver.submit(op));
    InFlight { core, key: Some(key) }
}

/// Submits an operation that nobody waits for.
pub(crate) fn submit_detached(op: Op) {
    // What outlives its core (a file in a test's hands) is left to the end of the process.
    let Some(core) = Core::try_current() else { return };
    core.with_driver(|driver| {
        let key = driver.submit(op);
        driver.abandon(key);
    });
}

/// An operation in flight. Dropping it cancels the operation, whose buffers stay with the driver
/// until the machine has let go of them.
pub(crate) struct InFlight {
    core: Rc<Core>,
    key: Option<Key>,
}

impl InFlight {
    /// Asks for the end of a receive, whose completion then comes soon.
    pub(crate) fn cancel(&self) {
        let key = self.key.expect("cancelled before completion");
        self.core.with_driver(|driver| driver.cancel(key));
    }
}

impl Future for InFlight {
    type Output = Completion;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Completion> {
        let key = self.key.expect("polled after completion");
        let polled = self.core.with_driver(|driver| driver.poll(key, context.waker()));
        if polled.is_ready() {
            self.key = None;
        }
        polled
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        if let Some(key) = self.key {
            self.core.with_driver(|driver| driver.abandon(key));
        }
    }
}

/// Waits until another core rings this one's doorbell.
pub(crate) async fn rung() {
    let core = Core::current();
    std::future::poll_fn(|context| {
        if core.rung.replace(false) {
            return Poll::Ready(());
        }
        *core.on_ring.borrow_mut() = Some(context.waker().clone());
        Poll::Pending
    })
    .await;
}
