//! The whole broker, from its directory's lock to its last flush.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;

use coordinator::TopicLimits;
use model::TopicPartition;
use runtime::{
    CoreId, DirectoryLock, File, LockError, MeshPort, Neighbours, OpenOptions, RingError,
    Termination, Threads,
};
use storage::{DirectoryId, FlushMethod, FoundJournals, StartError, StoreOptions};

use crate::boot::{self, BootPlan};
use crate::call::{CoreAnswer, CoreRequest, PartitionSpec};
use crate::config::{Config, Cores, HostPort};
use crate::controller::{Controller, Settings};
use crate::core::{Core, CoreMesh};
use crate::disk;
use crate::image::ClusterImage;
use crate::metrics;

/// Calls that may be under way between two cores, each way.
const CALLS_MAX: usize = 1024;

/// Why the broker has not started, or has ended before it was told to.
#[derive(Debug, thiserror::Error)]
pub enum BrokerError {
    #[error("cannot make the data directory {path}: {source}; choose another with --data-dir")]
    Directory { path: PathBuf, source: io::Error },
    #[error(transparent)]
    Lock(#[from] LockError),
    #[error(transparent)]
    Ring(#[from] RingError),
    #[error(
        "the file system of {path} does not take direct I/O (O_DIRECT); choose a directory on \
         another, such as ext4 or xfs, with --data-dir, or say direct = false under [journal] in \
         the configuration"
    )]
    NotDirect { path: PathBuf },
    #[error("cannot write to the data directory {path}: {source}")]
    NotWritable { path: PathBuf, source: io::Error },
    #[error(
        "cannot listen on {address}: {source}; stop the program that has the port, or choose \
         another with --listen"
    )]
    Port { address: SocketAddr, source: io::Error },
    #[error(
        "cannot listen on {address} for metrics: {source}; stop the program that has the port, or \
         choose another with --metrics"
    )]
    MetricsPort { address: SocketAddr, source: io::Error },
    #[error(transparent)]
    Start(#[from] StartError),
    #[error("cannot read {what}: {source}")]
    Host { what: &'static str, source: io::Error },
    #[error("{0}")]
    Failed(String),
}

/// What can be found out before there are cores, and is needed to start them.
#[derive(Debug)]
pub struct Prepared {
    setup: Setup,
}

/// What all cores are started with.
#[derive(Clone, Debug)]
struct Setup {
    config: Arc<Config>,
    address: SocketAddr,
    advertised: HostPort,
    cores_count: u16,
    options: StoreOptions,
    directory_id: DirectoryId,
    found: FoundJournals,
    /// Of the whole process, if that is known.
    descriptors_max: Option<u64>,
}

/// What a core does from its start to its end, and what it says if that was not in good order.
pub type CoreMain = Pin<Box<dyn Future<Output = Result<(), String>>>>;

/// Runs the broker on this machine until it is told to end. `on_ready` hears where clients can
/// connect.
pub fn run(
    config: Config,
    termination: Termination,
    on_ready: impl FnOnce(&HostPort) + Send + 'static,
) -> Result<(), BrokerError> {
    // A file for each active log and a socket for each client.
    let descriptors_max = match runtime::host::raise_open_files_limit() {
        Ok(limit) => {
            tracing::info!(limit, "files and sockets that may be open");
            Some(limit)
        }
        Err(error) => {
            tracing::warn!(%error, "the limit of open files stays (ulimit -n)");
            None
        }
    };
    let config = Arc::new(config);
    let processors = match &config.cores {
        Cores::On(processors) => processors.clone(),
        Cores::All | Cores::Count(_) => runtime::host::processors(),
    };
    let cores_count = match &config.cores {
        Cores::Count(count) => *count,
        Cores::All | Cores::On(_) => {
            u16::try_from(processors.len()).expect("Linux has fewer processors")
        }
    };
    let boot_id = runtime::host::boot_id()
        .map_err(|source| BrokerError::Host { what: "the id of this boot", source })?;
    let of_directory = config.clone();
    runtime::block_on(async move { make_directory(&of_directory).await })??;
    let lock = DirectoryLock::acquire(&config.data_dir, |pid| {
        tracing::warn!(pid, "waiting until the last writes of a killed broker have landed");
    })?;
    let preparing = prepare(config, cores_count, boot_id);
    let mut prepared = runtime::block_on(preparing)??;
    prepared.setup.descriptors_max = descriptors_max;
    if let Some(descriptors_max) = descriptors_max {
        let setup = &mut prepared.setup;
        setup.options.open_segments_max = open_segments_max(descriptors_max, setup.cores_count);
    }
    let until = move || async move { termination.requested().await };
    let (neighbours, mains) = prepared.into_cores(until, on_ready);
    let results = Threads { neighbours, processors, lock: Some(&lock) }.run(mains)?;
    match results.into_iter().find_map(Result::err) {
        Some(text) => Err(BrokerError::Failed(text)),
        None => Ok(()),
    }
}

/// Makes the data directory, if it is not there.
pub async fn make_directory(config: &Config) -> Result<(), BrokerError> {
    let made = runtime::create_dir_durably(&config.data_dir).await;
    made.map_err(|source| BrokerError::Directory { path: config.data_dir.clone(), source })
}

/// Looks at the data directory, which is this process's alone, and at the ports. `boot_id` is
/// another one after each start of the machine.
pub async fn prepare(
    config: Arc<Config>,
    cores_count: u16,
    boot_id: [u8; 16],
) -> Result<Prepared, BrokerError> {
    check_directory(&config).await?;
    let address = runtime::claim_port(config.listen)
        .await
        .map_err(|source| BrokerError::Port { address: config.listen, source })?;
    if let Some(address) = config.metrics {
        // Found out now rather than when everything else has started.
        let claimed = runtime::claim_port(address).await;
        claimed.map_err(|source| BrokerError::MetricsPort { address, source })?;
    }
    let found = storage::find_journals(&config.data_dir).await?;
    let new_id = || runtime::with_rng(runtime::Rng::next_u128).to_le_bytes();
    let setup = Setup {
        advertised: advertised(&config, address),
        options: store_options(&config, cores_count, boot_id),
        directory_id: found.directory_id.unwrap_or_else(new_id),
        config,
        address,
        cores_count,
        found,
        descriptors_max: None,
    };
    Ok(Prepared { setup })
}

impl Prepared {
    /// The cores, each to be started with what it does. The broker ends when `until` does, which
    /// names the reason; `on_ready` hears where clients can connect.
    pub fn into_cores<Until, Asked>(
        self,
        until: Until,
        on_ready: impl FnOnce(&HostPort) + 'static,
    ) -> (Neighbours, Vec<impl FnOnce() -> CoreMain>)
    where
        Until: FnOnce() -> Asked + 'static,
        Asked: Future<Output = io::Result<&'static str>> + 'static,
    {
        let Prepared { setup } = self;
        let neighbours = Neighbours::new(setup.cores_count);
        let ports = runtime::mesh::<CoreRequest, CoreAnswer>(&neighbours, CALLS_MAX);
        let mut leading = Some((until, on_ready));
        let mains = (0..setup.cores_count).zip(ports).map(|(number, port)| {
            let setup = setup.clone();
            let leading = leading.take();
            move || -> CoreMain { Box::pin(run_core(CoreId(number), setup, port, leading)) }
        });
        let mains = mains.collect();
        (neighbours, mains)
    }
}

/// Whether files can be written here in the way that the journal does it.
async fn check_directory(config: &Config) -> Result<(), BrokerError> {
    let path = config.data_dir.join("probe");
    let probe = |direct| {
        let path = path.clone();
        async move { File::open(&path, OpenOptions::CREATE.direct(direct)).await }
    };
    let not_writable = |source| BrokerError::NotWritable { path: config.data_dir.clone(), source };
    drop(probe(false).await.map_err(not_writable)?);
    let direct = match config.journal.is_direct {
        true => probe(true).await.map(drop),
        false => Ok(()),
    };
    runtime::remove_file(&path).await.map_err(not_writable)?;
    match direct {
        Err(error) if error.kind() == io::ErrorKind::InvalidInput => {
            Err(BrokerError::NotDirect { path: config.data_dir.clone() })
        }
        other => other.map_err(not_writable),
    }
}

fn advertised(config: &Config, address: SocketAddr) -> HostPort {
    config.advertise.clone().unwrap_or_else(|| {
        let host = match address {
            SocketAddr::V4(address) => address.ip().to_string(),
            SocketAddr::V6(address) => address.ip().to_string(),
        };
        HostPort { host, port: address.port() }
    })
}

fn store_options(config: &Config, cores_count: u16, boot_id: [u8; 16]) -> StoreOptions {
    StoreOptions {
        data_dir: config.data_dir.clone(),
        boot_id,
        cores_count,
        is_direct: config.journal.is_direct,
        flush_method: match config.journal.flushes_apart {
            true => FlushMethod::WriteThenFlush,
            false => FlushMethod::WriteDurably,
        },
        journal_file_bytes: config.journal.file_bytes,
        journal_files_count: config.journal.files_count,
        checkpoint_interval: config.journal.checkpoint_interval,
        applied_interval: APPLIED_INTERVAL,
        tail_bytes_max: config.memory.tail_bytes,
        open_segments_max: OPEN_SEGMENTS_MAX,
        compaction_bytes_max: config.memory.compaction_bytes,
        background_bytes_per_second: config.upkeep.compaction_bytes_per_second,
    }
}

/// Where it is not known how many descriptors there are.
const OPEN_SEGMENTS_MAX: usize = 1024;

/// Of so many descriptors of the process, a quarter is for segments, each of which has three at most.
fn open_segments_max(descriptors_max: u64, cores_count: u16) -> usize {
    const MIN: u64 = 8;
    let segments_max = descriptors_max / 4 / 3 / u64::from(cores_count);
    usize::try_from(segments_max.max(MIN)).unwrap_or(usize::MAX)
}

/// Entries of 80 bytes each that a restart may have to read of a log for its producers.
const APPLIED_INTERVAL: u64 = 65_536;

/// One core from its start to its end. Core 0 leads the start, and hears when the broker is to end.
async fn run_core<Asked: Future<Output = io::Result<&'static str>>>(
    id: CoreId,
    setup: Setup,
    port: MeshPort<CoreRequest, CoreAnswer>,
    leading: Option<(impl FnOnce() -> Asked, impl FnOnce(&HostPort))>,
) -> Result<(), String> {
    let Setup { config, address, advertised, cores_count, .. } = setup.clone();
    let image = ClusterImage::empty(config.broker_id, advertised.clone());
    let core = Core::new(id, cores_count, config, address, image.clone());
    if let Some(descriptors_max) = setup.descriptors_max {
        core.set_descriptors_max(descriptors_max);
    }
    core.gathering.set_before(setup.found.cores_count);
    let mesh = port.serve({
        let core = Rc::downgrade(&core);
        move |_from, request, reply| {
            if let Some(core) = core.upgrade() {
                core.answer(request, reply);
            }
        }
    });
    core.set_mesh(mesh.clone());
    let plan = start_stores(&core, &setup).await?;
    end_with_journal(&core);
    runtime::spawn(core.clone().expire_producers());
    runtime::spawn(core.owner().clone().run_retention());
    runtime::spawn(core.owner().clone().run_compaction());
    runtime::spawn(core.owner().clone().run_scrubs());
    runtime::spawn(core.clone().expire_committed_offsets());
    let mut outcome = Ok(());
    if let Some((until, on_ready)) = leading {
        outcome = lead(&core, mesh, &plan, image).await;
        if outcome.is_ok() {
            on_ready(&advertised);
            outcome = match until().await {
                Ok(reason) => {
                    tracing::info!(reason, "the broker ends");
                    Ok(())
                }
                Err(error) => Err(error.to_string()),
            };
        }
        if let Some(controller) = core.controller_if_any() {
            // No partition may come or go while journals are closed.
            controller.close().await;
        }
        for request in [|| CoreRequest::Farewell, || CoreRequest::Stop] {
            let calls: Vec<_> = (0..cores_count)
                .map(|number| core.mesh().call(CoreId(number), request()))
                .collect();
            for call in calls {
                let stopped =
                    call.await.map_err(|error| error.to_string()).and_then(CoreAnswer::done);
                outcome = outcome.and(stopped);
            }
        }
    }
    core.stopped().await;
    outcome
}

async fn start_stores(core: &Rc<Core>, setup: &Setup) -> Result<Arc<BootPlan>, String> {
    let Setup { cores_count, options, directory_id, found, .. } = setup;
    let journals = boot::read_journals(core.id, *cores_count, options, *directory_id, found).await;
    let recovered = match &journals {
        Ok(journals) => Ok(boot::found_logs(journals)),
        Err(error) => Err(error.to_string()),
    };
    if let Ok(found) = &recovered {
        for damage in &found.corruptions {
            let (journal, path, what) = (damage.journal, damage.path.display(), &damage.what);
            tracing::error!(journal, %path, what, "a journal is damaged and only read");
        }
    }
    let plan = match core.call_controller(CoreRequest::Recovered(recovered)).await {
        CoreAnswer::Plan(plan) => plan,
        other => return other.done().map(|()| Arc::default()),
    };
    let journals = journals.map_err(|error| error.to_string())?;
    let started = boot::start_stores(core, journals, options, &plan).await;
    let started = started.map_err(|error| error.to_string());
    core.call_controller(CoreRequest::Started(started)).await.done()?;
    Ok(plan)
}

/// A broker whose journal has stopped does not go on: nobody knows what the disk holds.
fn end_with_journal(core: &Rc<Core>) {
    let store = core.owner().store().clone();
    runtime::spawn(async move {
        let stopped = store.stopped().await;
        let text = format!(
            "{stopped}; nothing that was acknowledged is lost, but nobody knows what else the disk \
             holds: look at the disk, then start the broker again"
        );
        runtime::end_process(&text).await;
    });
}

/// Brings the broker into service, once every core has its store.
async fn lead(
    core: &Rc<Core>,
    mesh: Rc<CoreMesh>,
    plan: &BootPlan,
    image: ClusterImage,
) -> Result<(), String> {
    boot::carry_out(core, plan).await?;
    let config = &core.config;
    let partition = TopicPartition::CLUSTER_METADATA;
    let opened = core.owner().open(vec![PartitionSpec::of_metadata()]).await;
    if let Some(Err(failure)) = opened.into_iter().next() {
        return Err(format!("the cluster's metadata cannot be opened: {}", failure.message));
    }
    let replica = core.owner().replica(partition).map_err(|failure| failure.message.to_string())?;
    let limits = TopicLimits {
        broker: config.broker_id,
        partitions_default: config.topics.partitions,
        partitions_max: config.topics.partitions_max,
        message_bytes_max: core.owner().batch_bytes_max(),
    };
    let checkpoint_interval = config.journal.checkpoint_interval;
    let settings = Settings {
        cores_count: core.cores_count,
        limits,
        checkpoint_interval_ms: i64::try_from(checkpoint_interval.as_millis()).unwrap_or(i64::MAX),
        file_configs: config.topic_configs.clone(),
    };
    let controller = Controller::open(replica, mesh, settings, image)
        .await
        .map_err(|error| error.to_string())?;
    core.set_controller(controller.clone());
    controller.open_all(&plan.owners(), plan.is_complete()).await;
    if plan.is_complete() {
        runtime::spawn(controller.clone().reopen());
    }
    // Before the first client comes: the disk may be full already.
    disk::begin(core).await;
    for number in 0..core.cores_count {
        let listening = core.call(CoreId(number), CoreRequest::Listen).await.done();
        listening.map_err(|text| format!("cannot listen on {}: {text}", core.address))?;
    }
    if let Some(address) = config.metrics {
        metrics::serve(core.clone(), address)
            .await
            .map_err(|source| BrokerError::MetricsPort { address, source }.to_string())?;
    }
    tracing::info!(topics = controller.topics_count(), "the broker serves");
    Ok(())
}
