//! The clients of a run: what they share, and how they are spread over their machines.
//!
//! Every client goes on through anything until the faults end; then it finishes what it has begun.

mod peer;
mod compression;
mod batch;
mod pipelined;
mod plain;
mod prober;
mod fetch_session;
mod consumer;
mod looker;
mod admin;
mod growth;
mod reader;
mod group;
mod member;
mod beating;

use std::cell::{Cell, RefCell};
use std::collections::BTreeSet;
use std::future::Future;
use std::net::SocketAddr;
use std::pin::Pin;
use std::rc::Rc;
use std::time::Duration;

use model::TopicPartition;
use runtime::sync::watch::Watch;
use runtime::{Instant, now, sleep, spawn, with_rng};

use crate::history::{Era, History, LongTopic, Outcome, Send, SendNumber, Sequence, Span};
use crate::payload::RecordId;
use crate::plan::Plan;

use batch::Batch;

pub(crate) use growth::describe_all;
pub(crate) use reader::read_everything;

/// Where a run stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Phase {
    /// Topics are being made.
    Setup,
    /// Everybody works, and things go wrong.
    Faults,
    /// Nothing goes wrong any more; what was begun is finished.
    Ending,
}

/// What all clients of a run share.
pub(crate) struct Context {
    pub(crate) plan: Plan,
    pub(crate) broker: SocketAddr,
    pub(crate) history: RefCell<History>,
    pub(crate) phase: Watch<Phase>,
    pub(crate) era: Cell<Era>,
    /// Clients that have not finished: their machine, by its number, and their name.
    pub(crate) running: RefCell<BTreeSet<(usize, String)>>,
    records_count: Cell<u64>,
    sessions_count: Cell<u64>,
    walks_count: Cell<u64>,
    growths_count: Cell<u64>,
    connections_count: Cell<u64>,
}

impl Context {
    pub(crate) fn new(plan: Plan, broker: SocketAddr) -> Rc<Context> {
        Rc::new(Context {
            plan,
            broker,
            history: RefCell::default(),
            phase: Watch::new(Phase::Setup),
            era: Cell::default(),
            running: RefCell::default(),
            records_count: Cell::default(),
            sessions_count: Cell::default(),
            walks_count: Cell::default(),
            growths_count: Cell::default(),
            connections_count: Cell::default(),
        })
    }

    /// The clients of a machine have died.
    pub(crate) fn forget_clients(&self, machine: usize) {
        self.running.borrow_mut().retain(|(of, _)| *of != machine);
    }

    fn is_ending(&self) -> bool {
        *self.phase.borrow() == Phase::Ending
    }

    fn next_record(&self) -> RecordId {
        RecordId(next(&self.records_count))
    }

    fn next_session(&self) -> u64 {
        next(&self.sessions_count)
    }

    fn next_walk(&self) -> u64 {
        next(&self.walks_count)
    }

    fn next_growth(&self) -> u64 {
        next(&self.growths_count)
    }

    fn begin(&self) -> Begun {
        Begun { started_at: now(), era: self.era.get() }
    }

    /// Notes a batch of a producer's session that is about to be sent.
    fn begin_send(
        &self,
        session: u64,
        partition: TopicPartition,
        batch: &Batch,
        sequence: Option<Sequence>,
    ) -> SendNumber {
        let Begun { started_at, era } = self.begin();
        self.history.borrow_mut().begin_send(Send {
            session,
            partition,
            records: batch.records.clone(),
            sequence,
            outcome: Outcome::Unknown,
            span: Span { started_at, ended_at: Instant::FAR_FUTURE, era },
        })
    }

    /// Notes that it is about to be sent again.
    fn begin_attempt(&self, send: SendNumber) {
        self.history.borrow_mut().begin_attempt(send, self.era.get());
    }

    /// Notes what has become of it.
    fn settle(&self, send: SendNumber, outcome: Outcome) {
        self.history.borrow_mut().settle(send, outcome, now());
    }

    fn topics(&self) -> Vec<LongTopic> {
        self.history.borrow().topics.clone()
    }

    /// Any partition of the long-lived topics, with its topic.
    fn any_partition(&self) -> (LongTopic, TopicPartition) {
        let topics = self.topics();
        let topic = topics[with_rng(|rng| rng.index(topics.len()))].clone();
        let partitions: Vec<_> = topic.partitions().collect();
        let partition = partitions[with_rng(|rng| rng.index(partitions.len()))];
        (topic, partition)
    }

    /// A pause between two things that a client does; shorter when the end is near.
    async fn pause(&self) {
        let most = self.plan.pause_max.as_nanos();
        let most = u64::try_from(most).expect("a pause is short");
        sleep(Duration::from_nanos(with_rng(|rng| rng.below(most)))).await;
    }
}

fn next(count: &Cell<u64>) -> u64 {
    count.set(count.get() + 1);
    count.get()
}

/// The beginning of something that will have a [`Span`]. It comes when there is a connection, as a
/// request belongs to the era in which it is sent.
#[derive(Clone, Copy, Debug)]
struct Begun {
    started_at: Instant,
    era: Era,
}

impl Begun {
    fn span(self) -> Span {
        Span { started_at: self.started_at, ended_at: now(), era: self.era }
    }
}

type Task = Pin<Box<dyn Future<Output = ()>>>;

/// What one machine's clients do, from the beginning to the end. The first makes the topics, unless
/// they are there already.
pub(crate) async fn run(context: Rc<Context>, machine: usize, machines_count: usize) {
    let mut all: Vec<(String, Task)> = Vec::new();
    let plan = &context.plan;
    for number in 0..plan.pipelined_count {
        all.push((format!("pipelined-{number}"), Box::pin(pipelined::run(context.clone()))));
    }
    for number in 0..plan.plain_count {
        all.push((format!("plain-{number}"), Box::pin(plain::run(context.clone()))));
    }
    for number in 0..plan.consumers_count {
        all.push((format!("consumer-{number}"), Box::pin(consumer::run(context.clone()))));
    }
    for number in 0..plan.members_count {
        // One of them is a static member.
        let instance = (number == 0).then(|| "instance".to_owned());
        for (group, instance) in [("classic", instance.clone()), ("mixed", instance)] {
            let member = member::run(context.clone(), group, instance);
            all.push((format!("{group}-member-{number}"), Box::pin(member)));
        }
        let member = beating::run(context.clone(), "consumer");
        all.push((format!("beating-{number}"), Box::pin(member)));
    }
    // It comes and goes, and with it the group's protocol.
    all.push(("mixed-beating".to_owned(), Box::pin(beating::run(context.clone(), "mixed"))));
    all.push(("prober".to_owned(), Box::pin(prober::run(context.clone()))));
    all.push(("looker".to_owned(), Box::pin(looker::run(context.clone()))));
    all.push(("admin".to_owned(), Box::pin(admin::run(context.clone()))));
    let here = all.into_iter().enumerate().filter(|(at, _)| at % machines_count == machine);
    let here: Vec<(String, Task)> = here.map(|(_, client)| client).collect();
    for (name, _) in &here {
        context.running.borrow_mut().insert((machine, name.clone()));
    }
    if machine == 0 && *context.phase.borrow() == Phase::Setup {
        admin::make_topics(&context).await;
        context.phase.set(Phase::Faults);
    }
    context.phase.wait_for(|phase| (Phase::Faults <= *phase).then_some(())).await;
    let mut tasks = Vec::new();
    for (name, client) in here {
        let context = context.clone();
        tasks.push(spawn(async move {
            client.await;
            context.running.borrow_mut().remove(&(machine, name));
        }));
    }
    for task in tasks {
        task.await;
    }
}
