//! Cores on real threads.

use std::future::Future;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, mpsc};

use crate::core::{Core, CoreId};
use crate::driver::Driver;
use crate::driver::uring::{RingError, UringDriver};
use crate::lock::DirectoryLock;
use crate::mesh::{Doorbell, Neighbours};
use crate::rng::Rng;
use crate::sync::oneshot;
use crate::time::Instant;

/// How the threads of a process are set up.
pub struct Threads<'a> {
    /// The cores, one thread each.
    pub neighbours: Neighbours,
    /// By core: the processor to stay on; none lets the kernel choose. May be shorter than the list
    /// of cores, whose processors then repeat.
    pub processors: Vec<usize>,
    /// Held by every ring until its last operation has ended.
    pub lock: Option<&'a DirectoryLock>,
}

impl Threads<'_> {
    /// Runs one main task per core, each on its own thread, and returns their results when all have
    /// ended. A core whose main task has ended still runs its other tasks and answers the others
    /// until then.
    pub fn run<T, F, Main>(self, mains: Vec<F>) -> Result<Vec<T>, RingError>
    where
        T: Send,
        F: FnOnce() -> Main + Send,
        Main: Future<Output = T> + 'static,
        T: 'static,
    {
        let Threads { neighbours, processors, lock } = self;
        assert_eq!(mains.len(), neighbours.doorbells.len(), "one main task per core");
        let running = Arc::new(AtomicUsize::new(mains.len()));
        let results = Mutex::new(Vec::new());
        let (report, reports) = mpsc::channel();
        std::thread::scope(|scope| {
            let mut starts = Vec::new();
            for (id, main) in (0..).zip(mains) {
                let (start, may_start) = mpsc::channel();
                starts.push(start);
                let neighbours = neighbours.clone();
                let running = running.clone();
                let results = &results;
                let report = report.clone();
                let processor =
                    (!processors.is_empty()).then(|| processors[id as usize % processors.len()]);
                let thread = std::thread::Builder::new().name(format!("core-{id}"));
                let spawned = thread.spawn_scoped(scope, move || {
                    if let Some(processor) = processor {
                        pin_to(processor);
                    }
                    let core = match start_core(CoreId(id), &neighbours, lock) {
                        Ok(core) => core,
                        Err(error) => return report.send(Err(error)).unwrap_or(()),
                    };
                    report.send(Ok(())).unwrap_or(());
                    // Not started at all if another core could not be.
                    if may_start.recv().is_err() {
                        return;
                    }
                    let _guard = AbortOnPanic;
                    let result = run_core(&core, main(), &neighbours, &running);
                    results.lock().expect("no core panics here").push((id, result));
                });
                if let Err(source) = spawned {
                    return Err(RingError::Failed { source });
                }
            }
            for _ in 0..starts.len() {
                reports.recv().expect("every core reports once")?;
            }
            for start in &starts {
                start.send(()).expect("every core waits for its start");
            }
            Ok(())
        })?;
        let mut results = results.into_inner().expect("no core panics here");
        results.sort_by_key(|(id, _)| *id);
        Ok(results.into_iter().map(|(_, result)| result).collect())
    }
}

/// Runs one task, and those it spawns, as a core on the calling thread. For tools and tests.
pub fn block_on<T: 'static>(main: impl Future<Output = T> + 'static) -> Result<T, RingError> {
    let neighbours = Neighbours::new(1);
    let core = start_core(CoreId(0), &neighbours, None)?;
    Ok(run_core(&core, main, &neighbours, &AtomicUsize::new(1)))
}

fn start_core(
    id: CoreId,
    neighbours: &Neighbours,
    lock: Option<&DirectoryLock>,
) -> Result<std::rc::Rc<Core>, RingError> {
    let doorbell: Arc<Doorbell> = neighbours.doorbells[id.index()].clone();
    let driver = UringDriver::new(doorbell, lock)?;
    let seed = crate::host::random_seed().map_err(|source| RingError::Failed { source })?;
    Ok(Core::new(id, Driver::Uring(Box::new(driver)), Rng::from_seed(seed)))
}

fn run_core<T: 'static>(
    core: &std::rc::Rc<Core>,
    main: impl Future<Output = T> + 'static,
    neighbours: &Neighbours,
    running: &AtomicUsize,
) -> T {
    let (sender, receiver) = oneshot::channel();
    let mut receiver = std::pin::pin!(receiver);
    let mut result = None;
    core.enter(|| {
        core.spawn(async move { sender.send(main.await) });
        loop {
            core.fire_timers();
            core.poll_ready();
            if result.is_none() {
                let mut context = std::task::Context::from_waker(std::task::Waker::noop());
                if let std::task::Poll::Ready(value) = receiver.as_mut().poll(&mut context) {
                    result = Some(value.expect("nobody aborts the main task"));
                    running.fetch_sub(1, Ordering::AcqRel);
                    // The others may be asleep and have to see that this was the last one.
                    for doorbell in &*neighbours.doorbells {
                        core.with_driver(|driver| driver.ring(doorbell));
                    }
                }
            }
            if running.load(Ordering::Acquire) == 0 {
                break;
            }
            turn(core, core.next_sleep());
        }
        // The others sleep until they hear that this was the last one.
        turn(core, None);
    });
    core.drop_tasks();
    result.expect("the loop ends after the main task")
}

/// Submits and reaps; sleeps until something happens or the time has come, if one is given.
fn turn(core: &Core, sleep_until: Option<Instant>) {
    let rung = core.with_driver(|driver| match driver {
        Driver::Uring(driver) => driver.turn(sleep_until),
        Driver::Sim(_) => unreachable!("simulated cores have no thread"),
    });
    // Without its ring a core can do nothing at all, not even say so.
    if rung.expect("io_uring_enter works on a ring that was set up") {
        core.note_ring();
    }
}

fn pin_to(processor: usize) {
    // Best effort: in a container the set of processors may change after it was read.
    core_affinity::set_for_current(core_affinity::CoreId { id: processor });
}

/// A core that has panicked leaves the others waiting for it for ever; so the process ends, as it
/// does in the release build.
struct AbortOnPanic;

impl Drop for AbortOnPanic {
    fn drop(&mut self) {
        if std::thread::panicking() {
            std::process::abort();
        }
    }
}
