//! One core of the broker: what lives on it, and how it answers the others.

use std::cell::{Cell, OnceCell, RefCell};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use coordinator::{ProducerIdBlock, group};
use model::{ProducerId, TopicPartition};
use runtime::sync::budget::Budget;
use runtime::sync::oneshot;
use runtime::sync::watch::Watch;
use runtime::{CoreId, JoinHandle, Mesh, Reply, TcpListener, TcpStream};
use storage::{Log, RecoveredLog, Store};
use wire::ErrorCode;

use crate::boot::Gathering;
use crate::call::{CoreAnswer, CoreRequest, ProducerIdResult, WatchCall, WatchId};
use crate::config::Config;
use crate::connection::{self, MovedConnection, Resting};
use crate::controller::Controller;
use crate::disk::{self, Disk};
use crate::failure::Failure;
use crate::fetch_sessions::FetchSessions;
use crate::image::{ClusterImage, DEFAULT_LOG};
use crate::lines::ClientLines;
use crate::metrics::{ConnectionCounters, CoreMetrics};
use crate::owner::Owner;
use crate::quotas::Meters;

pub(crate) type CoreMesh = Mesh<CoreRequest, CoreAnswer>;

/// How long clients get to take their last answers when the broker stops.
const FAREWELL_MAX: Duration = Duration::from_millis(500);
/// Little may become much when it is stored uncompressed, and belongs to no request's memory.
const RECOMPRESSED_BYTES: usize = 8 << 20;
/// How often producers that are silent are looked for.
const EXPIRY_INTERVAL: Duration = Duration::from_secs(600);

/// Of so many descriptors, those that connections may not have: segments are rolled, and files read,
/// however many clients there are.
fn descriptors_kept(descriptors_max: u64) -> u64 {
    const KEPT_MIN: u64 = 64;
    (descriptors_max / 10).max(KEPT_MIN.min(descriptors_max / 2))
}

pub(crate) struct Core {
    pub(crate) id: CoreId,
    pub(crate) cores_count: u16,
    pub(crate) config: Arc<Config>,
    pub(crate) address: SocketAddr,
    mesh: OnceCell<Rc<CoreMesh>>,
    owner: OnceCell<Rc<Owner>>,
    /// On core 0.
    controller: OnceCell<Rc<Controller>>,
    image: RefCell<Arc<ClusterImage>>,

    pub(crate) request_bytes: Budget,
    /// Whose turn it is to receive the rest of a request for which nothing is left of them.
    pub(crate) finishing: Budget,
    pub(crate) fetch_bytes: Budget,
    /// Whose turn it is to open a compressed batch that takes long, or to compress one anew.
    pub(crate) walking: Budget,
    /// Of batches that were compressed anew and that their owners have not answered.
    pub(crate) recompressed_bytes: Budget,
    pub(crate) fetch_sessions: FetchSessions,
    pub(crate) counters: ConnectionCounters,
    pub(crate) disk: Disk,
    pub(crate) lines: ClientLines,
    /// Connections do not take descriptors from this number on: they are for files.
    descriptors_end: Cell<u64>,
    connections: RefCell<BTreeMap<u64, JoinHandle<()>>>,
    accepting: RefCell<Option<JoinHandle<()>>>,
    /// Accepted, or taken from other cores.
    connections_begun: Cell<u64>,

    watches: RefCell<BTreeMap<u64, oneshot::Sender<()>>>,
    watches_opened: Cell<u64>,
    /// Requests of this core's connections that wait for a group.
    group_waits: RefCell<BTreeMap<u64, oneshot::Sender<group::Reply>>>,
    producer_ids: RefCell<ProducerIdBlock>,
    refilling: Budget,
    meters: Meters,

    /// On core 0, while the broker starts.
    pub(crate) gathering: Gathering,
    /// Journals of cores that are not there any more, while the broker starts.
    foreign: RefCell<BTreeMap<u32, Rc<Store>>>,
    is_leaving: Cell<bool>,
    stopped: Watch<bool>,
}

impl Core {
    pub(crate) fn new(
        id: CoreId,
        cores_count: u16,
        config: Arc<Config>,
        address: SocketAddr,
        image: ClusterImage,
    ) -> Rc<Core> {
        let memory = config.memory;
        let fetch_sessions = FetchSessions::new(id, cores_count, config.fetch_sessions);
        Rc::new(Core {
            id,
            cores_count,
            config,
            address,
            mesh: OnceCell::new(),
            owner: OnceCell::new(),
            controller: OnceCell::new(),
            image: RefCell::new(Arc::new(image)),
            request_bytes: Budget::new(memory.request_bytes),
            finishing: Budget::new(1),
            fetch_bytes: Budget::new(memory.fetch_bytes),
            walking: Budget::new(1),
            recompressed_bytes: Budget::new(RECOMPRESSED_BYTES),
            fetch_sessions,
            counters: ConnectionCounters::default(),
            disk: Disk::new(),
            lines: ClientLines::default(),
            descriptors_end: Cell::new(u64::MAX),
            connections: RefCell::default(),
            accepting: RefCell::default(),
            connections_begun: Cell::default(),
            watches: RefCell::default(),
            watches_opened: Cell::default(),
            group_waits: RefCell::default(),
            producer_ids: RefCell::default(),
            refilling: Budget::new(1),
            meters: Meters::default(),
            gathering: Gathering::new(cores_count),
            foreign: RefCell::default(),
            is_leaving: Cell::new(false),
            stopped: Watch::new(false),
        })
    }

    pub(crate) fn set_mesh(&self, mesh: Rc<CoreMesh>) {
        assert!(self.mesh.set(mesh).is_ok(), "a core has one mesh");
    }

    pub(crate) fn set_controller(&self, controller: Rc<Controller>) {
        assert!(self.controller.set(controller).is_ok(), "a broker has one controller");
    }

    /// The process may have so many descriptors.
    pub(crate) fn set_descriptors_max(&self, descriptors_max: u64) {
        self.descriptors_end.set(descriptors_max - descriptors_kept(descriptors_max));
    }

    /// Takes up the core's own store and those of cores that are gone.
    pub(crate) fn set_stores(&self, owner: Rc<Owner>, foreign: BTreeMap<u32, Rc<Store>>) {
        assert!(self.owner.set(owner).is_ok(), "a core has one store");
        *self.foreign.borrow_mut() = foreign;
    }

    pub(crate) fn mesh(&self) -> &Rc<CoreMesh> {
        self.mesh.get().expect("set before anything is served")
    }

    pub(crate) fn owner(&self) -> &Rc<Owner> {
        self.owner.get().expect("calls come after the start")
    }

    pub(crate) fn image(&self) -> Arc<ClusterImage> {
        self.image.borrow().clone()
    }

    /// Calls a core.
    pub(crate) async fn call(&self, core: CoreId, request: CoreRequest) -> CoreAnswer {
        match self.mesh().call(core, request).await {
            Ok(answer) => answer,
            Err(dropped) => CoreAnswer::Failed(dropped.to_string()),
        }
    }

    /// Calls the controller.
    pub(crate) async fn call_controller(&self, request: CoreRequest) -> CoreAnswer {
        self.call(CoreId(0), request).await
    }

    /// Answers another core, or this one.
    pub(crate) fn answer(self: &Rc<Self>, request: CoreRequest, reply: Reply<CoreAnswer>) {
        match request {
            CoreRequest::Append(call) => self.owner().append(call, reply),
            CoreRequest::Read(call) => self.owner().read(call, reply),
            CoreRequest::Watch(call) => {
                self.watch(call);
                reply.send(CoreAnswer::Done);
            }
            CoreRequest::Unwatch(id) => {
                self.owner().unwatch(id);
                reply.send(CoreAnswer::Done);
            }
            CoreRequest::Wake(id) => {
                let waiting = self.watches.borrow_mut().remove(&id.number);
                if let Some(waiting) = waiting {
                    waiting.send(());
                }
                reply.send(CoreAnswer::Done);
            }
            CoreRequest::Group(call) => self.owner().groups().handle(call, reply),
            CoreRequest::Charge(charges) => {
                reply.send(CoreAnswer::Wait(self.meters.charge(charges)));
            }
            CoreRequest::ListGroups => {
                reply.send(CoreAnswer::Groups(self.owner().groups().list()));
            }
            CoreRequest::GroupReply { waiter, reply: given } => {
                let waiting = self.group_waits.borrow_mut().remove(&waiter.number);
                // Whoever gets none is told by the sender's end.
                if let (Some(waiting), Some(given)) = (waiting, given) {
                    waiting.send(*given);
                }
                reply.send(CoreAnswer::Done);
            }
            CoreRequest::TakeConnection(connection) => {
                reply.send(CoreAnswer::Connection(self.take_connection(connection)));
            }
            CoreRequest::FindOffsets(queries) => self.owner().find_offsets(queries, reply),
            CoreRequest::DeleteRecords(deletions) => self.owner().delete_records(deletions, reply),
            CoreRequest::Sizes(partitions) => self.owner().sizes(partitions, reply),
            CoreRequest::FindEpochEnds(queries) => self.owner().find_epoch_ends(queries, reply),
            CoreRequest::Install(image) => {
                self.owner().groups().install(image.clone());
                *self.image.borrow_mut() = image;
                reply.send(CoreAnswer::Done);
            }
            CoreRequest::Disk(report) => {
                disk::note(self, report);
                reply.send(CoreAnswer::Done);
            }
            CoreRequest::Metrics => {
                reply.send(CoreAnswer::Metrics(Box::new(CoreMetrics::of(self))));
            }
            CoreRequest::Recovered(found) => self.gathering.recovered(found, reply),
            CoreRequest::Started(started) => self.gathering.started(started, reply),
            request => {
                let core = self.clone();
                runtime::spawn(async move {
                    let answer = core.answer_later(request).await;
                    reply.send(answer);
                });
            }
        }
    }

    async fn answer_later(self: Rc<Self>, request: CoreRequest) -> CoreAnswer {
        match request {
            CoreRequest::OpenPartitions(specs) => {
                CoreAnswer::Opened(self.owner().open(specs).await)
            }
            CoreRequest::Configure(specs) => {
                CoreAnswer::Outcomes(self.owner().configure(specs).await)
            }
            CoreRequest::RemovePartitions(partitions) => {
                self.owner().remove(partitions).await;
                CoreAnswer::Done
            }
            CoreRequest::Keep(image) => {
                self.owner().remove_all_but(&image).await;
                self.owner().groups().forget_topics().await;
                CoreAnswer::Done
            }
            CoreRequest::ForgetTopics => {
                self.owner().groups().forget_topics().await;
                CoreAnswer::Done
            }
            CoreRequest::CreateTopics { topics, validate_only } => match self.controller() {
                Ok(controller) => {
                    CoreAnswer::Topics(controller.create_topics(topics, validate_only).await)
                }
                Err(text) => CoreAnswer::Failed(text),
            },
            CoreRequest::DeleteTopics(ids) => match self.controller() {
                Ok(controller) => CoreAnswer::Outcomes(controller.delete_topics(ids).await),
                Err(text) => CoreAnswer::Failed(text),
            },
            CoreRequest::CreatePartitions { topics, validate_only } => match self.controller() {
                Ok(controller) => {
                    CoreAnswer::Outcomes(controller.create_partitions(topics, validate_only).await)
                }
                Err(text) => CoreAnswer::Failed(text),
            },
            CoreRequest::AlterConfigs { alters, validate_only } => match self.controller() {
                Ok(controller) => {
                    CoreAnswer::Outcomes(controller.alter_configs(alters, validate_only).await)
                }
                Err(text) => CoreAnswer::Failed(text),
            },
            CoreRequest::AlterQuotas { alters, validate_only } => match self.controller() {
                Ok(controller) => {
                    CoreAnswer::Outcomes(controller.alter_quotas(alters, validate_only).await)
                }
                Err(text) => CoreAnswer::Failed(text),
            },
            CoreRequest::ProducerIds => match self.controller() {
                Ok(controller) => CoreAnswer::ProducerIds(controller.producer_ids().await),
                Err(text) => CoreAnswer::Failed(text),
            },
            CoreRequest::Listen => CoreAnswer::of(self.clone().listen().await),
            CoreRequest::Farewell => {
                self.farewell().await;
                CoreAnswer::Done
            }
            CoreRequest::Stop => CoreAnswer::of(self.stop().await),
            CoreRequest::Export { journal, partition } => self.export(journal, partition).await,
            CoreRequest::Adopt(log) => self.adopt(*log).await,
            CoreRequest::Leave { journal, partition } => self.leave(journal, partition).await,
            CoreRequest::Retire { journal } => self.retire(journal).await,
            request => unreachable!("answered at once: {request:?}"),
        }
    }

    pub(crate) fn controller_if_any(&self) -> Option<Rc<Controller>> {
        self.controller.get().cloned()
    }

    fn controller(&self) -> Result<Rc<Controller>, String> {
        self.controller_if_any().ok_or_else(|| "the broker is still starting".to_owned())
    }

    // ---- Watches of this core's connections.

    /// A name for a watch of this core, and what to wait for.
    pub(crate) fn open_watch(&self) -> (WatchId, oneshot::Receiver<()>) {
        let number = self.watches_opened.get();
        self.watches_opened.set(number + 1);
        let (sender, receiver) = oneshot::channel();
        self.watches.borrow_mut().insert(number, sender);
        (WatchId { core: self.id, number }, receiver)
    }

    pub(crate) fn close_watch(&self, id: WatchId) {
        self.watches.borrow_mut().remove(&id.number);
    }

    fn watch(self: &Rc<Self>, call: WatchCall) {
        let (mesh, id) = (self.mesh().clone(), call.id);
        self.owner().watch(call, move || {
            // Nobody waits for the answer: whoever watches says itself when it has seen enough.
            drop(mesh.call(id.core, CoreRequest::Wake(id)));
        });
    }

    /// A name for a request that waits for a group, and what to wait for.
    pub(crate) fn open_group_wait(&self) -> (WatchId, oneshot::Receiver<group::Reply>) {
        let number = self.watches_opened.get();
        self.watches_opened.set(number + 1);
        let (sender, receiver) = oneshot::channel();
        self.group_waits.borrow_mut().insert(number, sender);
        (WatchId { core: self.id, number }, receiver)
    }

    pub(crate) fn close_group_wait(&self, id: WatchId) {
        self.group_waits.borrow_mut().remove(&id.number);
    }

    pub(crate) async fn expire_committed_offsets(self: Rc<Self>) {
        self.owner().groups().run_expiry(self.config.groups.expiry_interval).await;
    }

    // ---- Producer ids.

    pub(crate) async fn next_producer_id(&self) -> ProducerIdResult {
        let _turn = self.refilling.take(1).await;
        loop {
            let next: Option<ProducerId> = self.producer_ids.borrow_mut().take();
            if let Some(id) = next {
                return Ok(id);
            }
            match self.call_controller(CoreRequest::ProducerIds).await {
                CoreAnswer::ProducerIds(block) => *self.producer_ids.borrow_mut() = block?,
                CoreAnswer::Failed(text) => {
                    return Err(Failure::new(ErrorCode::CoordinatorNotAvailable, text));
                }
                other => unreachable!("not an answer to this: {other:?}"),
            }
        }
    }

    pub(crate) async fn expire_producers(self: Rc<Self>) {
        let expiration = i64::try_from(self.config.producer_expiration.as_millis());
        let expiration = expiration.unwrap_or(i64::MAX);
        loop {
            runtime::sleep(EXPIRY_INTERVAL).await;
            let before = runtime::wall_clock_ms().saturating_sub(expiration);
            for replica in self.owner().replicas() {
                replica.expire_producers(model::Timestamp(before));
            }
        }
    }

    // ---- Connections.

    async fn listen(self: Rc<Self>) -> std::io::Result<()> {
        let listener = TcpListener::bind_shared(self.address).await?;
        let core = self.clone();
        let accepting = runtime::spawn(async move { core.accept(listener).await });
        *self.accepting.borrow_mut() = Some(accepting);
        Ok(())
    }

    async fn accept(self: Rc<Self>, listener: TcpListener) {
        /// When the process has no descriptor left, it has to wait until one is free.
        const RETRY_EVERY: Duration = Duration::from_millis(20);
        loop {
            let (stream, peer) = match listener.accept().await {
                Ok(accepted) => accepted,
                Err(error) => {
                    if let Some(left_out) = self.lines.not_accepted.admit() {
                        tracing::warn!(%error, left_out, "a connection could not be accepted");
                    }
                    runtime::sleep(RETRY_EVERY).await;
                    continue;
                }
            };
            if let Some(reason) = self.reason_to_refuse(&stream) {
                if let Some(left_out) = self.lines.refused.admit() {
                    tracing::warn!(%peer, reason, left_out, "a connection was refused");
                }
                continue;
            }
            self.spawn_connection(Resting::new(stream, peer));
        }
    }

    fn reason_to_refuse(&self, stream: &TcpStream) -> Option<&'static str> {
        if !self.has_room_for_connection() {
            return Some("there are connections.count-max on this core");
        }
        // All descriptors below it are in use: the kernel gives the lowest.
        let is_kept = self.descriptors_end.get() <= stream.descriptor();
        is_kept.then_some("the descriptors that are left are for files (ulimit -n)")
    }

    fn has_room_for_connection(&self) -> bool {
        self.connections.borrow().len() < self.config.connections.count_max
    }

    fn spawn_connection(self: &Rc<Self>, connection: Resting) {
        let number = self.connections_begun.get();
        self.connections_begun.set(number + 1);
        let serving = runtime::spawn(connection::serve(self.clone(), number, connection));
        self.connections.borrow_mut().insert(number, serving);
    }

    /// The connection has ended, or lives on another core now.
    pub(crate) fn forget_connection(&self, number: u64) {
        self.connections.borrow_mut().remove(&number);
    }

    /// Goes on with a connection of another core, unless there is no room or the end is near.
    fn take_connection(
        self: &Rc<Self>,
        connection: Box<MovedConnection>,
    ) -> Result<(), Box<MovedConnection>> {
        if self.is_leaving() || !self.has_room_for_connection() {
            return Err(connection);
        }
        self.counters.note_moved_in();
        self.spawn_connection(connection.arrive());
        Ok(())
    }

    pub(crate) fn connections_count(&self) -> usize {
        self.connections.borrow().len()
    }

    /// By clients, here.
    pub(crate) fn connections_opened(&self) -> u64 {
        self.connections_begun.get() - self.counters.moved_in()
    }

    // ---- The end.

    /// No new clients; those that are here get the answers to what they have asked.
    async fn farewell(&self) {
        self.is_leaving.set(true);
        if let Some(accepting) = self.accepting.take() {
            accepting.abort();
        }
        for (_, waiting) in std::mem::take(&mut *self.watches.borrow_mut()) {
            waiting.send(());
        }
        self.group_waits.borrow_mut().clear();
        let deadline = runtime::now() + FAREWELL_MAX;
        while 0 < self.counters.unanswered() && runtime::now() < deadline {
            runtime::sleep(Duration::from_millis(5)).await;
        }
        for (_, connection) in std::mem::take(&mut *self.connections.borrow_mut()) {
            connection.abort();
        }
    }

    /// Whether waiting for more is over.
    pub(crate) fn is_leaving(&self) -> bool {
        self.is_leaving.get()
    }

    async fn stop(&self) -> Result<(), String> {
        if let Some(owner) = self.owner.get() {
            owner.resign();
            owner.store().close().await.map_err(|error| error.to_string())?;
        }
        self.stopped.set(true);
        Ok(())
    }

    pub(crate) async fn stopped(&self) {
        self.stopped.wait_for(|stopped| stopped.then_some(())).await;
    }

    // ---- Logs change their journal at a start.

    fn store_of(&self, journal: u32) -> Option<Rc<Store>> {
        if journal == u32::from(self.id.0) {
            return Some(self.owner().store().clone());
        }
        self.foreign.borrow().get(&journal).cloned()
    }

    fn log_of(
        &self,
        journal: u32,
        partition: TopicPartition,
    ) -> Result<(Rc<Store>, Rc<Log>), String> {
        let store = self.store_of(journal).ok_or("there is no such journal")?;
        let log = store.log(partition).ok_or("there is no such log")?;
        Ok((store, log))
    }

    async fn export(&self, journal: u32, partition: TopicPartition) -> CoreAnswer {
        let exported = match self.log_of(journal, partition) {
            Ok((store, log)) => store.export(&log).await.map_err(|error| error.to_string()),
            Err(text) => Err(text),
        };
        CoreAnswer::Exported(exported.map(Box::new))
    }

    async fn adopt(&self, log: RecoveredLog) -> CoreAnswer {
        CoreAnswer::of(self.owner().store().adopt(log, DEFAULT_LOG).await.map(drop))
    }

    async fn leave(&self, journal: u32, partition: TopicPartition) -> CoreAnswer {
        match self.log_of(journal, partition) {
            Ok((store, log)) => CoreAnswer::of(store.leave(&log).await),
            Err(text) => CoreAnswer::Failed(text),
        }
    }

    async fn retire(&self, journal: u32) -> CoreAnswer {
        let Some(store) = self.foreign.borrow_mut().remove(&journal) else {
            return CoreAnswer::Failed(format!("journal {journal} is not a foreign one"));
        };
        CoreAnswer::of(store.retire().await)
    }
}
