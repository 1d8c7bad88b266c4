//! The only way between the cores of a process: calls and their answers.
//!
//! Per ordered pair of cores there is a ring of calls and a ring of answers, both bounded. A call
//! reserves the place of its answer before it is sent, and handling a call never makes another one,
//! so full rings slow callers down but cannot deadlock. Calls of one core to another arrive in the
//! order in which [`Mesh::call`] was called. A sleeping core is woken through its ring
//! (`IORING_OP_MSG_RING`), at most once for any number of messages.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::future::Future;
use std::os::fd::RawFd;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI32, Ordering};
use std::task::{Context, Poll};

use crate::core::{Core, CoreId, rung, spawn};
use crate::sync::oneshot;

/// Where to wake a core. Shared by all cores of a process.
#[derive(Debug)]
pub(crate) struct Doorbell {
    /// Set by whoever rings first, cleared by the core before it looks for messages.
    is_rung: AtomicBool,
    /// The core's ring, or its number in the simulator; negative when it has none.
    target: AtomicI32,
}

impl Doorbell {
    pub(crate) const fn new() -> Doorbell {
        Doorbell { is_rung: AtomicBool::new(false), target: AtomicI32::new(-1) }
    }

    pub(crate) fn install(&self, target: i32) {
        self.target.store(target, Ordering::Release);
    }

    pub(crate) fn remove(&self) {
        self.target.store(-1, Ordering::Release);
    }

    pub(crate) fn ring_fd(&self) -> Option<RawFd> {
        Some(self.target.load(Ordering::Acquire)).filter(|target| 0 <= *target)
    }

    /// True for the one who has to wake the core.
    fn press(&self) -> bool {
        !self.is_rung.swap(true, Ordering::AcqRel)
    }

    fn clear(&self) {
        self.is_rung.swap(false, Ordering::AcqRel);
    }
}

/// The cores of a process, by their doorbells.
#[derive(Clone, Debug)]
pub struct Neighbours {
    pub(crate) doorbells: Arc<[Arc<Doorbell>]>,
}

impl Neighbours {
    /// `cores_count` cores that have not started yet.
    pub fn new(cores_count: u16) -> Neighbours {
        assert!(0 < cores_count, "a process has a core");
        Neighbours { doorbells: (0..cores_count).map(|_| Arc::new(Doorbell::new())).collect() }
    }

    /// How many cores there are.
    pub fn cores_count(&self) -> u16 {
        u16::try_from(self.doorbells.len()).expect("made from a u16")
    }
}

/// One core's access to the mesh, made on one thread and moved to the core's.
#[derive(Debug)]
pub struct MeshPort<Q, A> {
    this: CoreId,
    neighbours: Neighbours,
    /// By core; none for the core itself.
    to: Vec<Option<CallerEnds<Q, A>>>,
    from: Vec<Option<CalleeEnds<Q, A>>>,
}

type CallerEnds<Q, A> = (rtrb::Producer<Call<Q>>, rtrb::Consumer<Answer<A>>);
type CalleeEnds<Q, A> = (rtrb::Consumer<Call<Q>>, rtrb::Producer<Answer<A>>);

#[derive(Debug)]
struct Call<Q> {
    slot: usize,
    question: Q,
}

#[derive(Debug)]
struct Answer<A> {
    slot: usize,
    /// None if the handler dropped the call.
    answer: Option<A>,
}

/// The ports of a mesh between all cores, in their order. Each pair of cores may have `capacity`
/// calls under way in each direction.
pub fn mesh<Q, A>(neighbours: &Neighbours, capacity: usize) -> Vec<MeshPort<Q, A>> {
    let cores_count = neighbours.cores_count();
    let mut ports: Vec<MeshPort<Q, A>> = (0..cores_count)
        .map(|this| MeshPort {
            this: CoreId(this),
            neighbours: neighbours.clone(),
            to: (0..cores_count).map(|_| None).collect(),
            from: (0..cores_count).map(|_| None).collect(),
        })
        .collect();
    for caller in 0..ports.len() {
        for callee in (0..ports.len()).filter(|callee| *callee != caller) {
            let (calls_in, calls_out) = rtrb::RingBuffer::new(capacity);
            let (answers_in, answers_out) = rtrb::RingBuffer::new(capacity);
            ports[caller].to[callee] = Some((calls_in, answers_out));
            ports[callee].from[caller] = Some((calls_out, answers_in));
        }
    }
    ports
}

/// The handler dropped the call without an answer: its core is stopping.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the other core has dropped the call")]
pub struct Dropped;

/// Calls from this core to itself and the others.
pub struct Mesh<Q, A> {
    this: CoreId,
    neighbours: Neighbours,
    to: Vec<Option<RefCell<Outgoing<Q, A>>>>,
    handler: Box<dyn Fn(CoreId, Q, Reply<A>)>,
}

struct Outgoing<Q, A> {
    calls: rtrb::Producer<Call<Q>>,
    answers: rtrb::Consumer<Answer<A>>,
    /// By slot: who waits for the answer.
    slots: Vec<Option<oneshot::Sender<A>>>,
    free_slots: Vec<usize>,
    /// Calls that wait for a slot, in order.
    waiting: VecDeque<(Q, oneshot::Sender<A>)>,
}

struct Incoming<Q, A> {
    peer: CoreId,
    calls: rtrb::Consumer<Call<Q>>,
    answers: Rc<RefCell<rtrb::Producer<Answer<A>>>>,
}

impl<Q: 'static, A: 'static> MeshPort<Q, A> {
    /// Starts answering on this core. The handler is called for each call in the order of arrival;
    /// it takes note and returns at once, and the reply may be sent later.
    pub fn serve(self, handler: impl Fn(CoreId, Q, Reply<A>) + 'static) -> Rc<Mesh<Q, A>> {
        let MeshPort { this, neighbours, to, from } = self;
        let mesh = Rc::new(Mesh {
            this,
            neighbours,
            to: to.into_iter().map(|ends| Some(RefCell::new(Outgoing::new(ends?)))).collect(),
            handler: Box::new(handler),
        });
        let mut incoming: Vec<Incoming<Q, A>> = (0..)
            .zip(from)
            .filter_map(|(peer, ends)| {
                let (calls, answers) = ends?;
                let answers = Rc::new(RefCell::new(answers));
                Some(Incoming { peer: CoreId(peer), calls, answers })
            })
            .collect();
        let served = mesh.clone();
        spawn(async move {
            loop {
                // Cleared before looking: whoever sends after the look rings again.
                served.neighbours.doorbells[this.index()].clear();
                served.deliver_answers();
                for peer in &mut incoming {
                    served.answer_calls(peer);
                }
                rung().await;
            }
        });
        mesh
    }
}

impl<Q, A> Outgoing<Q, A> {
    fn new((calls, answers): CallerEnds<Q, A>) -> Self {
        let capacity = calls.buffer().capacity();
        Outgoing {
            calls,
            answers,
            slots: (0..capacity).map(|_| None).collect(),
            free_slots: (0..capacity).rev().collect(),
            waiting: VecDeque::new(),
        }
    }

    /// Sends as many of the waiting calls as there are slots. Returns whether it sent any.
    fn send_waiting(&mut self) -> bool {
        let mut sent = false;
        while !self.waiting.is_empty()
            && let Some(slot) = self.free_slots.pop()
        {
            let (question, sender) = self.waiting.pop_front().expect("just seen");
            self.slots[slot] = Some(sender);
            let pushed = self.calls.push(Call { slot, question });
            assert!(pushed.is_ok(), "there are as many slots as places in the ring");
            sent = true;
        }
        sent
    }
}

impl<Q: 'static, A: 'static> Mesh<Q, A> {
    /// Calls a core, which may be this one. The call has its place in the order when this returns,
    /// even if the answer is never awaited.
    pub fn call(&self, callee: CoreId, question: Q) -> CallFuture<A> {
        let (sender, receiver) = oneshot::channel();
        match &self.to[callee.index()] {
            None => (self.handler)(self.this, question, Reply { to: ReplyTo::Local(sender) }),
            Some(outgoing) => {
                let mut outgoing = outgoing.borrow_mut();
                outgoing.waiting.push_back((question, sender));
                if outgoing.send_waiting() {
                    self.neighbours.ring(callee);
                }
            }
        }
        CallFuture { receiver }
    }

    /// Calls to this core that have no answer yet, those included that wait to be sent.
    pub fn under_way_count(&self, callee: CoreId) -> usize {
        self.to[callee.index()].as_ref().map_or(0, |outgoing| {
            let outgoing = outgoing.borrow();
            outgoing.slots.len() - outgoing.free_slots.len() + outgoing.waiting.len()
        })
    }

    fn deliver_answers(&self) {
        for (callee, outgoing) in (0..).zip(&self.to) {
            let Some(outgoing) = outgoing else { continue };
            loop {
                let mut borrowed = outgoing.borrow_mut();
                let Ok(Answer { slot, answer }) = borrowed.answers.pop() else { break };
                let sender = borrowed.slots[slot].take().expect("a slot is answered once");
                borrowed.free_slots.push(slot);
                drop(borrowed);
                // A dropped call is told by dropping its sender.
                if let Some(answer) = answer {
                    sender.send(answer);
                }
            }
            if outgoing.borrow_mut().send_waiting() {
                self.neighbours.ring(CoreId(callee));
            }
        }
    }

    fn answer_calls(&self, from: &mut Incoming<Q, A>) {
        while let Ok(Call { slot, question }) = from.calls.pop() {
            let reply = Reply {
                to: ReplyTo::Remote {
                    slot,
                    caller: from.peer,
                    answers: from.answers.clone(),
                    neighbours: self.neighbours.clone(),
                },
            };
            (self.handler)(from.peer, question, reply);
        }
    }
}

impl Neighbours {
    fn ring(&self, core: CoreId) {
        let doorbell = &self.doorbells[core.index()];
        // A core that has ended rings nobody: it leaves when all others have, too.
        if let Some(this) = Core::try_current()
            && doorbell.press()
        {
            this.with_driver(|driver| driver.ring(doorbell));
        }
    }
}

/// Where the answer to one call goes. Dropping it tells the caller that there will be none.
#[derive(Debug)]
pub struct Reply<A> {
    to: ReplyTo<A>,
}

#[derive(Debug)]
enum ReplyTo<A> {
    Local(oneshot::Sender<A>),
    Remote {
        slot: usize,
        caller: CoreId,
        answers: Rc<RefCell<rtrb::Producer<Answer<A>>>>,
        neighbours: Neighbours,
    },
    Sent,
}

impl<A> Reply<A> {
    /// Answers the call.
    pub fn send(mut self, answer: A) {
        self.finish(Some(answer));
    }

    fn finish(&mut self, answer: Option<A>) {
        match std::mem::replace(&mut self.to, ReplyTo::Sent) {
            ReplyTo::Sent => {}
            ReplyTo::Local(sender) => {
                if let Some(answer) = answer {
                    sender.send(answer);
                }
            }
            ReplyTo::Remote { slot, caller, answers, neighbours } => {
                let pushed = answers.borrow_mut().push(Answer { slot, answer });
                assert!(pushed.is_ok(), "the caller has kept a place for this answer");
                neighbours.ring(caller);
            }
        }
    }
}

impl<A> Drop for Reply<A> {
    fn drop(&mut self) {
        self.finish(None);
    }
}

/// The answer to a call.
#[derive(Debug)]
pub struct CallFuture<A> {
    receiver: oneshot::Receiver<A>,
}

impl<A> Future for CallFuture<A> {
    type Output = Result<A, Dropped>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        Pin::new(&mut self.receiver).poll(context).map_err(|oneshot::Closed| Dropped)
    }
}
