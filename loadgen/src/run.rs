//! A run from its settings to its outcome, and the small things around one: topics made and
//! deleted, and the time that an empty question takes.
//!
//! Everything here blocks the calling thread until it is done, so that a caller needs no runtime.
//!
//! Guarantees: topics that were made for a run are deleted when it is over, also when it failed.

use std::net::{SocketAddr, ToSocketAddrs};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use client::{Cluster, ClusterError, ClusterOptions, Host};
use runtime::{Neighbours, RingError, Threads, now};
use wire::ApiVersionsRequest;

pub use client::NewTopic;

use crate::live::Live;
use crate::measure::{Histogram, histogram};
use crate::outcome::{Outcome, ReaderOutcome, WorkerCpu};
use crate::plan::{Plan, Shape, Share};
use crate::saturation;
use crate::schedule::Offer;
use crate::settings::{Load, Settings, SettingsError};
use crate::units::{Span, nanos};
use crate::worker::{self, StartGate, WorkerInput, WorkerOutput, cluster_options};

/// For how long a topic that is said to exist may be unknown.
const TOPIC_WAIT_MAX: Duration = Duration::from_secs(2);

/// Why there is no outcome.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    #[error(transparent)]
    Settings(#[from] SettingsError),
    #[error(transparent)]
    Ring(#[from] RingError),
    #[error(transparent)]
    Cluster(#[from] ClusterError),
    #[error("cannot choose a number for the run: {0}")]
    Random(std::io::Error),
    #[error("cannot open as many files and sockets as the limits of this process allow: {0}")]
    OpenFiles(std::io::Error),
    #[error("the broker answers nothing within {waited_ms} ms")]
    NoAnswer { waited_ms: u128 },
    #[error(
        "the broker took nothing in {measured}, so that there is nothing of which the base could \
         be a share: name it, for example --base 2000/s"
    )]
    NothingTaken { measured: Span },
}

/// Runs a load and verifies what became of it.
pub fn run(settings: &Settings) -> Result<Outcome, RunError> {
    run_watched(settings, &Arc::new(Live::new()))
}

/// The same, to be looked at while it runs.
pub fn run_watched(settings: &Settings, live: &Arc<Live>) -> Result<Outcome, RunError> {
    let outcome = prepare_and_run(settings, live);
    live.note_end();
    outcome
}

fn prepare_and_run(settings: &Settings, live: &Arc<Live>) -> Result<Outcome, RunError> {
    settings.check()?;
    if let Some(measured) = saturation::measure(settings)? {
        return prepare_and_run(&measured.settings, live);
    }
    let hosts = settings.hosts()?;
    let run = random_number()?;
    let (topics, partitions_per_topic) = match &settings.topics.existing {
        Some(name) => {
            let name = name.clone();
            let partitions = count_partitions(hosts.clone(), name.clone())?;
            (vec![name], u32::try_from(partitions).unwrap_or(u32::MAX))
        }
        None => (make_topics(settings, hosts.clone(), run)?, settings.topics.partitions),
    };
    let outcome = run_on(settings, run, &topics, partitions_per_topic, live);
    if settings.topics.existing.is_none() && !settings.topics.keep {
        let deleted = on_cluster(hosts, async move |cluster| {
            for topic in &topics {
                cluster.delete_topic(topic).await?;
            }
            Ok(())
        });
        // A run that failed has more to say than that its topics are still there.
        return outcome.and_then(|outcome| deleted.map(|()| outcome));
    }
    outcome
}

/// By which what a run makes is told from what others make.
pub(crate) fn random_number() -> Result<u32, RunError> {
    let seed = runtime::host::random_seed().map_err(RunError::Random)?;
    #[expect(clippy::cast_possible_truncation, reason = "any bits will do")]
    Ok(seed as u32)
}

/// The kernel may otherwise wake this thread 50 µs late, to save itself a wakeup.
pub(crate) fn wake_in_time() {
    let _ = nix::sys::prctl::set_timerslack(1);
}

/// Of a topic that is said to exist: a name that is wrong is not waited for as long as a leader.
fn count_partitions(hosts: Vec<Host>, topic: String) -> Result<usize, RunError> {
    let counted = runtime::block_on(async move {
        let options = ClusterOptions { retry_for: TOPIC_WAIT_MAX, ..cluster_options() };
        let cluster = Cluster::connect(hosts, options).await?;
        Ok::<usize, ClusterError>(cluster.topic(&topic).await?.partitions.len())
    })?;
    Ok(counted?)
}

fn make_topics(settings: &Settings, hosts: Vec<Host>, run: u32) -> Result<Vec<String>, RunError> {
    let topics = &settings.topics;
    let names: Vec<String> =
        (0..topics.count).map(|number| format!("loadgen-{run:08x}-{number}")).collect();
    let new_topics: Vec<NewTopic> = names
        .iter()
        .map(|name| NewTopic {
            name: name.clone(),
            partitions_count: i32::try_from(topics.partitions).unwrap_or(i32::MAX),
            replication_factor: topics.replication_factor,
            configs: topics.configs.clone().into_iter().collect(),
        })
        .collect();
    on_cluster(hosts, async move |cluster| {
        for topic in &new_topics {
            cluster.create_topic(topic).await?;
        }
        Ok(())
    })?;
    Ok(names)
}

fn run_on(
    settings: &Settings,
    run: u32,
    topics: &[String],
    partitions_per_topic: u32,
    live: &Arc<Live>,
) -> Result<Outcome, RunError> {
    let workers_count = settings.processors.len().max(1);
    let share = |worker: usize| Share {
        worker: u32::try_from(worker).expect("settings limit it"),
        workers_count: u32::try_from(workers_count).expect("settings limit it"),
    };
    let partitions_count =
        u32::try_from(topics.len()).expect("settings limit it") * partitions_per_topic;
    let times_ns = schedule(settings)?;
    let shape = shape(settings, partitions_count);
    let gate = Arc::new(StartGate::new(workers_count));
    let settings = Arc::new(settings.clone());
    let mains = (0..workers_count).map(|worker| {
        let plan = times_ns.as_ref().map(|(times_ns, linger)| {
            let shape = Shape { linger: *linger, ..shape.clone() };
            Plan::new(times_ns, &shape, share(worker))
        });
        let input = WorkerInput {
            settings: settings.clone(),
            topics: topics.to_vec(),
            partitions_per_topic,
            share: share(worker),
            run,
            plan,
            gate: gate.clone(),
            live: live.clone(),
        };
        move || {
            wake_in_time();
            worker::run(input)
        }
    });
    let began_at = SystemTime::now();
    let threads = Threads {
        neighbours: Neighbours::new(u16::try_from(workers_count).expect("settings limit it")),
        processors: settings.processors.clone(),
        lock: None,
    };
    let outputs = threads.run(mains.collect())?;
    let outputs = outputs.into_iter().collect::<Result<Vec<WorkerOutput>, ClusterError>>()?;
    Ok(merge((*settings).clone(), run, topics.to_vec(), began_at, outputs))
}

/// The intended times and how long records linger, of an open loop.
fn schedule(settings: &Settings) -> Result<Option<(Vec<u64>, Duration)>, SettingsError> {
    let Load::Open(open) = &settings.load else { return Ok(None) };
    let offer = Offer {
        profile: &open.profile,
        base_per_s: open.base_per_s(),
        duration: open.duration.0,
        warm_up: open.warm_up.0,
        arrivals: open.arrivals,
        seed: settings.seed,
    };
    Ok(Some((offer.schedule()?, open.linger.0)))
}

fn shape(settings: &Settings, partitions_count: u32) -> Shape {
    Shape {
        keys_count: settings.records.keys,
        key_distribution: settings.records.key_distribution,
        hot_key: settings.records.hot_key,
        partitions_count,
        lanes_count: settings.connections,
        linger: Duration::ZERO,
        sizes: settings.records.size.clone(),
        limits: settings.batch_limits(),
        seed: settings.seed,
    }
}

fn merge(
    settings: Settings,
    run: u32,
    topics: Vec<String>,
    began_at: SystemTime,
    outputs: Vec<WorkerOutput>,
) -> Outcome {
    let cpu = outputs.iter().map(|output| WorkerCpu::of(&output.measurements, &settings)).collect();
    let mut outputs = outputs.into_iter();
    let mut sum = outputs.next().expect("a run has a worker");
    for output in outputs {
        sum.counts = sum.counts.plus(output.counts);
        sum.measurements.merge(&output.measurements);
        for (note, count) in output.notes {
            *sum.notes.entry(note).or_default() += count;
        }
        sum.finished = sum.finished.max(output.finished);
        for (sum, part) in sum.readers.iter_mut().zip(&output.readers) {
            sum.0 = sum.0.plus(part.0);
            sum.1.merge(&part.1);
        }
        let (time, records) = sum.read_back;
        sum.read_back = (time.max(output.read_back.0), records + output.read_back.1);
    }
    let each = settings.readers.iter().flat_map(|it| it.each());
    let readers = each.zip(sum.readers).map(|(settings, (counts, measurements))| ReaderOutcome {
        settings,
        counts,
        measurements,
    });
    let readers = readers.collect();
    Outcome {
        run,
        topics,
        began_at,
        start_ns: sum.start.as_nanos(),
        finished_ns: sum.finished.as_nanos(),
        counts: sum.counts,
        measurements: sum.measurements,
        notes: sum.notes,
        read_back: sum.read_back,
        readers,
        cpu,
        settings,
    }
}

/// Makes a topic and waits until all its partitions are led.
pub fn create_topic(bootstrap: &str, topic: NewTopic) -> Result<(), RunError> {
    let hosts = vec![bootstrap.parse().map_err(SettingsError::from)?];
    on_cluster(hosts, async move |cluster| cluster.create_topic(&topic).await.map(drop))
}

pub fn delete_topic(bootstrap: &str, name: &str) -> Result<(), RunError> {
    let hosts = vec![bootstrap.parse().map_err(SettingsError::from)?];
    let name = name.to_owned();
    on_cluster(hosts, async move |cluster| cluster.delete_topic(&name).await)
}

/// Asks a broker which versions it speaks, again and again, one question at a time. What comes out
/// is the floor under every latency: the kernel, the network, and a broker that does nothing.
pub fn ping(
    bootstrap: &str,
    duration: Duration,
    processor: Option<usize>,
) -> Result<Histogram, RunError> {
    let hosts: Vec<Host> = vec![bootstrap.parse().map_err(SettingsError::from)?];
    let main = move || async move {
        let cluster = Cluster::connect(hosts, cluster_options()).await?;
        let connection = cluster.any_connection().await?;
        let question = ApiVersionsRequest {
            client_software_name: "loadgen".into(),
            client_software_version: "1".into(),
        };
        let mut times = histogram();
        let end = now() + duration;
        while now() < end {
            let began = now();
            connection.call(&question).await.map_err(ClusterError::from)?;
            times.record(nanos(now().since(began))).expect("it grows with its values");
        }
        Ok(times)
    };
    let threads = Threads {
        neighbours: Neighbours::new(1),
        processors: processor.into_iter().collect(),
        lock: None,
    };
    let mut results = threads.run(vec![main])?;
    results.pop().expect("one core, one result")
}

/// Does something with a cluster, on a runtime of its own.
pub(crate) fn on_cluster<T: 'static>(
    hosts: Vec<Host>,
    body: impl AsyncFnOnce(Cluster) -> Result<T, ClusterError> + 'static,
) -> Result<T, RunError> {
    let done = runtime::block_on(async move {
        let cluster = Cluster::connect(hosts, cluster_options()).await?;
        body(cluster).await
    })?;
    Ok(done?)
}

/// The system's resolver, asked for an address that can be reached by IPv4 if there is one.
pub(crate) fn resolve(host: &Host) -> Option<SocketAddr> {
    let addresses: Vec<SocketAddr> =
        (host.name.as_str(), host.port).to_socket_addrs().ok()?.collect();
    addresses.iter().find(|address| address.is_ipv4()).or(addresses.first()).copied()
}
