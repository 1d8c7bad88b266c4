//! What the broker is told: a TOML file, then the command line, over defaults.
//!
//! Guarantees: a key or value that is wrong stops the start, with the file, the line and what is
//! allowed. Does not know: what the values are for.

mod raw;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::time::Duration;

use coordinator::BrokerConfigs;
use coordinator::group::GroupsSettings;
use model::BrokerId;

use raw::{
    RawCompaction, RawConfig, RawConnections, RawDisk, RawFetchSessions, RawGroups, RawJournal,
    RawMemory, RawRetention, RawScrub, Spanned,
};

/// Everything that the broker is told, checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    pub broker_id: BrokerId,
    pub data_dir: PathBuf,
    /// Port 0 lets the kernel choose.
    pub listen: SocketAddr,
    /// What clients are told to connect to, if not the address that is listened on.
    pub advertise: Option<HostPort>,
    pub cores: Cores,
    pub metrics: Option<SocketAddr>,
    /// Listen on an address that others can reach, although nobody has to say who they are.
    pub is_insecure: bool,
    pub log: String,
    pub topics: TopicDefaults,
    pub connections: ConnectionLimits,
    pub fetch_sessions: SessionLimits,
    pub memory: MemoryLimits,
    pub journal: JournalConfig,
    /// How long a producer is remembered that does not write.
    pub producer_expiration: Duration,
    pub upkeep: Upkeep,
    pub disk: DiskConfig,
    pub groups: GroupsConfig,
    /// What topics have that say nothing themselves.
    pub topic_configs: BrokerConfigs,
}

/// How topics are made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TopicDefaults {
    /// A topic that a client asks for and that does not exist is created.
    pub auto_create: bool,
    /// Partitions of a topic where nobody says how many.
    pub partitions: i32,
    /// Of all topics together.
    pub partitions_max: i64,
}

/// What one client may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConnectionLimits {
    /// On each core.
    pub count_max: usize,
    /// A connection that is silent for so long is closed.
    pub idle: Duration,
    pub request_bytes_max: usize,
    /// Requests of a connection that are read before the first of them is answered.
    pub requests_max: usize,
    /// Bytes of them. A larger request waits until it is alone.
    pub unanswered_bytes_max: usize,
    /// The most that a fetch answers with, beyond one batch.
    pub fetch_bytes_max: usize,
    /// The most that may come out of one compressed batch.
    pub decompressed_bytes_max: usize,
}

/// Fetch sessions of one core.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SessionLimits {
    pub count_max: usize,
    /// Of all sessions together.
    pub partitions_max: usize,
    /// A session that is not used for so long makes room for any other, and one that is so old for
    /// larger ones.
    pub eviction: Duration,
}

/// Memory of one core.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MemoryLimits {
    /// Newest bytes of partitions, kept for consumers.
    pub tail_bytes: usize,
    /// Requests that are not answered yet.
    pub request_bytes: usize,
    /// Answers to fetches that are not sent yet.
    pub fetch_bytes: usize,
    /// Keys of the log that is being compacted.
    pub compaction_bytes: usize,
}

/// How often, and how fast.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Upkeep {
    /// For records that are too old or too many.
    pub retention: Duration,
    /// For logs to compact.
    pub compaction: Duration,
    /// What the compaction of one core may read and write; none for any number.
    pub compaction_bytes_per_second: Option<u64>,
    /// At everything that is on the disk.
    pub scrub: Duration,
    /// What each core reads for that.
    pub scrub_bytes_per_second: u64,
}

/// The journal of one core.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct JournalConfig {
    pub file_bytes: u64,
    pub files_count: u32,
    pub checkpoint_interval: Duration,
    /// Write around the page cache.
    pub is_direct: bool,
    /// Write, then flush, instead of writes that are durable themselves.
    pub flushes_apart: bool,
}

/// Groups of consumers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GroupsConfig {
    /// Of `__consumer_offsets`, when the broker makes it.
    pub partitions: i32,
    /// Between two looks for offsets that have been kept long enough.
    pub expiry_interval: Duration,
    pub of_all: GroupsSettings,
}

/// With how little room on the disk something is done about it. What is not said is a share of the disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DiskConfig {
    /// Producers are slowed.
    pub slow_below_bytes: Option<u64>,
    /// Producers are refused.
    pub refuse_below_bytes: Option<u64>,
}

/// Which cores the broker has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Cores {
    /// One for each processor this process may use.
    All,
    /// So many; the processors repeat if there are fewer.
    Count(u16),
    /// One on each of these processors.
    On(Vec<usize>),
}

/// A host's name or address, and a port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostPort {
    pub host: String,
    pub port: u16,
}

/// What the command line says over the file.
#[derive(Clone, Debug, Default)]
pub struct Overrides {
    pub data_dir: Option<PathBuf>,
    pub listen: Option<String>,
    pub advertise: Option<String>,
    pub cores: Option<String>,
    pub metrics: Option<String>,
    pub is_insecure: bool,
}

/// Why the broker does not start with what it is told.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    #[error("cannot read {path}: {source}")]
    Read { path: PathBuf, source: std::io::Error },
    #[error("{path}:{line}: {message}")]
    File { path: PathBuf, line: usize, message: String },
    #[error("{flag} {value}: {allowed}")]
    Flag { flag: &'static str, value: String, allowed: String },
    #[error(
        "--listen {listen}: others can reach this address, and clients do not have to say who they \
         are yet; listen on 127.0.0.1, or add --insecure if the network is yours alone"
    )]
    Insecure { listen: SocketAddr },
    #[error(
        "--listen {listen}: clients cannot connect to this address; say --advertise HOST:PORT as \
         they reach this host"
    )]
    NotAdvertised { listen: SocketAddr },
}

/// Where a value was written, for the complaint about it.
struct Source<'a> {
    path: &'a Path,
    text: &'a str,
}

impl Source<'_> {
    fn wrong<T>(
        &self,
        key: &str,
        value: &Spanned<T>,
        shown: &dyn std::fmt::Display,
        allowed: &str,
    ) -> ConfigError {
        let line = 1 + self.text[..value.span().start].matches('\n').count();
        let message = format!("{key} = {shown}: {allowed}");
        ConfigError::File { path: self.path.to_owned(), line, message }
    }

    /// The number, if it is in the range; the default, if there is none.
    fn number(
        &self,
        key: &str,
        value: Option<Spanned<i64>>,
        default: i64,
        allowed: RangeInclusive<i64>,
    ) -> Result<i64, ConfigError> {
        assert!(allowed.contains(&default), "{key} has a default that is allowed");
        let Some(value) = value else { return Ok(default) };
        let number = *value.get_ref();
        if allowed.contains(&number) {
            return Ok(number);
        }
        let (low, high) = allowed.into_inner();
        let allowed = format!("choose a number between {low} and {high}");
        Err(self.wrong(key, &value, &number, &allowed))
    }

    fn size(
        &self,
        key: &str,
        value: Option<Spanned<i64>>,
        default: i64,
        allowed: RangeInclusive<i64>,
    ) -> Result<usize, ConfigError> {
        let number = self.number(key, value, default, allowed)?;
        Ok(usize::try_from(number).expect("no range goes below zero"))
    }

    fn millis(
        &self,
        key: &str,
        value: Option<Spanned<i64>>,
        default: i64,
        allowed: RangeInclusive<i64>,
    ) -> Result<Duration, ConfigError> {
        Ok(Duration::from_millis(self.number(key, value, default, allowed)?.unsigned_abs()))
    }
}

const MIB: i64 = 1 << 20;
const GIB: i64 = 1 << 30;

impl Config {
    /// Reads the file, if there is one, and what goes over it.
    pub fn load(path: Option<&Path>, overrides: &Overrides) -> Result<Config, ConfigError> {
        let text = match path {
            Some(path) => std::fs::read_to_string(path)
                .map_err(|source| ConfigError::Read { path: path.to_owned(), source })?,
            None => String::new(),
        };
        Config::parse(path.unwrap_or(Path::new("defaults")), &text, overrides)
    }

    /// Of a file's text.
    pub fn parse(path: &Path, text: &str, overrides: &Overrides) -> Result<Config, ConfigError> {
        let raw: RawConfig = toml::from_str(text).map_err(|error| {
            let start = error.span().map_or(0, |span| span.start);
            let line = 1 + text[..start].matches('\n').count();
            ConfigError::File { path: path.to_owned(), line, message: error.message().to_owned() }
        })?;
        let source = Source { path, text };
        let RawConfig {
            broker,
            topics,
            connections,
            fetch_sessions,
            memory,
            journal,
            producers,
            retention,
            compaction,
            scrub,
            disk,
            groups,
            topic_configs: of_topics,
        } = raw;
        let listen = address(&source, "--listen", &overrides.listen, "listen", broker.listen)?
            .unwrap_or(SocketAddr::from(([127, 0, 0, 1], 9092)));
        let metrics = address(&source, "--metrics", &overrides.metrics, "metrics", broker.metrics)?;
        let advertise = host_port(&source, &overrides.advertise, broker.advertise)?;
        let is_insecure = overrides.is_insecure || broker.insecure.unwrap_or(false);
        if !listen.ip().is_loopback() && !is_insecure {
            return Err(ConfigError::Insecure { listen });
        }
        if listen.ip().is_unspecified() && advertise.is_none() {
            return Err(ConfigError::NotAdvertised { listen });
        }
        let file_data_dir = broker.data_dir.map(PathBuf::from);
        let data_dir = overrides.data_dir.clone().or(file_data_dir);
        let i32_max = i64::from(i32::MAX);
        let broker_id = source.number("id", broker.id, 1, 0..=i32_max)?;
        let partitions = source.number("partitions", topics.partitions, 1, 1..=100_000)?;
        Ok(Config {
            broker_id: BrokerId(narrow(broker_id)),
            data_dir: data_dir.unwrap_or_else(|| PathBuf::from("highwater-data")),
            listen,
            advertise,
            cores: cores(&source, &overrides.cores, broker.cores)?,
            metrics,
            is_insecure,
            log: broker.log.unwrap_or_else(|| "warn".to_owned()),
            topics: TopicDefaults {
                auto_create: topics.auto_create.unwrap_or(true),
                partitions: narrow(partitions),
                partitions_max: source.number(
                    "partitions-max",
                    topics.partitions_max,
                    20_000,
                    1..=1_000_000,
                )?,
            },
            connections: connection_limits(&source, connections)?,
            fetch_sessions: session_limits(&source, fetch_sessions)?,
            memory: memory_limits(&source, memory)?,
            journal: journal_config(&source, journal)?,
            producer_expiration: source.millis(
                "expiration-ms",
                producers.expiration_ms,
                86_400_000,
                1000..=i64::MAX / 2,
            )?,
            upkeep: upkeep(&source, retention, compaction, scrub)?,
            disk: disk_config(&source, disk)?,
            groups: groups_config(&source, groups)?,
            topic_configs: topic_configs(&source, of_topics)?,
        })
    }
}

fn upkeep(
    source: &Source<'_>,
    retention: RawRetention,
    compaction: RawCompaction,
    scrub: RawScrub,
) -> Result<Upkeep, ConfigError> {
    let interval =
        |value, default| source.millis("check-interval-ms", value, default, 100..=86_400_000);
    Ok(Upkeep {
        retention: interval(retention.check_interval_ms, 300_000)?,
        compaction: interval(compaction.check_interval_ms, 15_000)?,
        compaction_bytes_per_second: compaction
            .bytes_per_second
            .map(|value| source.number("bytes-per-second", Some(value), MIB, MIB..=1 << 40))
            .transpose()?
            .map(i64::unsigned_abs),
        scrub: source.millis("interval-ms", scrub.interval_ms, 604_800_000, 100..=i64::MAX / 2)?,
        scrub_bytes_per_second: source
            .number("bytes-per-second", scrub.bytes_per_second, 8 * MIB, 4096..=1 << 40)?
            .unsigned_abs(),
    })
}

/// Strings, numbers and booleans, as Kafka's names have them.
fn topic_configs(
    source: &Source<'_>,
    raw: BTreeMap<String, Spanned<toml::Value>>,
) -> Result<BrokerConfigs, ConfigError> {
    let mut given = Vec::with_capacity(raw.len());
    for (name, value) in &raw {
        let text = match value.get_ref() {
            toml::Value::String(text) => text.clone(),
            toml::Value::Integer(number) => number.to_string(),
            toml::Value::Float(number) => number.to_string(),
            toml::Value::Boolean(is_so) => is_so.to_string(),
            other => {
                let allowed = "write a text, a number, true or false";
                return Err(source.wrong(name, value, other, allowed));
            }
        };
        // One by one, so that the line is known.
        if let Err(error) = BrokerConfigs::from_file([(name.as_str(), text.as_str())]) {
            return Err(source.wrong(name, value, &text, &error.to_string()));
        }
        given.push((name.as_str(), text));
    }
    let given = given.iter().map(|(name, text)| (*name, text.as_str()));
    Ok(BrokerConfigs::from_file(given).expect("each was checked"))
}

fn connection_limits(
    source: &Source<'_>,
    raw: RawConnections,
) -> Result<ConnectionLimits, ConfigError> {
    let size = |key, value, default, allowed| source.size(key, value, default, allowed);
    let idle = source.millis("idle-ms", raw.idle_ms, 600_000, 1000..=i64::from(i32::MAX))?;
    let (frames, fetches, batches) = (64 << 10..=GIB, 1024..=GIB, MIB..=GIB);
    Ok(ConnectionLimits {
        count_max: size("count-max", raw.count_max, 10_000, 1..=1_000_000)?,
        idle,
        request_bytes_max: size(
            "request-bytes-max",
            raw.request_bytes_max,
            100 * MIB,
            frames.clone(),
        )?,
        requests_max: size("requests-max", raw.requests_max, 128, 1..=10_000)?,
        unanswered_bytes_max: size(
            "unanswered-bytes-max",
            raw.unanswered_bytes_max,
            64 * MIB,
            frames,
        )?,
        fetch_bytes_max: size("fetch-bytes-max", raw.fetch_bytes_max, 55 * MIB, fetches)?,
        decompressed_bytes_max: size(
            "decompressed-bytes-max",
            raw.decompressed_bytes_max,
            64 * MIB,
            batches,
        )?,
    })
}

fn memory_limits(source: &Source<'_>, raw: RawMemory) -> Result<MemoryLimits, ConfigError> {
    let size = |key, value, default| source.size(key, value, default, MIB..=1 << 40);
    Ok(MemoryLimits {
        tail_bytes: size("tail-bytes", raw.tail_bytes, 64 * MIB)?,
        request_bytes: size("request-bytes", raw.request_bytes, 256 * MIB)?,
        fetch_bytes: size("fetch-bytes", raw.fetch_bytes, 256 * MIB)?,
        compaction_bytes: size("compaction-bytes", raw.compaction_bytes, 32 * MIB)?,
    })
}

fn journal_config(source: &Source<'_>, journal: RawJournal) -> Result<JournalConfig, ConfigError> {
    let file_bytes =
        source.size("file-bytes", journal.file_bytes.clone(), 32 * MIB, 64 << 10..=GIB)? as u64;
    if !file_bytes.is_multiple_of(4096) {
        let key = journal.file_bytes.expect("the default is in whole blocks");
        return Err(source.wrong("file-bytes", &key, &file_bytes, "choose whole blocks of 4096"));
    }
    Ok(JournalConfig {
        file_bytes,
        files_count: narrow_unsigned(source.number(
            "files-count",
            journal.files_count,
            4,
            2..=1024,
        )?),
        checkpoint_interval: source.millis(
            "checkpoint-interval-ms",
            journal.checkpoint_interval_ms,
            5000,
            10..=3_600_000,
        )?,
        is_direct: journal.direct.unwrap_or(true),
        flushes_apart: journal.flush_apart.unwrap_or(false),
    })
}

fn disk_config(source: &Source<'_>, raw: RawDisk) -> Result<DiskConfig, ConfigError> {
    let size = |key, value: &Option<Spanned<i64>>| match value {
        Some(_) => source.size(key, value.clone(), 0, 0..=1 << 60).map(|size| Some(size as u64)),
        None => Ok(None),
    };
    let slow_below_bytes = size("slow-below-bytes", &raw.slow_below_bytes)?;
    let refuse_below_bytes = size("refuse-below-bytes", &raw.refuse_below_bytes)?;
    if let (Some(slow), Some(refuse), Some(written)) =
        (slow_below_bytes, refuse_below_bytes, &raw.refuse_below_bytes)
        && slow < refuse
    {
        let allowed = format!("choose no more than slow-below-bytes, which is {slow}");
        return Err(source.wrong("refuse-below-bytes", written, &refuse, &allowed));
    }
    Ok(DiskConfig { slow_below_bytes, refuse_below_bytes })
}

fn groups_config(source: &Source<'_>, raw: RawGroups) -> Result<GroupsConfig, ConfigError> {
    const MINUTE_MS: i64 = 60_000;
    let (i32_max, day_ms) = (i64::from(i32::MAX), 1440 * MINUTE_MS);
    let (session_min, session_max) = (&raw.session_timeout_ms_min, &raw.session_timeout_ms_max);
    let key = "session-timeout-ms-min";
    let session_timeout_ms_min = source.number(key, session_min.clone(), 6000, 1..=i32_max)?;
    let key = "session-timeout-ms-max";
    let session_timeout_ms_max =
        source.number(key, session_max.clone(), 30 * MINUTE_MS, 1..=i32_max)?;
    if session_timeout_ms_max < session_timeout_ms_min
        && let Some(written) = session_max.as_ref().or(session_min.as_ref())
    {
        let (shown, allowed) = (written.get_ref(), "the longest cannot be below the shortest");
        return Err(source.wrong("session-timeout-ms-max", written, shown, allowed));
    }
    let key = "initial-rebalance-delay-ms";
    let delay = source.number(key, raw.initial_rebalance_delay_ms, 3000, 0..=i32_max)?;
    let key = "offsets-retention-minutes";
    let retention_minutes =
        source.number(key, raw.offsets_retention_minutes, 7 * 1440, 1..=i32_max)?;
    let key = "offsets-check-interval-ms";
    let interval_ms = raw.offsets_check_interval_ms;
    Ok(GroupsConfig {
        partitions: narrow(source.number(
            "offsets-partitions",
            raw.offsets_partitions,
            50,
            1..=10_000,
        )?),
        expiry_interval: source.millis(key, interval_ms, 10 * MINUTE_MS, 100..=day_ms)?,
        of_all: GroupsSettings {
            initial_rebalance_delay_ms: delay.unsigned_abs(),
            session_timeout_ms_min: narrow(session_timeout_ms_min),
            session_timeout_ms_max: narrow(session_timeout_ms_max),
            new_member_join_ms_max: 300_000,
            consumer_session_ms: source
                .number(
                    "consumer-session-timeout-ms",
                    raw.consumer_session_timeout_ms,
                    45_000,
                    1000..=i32_max,
                )?
                .unsigned_abs(),
            consumer_heartbeat_ms: narrow(source.number(
                "consumer-heartbeat-interval-ms",
                raw.consumer_heartbeat_interval_ms,
                5000,
                100..=i32_max,
            )?),
            members_count_max: source.size("members-max", raw.members_max, i32_max, 1..=i32_max)?,
            metadata_bytes_max: source.size(
                "metadata-bytes-max",
                raw.metadata_bytes_max,
                4096,
                0..=i64::from(i16::MAX),
            )?,
            offsets_retention_ms: retention_minutes * MINUTE_MS,
        },
    })
}

fn session_limits(
    source: &Source<'_>,
    raw: RawFetchSessions,
) -> Result<SessionLimits, ConfigError> {
    let RawFetchSessions { sessions_max, session_partitions_max, eviction_ms } = raw;
    let partitions = session_partitions_max;
    Ok(SessionLimits {
        count_max: source.size("sessions-max", sessions_max, 1000, 0..=1_000_000)?,
        partitions_max: source.size(
            "session-partitions-max",
            partitions,
            100_000,
            0..=100_000_000,
        )?,
        eviction: source.millis("eviction-ms", eviction_ms, 120_000, 0..=i64::from(i32::MAX))?,
    })
}

fn narrow(number: i64) -> i32 {
    i32::try_from(number).expect("the range was checked")
}

fn narrow_unsigned(number: i64) -> u32 {
    u32::try_from(number).expect("the range was checked")
}

const ADDRESS: &str = "write an IP address and a port, such as 127.0.0.1:9092";

/// From the command line, or else from the file.
fn address(
    source: &Source<'_>,
    flag: &'static str,
    given: &Option<String>,
    key: &str,
    written: Option<Spanned<String>>,
) -> Result<Option<SocketAddr>, ConfigError> {
    let parse = |text: &str| text.replace("localhost:", "127.0.0.1:").parse().ok();
    if let Some(value) = given {
        let allowed = ADDRESS.to_owned();
        let wrong = || ConfigError::Flag { flag, value: value.clone(), allowed };
        return parse(value).ok_or_else(wrong).map(Some);
    }
    let Some(written) = written else { return Ok(None) };
    let wrong = || source.wrong(key, &written, written.get_ref(), ADDRESS);
    parse(written.get_ref()).ok_or_else(wrong).map(Some)
}

fn host_port(
    source: &Source<'_>,
    given: &Option<String>,
    written: Option<Spanned<String>>,
) -> Result<Option<HostPort>, ConfigError> {
    const ALLOWED: &str = "write a host and a port, such as broker.example:9092";
    let parse = |text: &str| {
        let (host, port) = text.rsplit_once(':')?;
        let port = port.parse().ok()?;
        (!host.is_empty()).then(|| HostPort { host: host.to_owned(), port })
    };
    if let Some(value) = given {
        let allowed = ALLOWED.to_owned();
        let wrong = || ConfigError::Flag { flag: "--advertise", value: value.clone(), allowed };
        return parse(value).ok_or_else(wrong).map(Some);
    }
    let Some(written) = written else { return Ok(None) };
    let wrong = || source.wrong("advertise", &written, written.get_ref(), ALLOWED);
    parse(written.get_ref()).ok_or_else(wrong).map(Some)
}

fn cores(
    source: &Source<'_>,
    given: &Option<String>,
    written: Option<Spanned<String>>,
) -> Result<Cores, ConfigError> {
    const ALLOWED: &str =
        "write \"all\", a number between 1 and 1024, or processors such as \"0,2,4\"";
    let parse = |text: &str| {
        let text = text.trim();
        if text == "all" {
            return Some(Cores::All);
        }
        if !text.contains(',') {
            let count = text.parse().ok().filter(|count| (1..=1024).contains(count))?;
            return Some(Cores::Count(count));
        }
        let processors = text.split(',').filter(|part| !part.trim().is_empty());
        let processors: Option<Vec<usize>> =
            processors.map(|part| part.trim().parse().ok().filter(|id| *id < 4096)).collect();
        processors.filter(|list| (1..=1024).contains(&list.len())).map(Cores::On)
    };
    if let Some(value) = given {
        let allowed = ALLOWED.to_owned();
        let wrong = || ConfigError::Flag { flag: "--cores", value: value.clone(), allowed };
        return parse(value).ok_or_else(wrong);
    }
    let Some(written) = written else { return Ok(Cores::All) };
    let wrong = || source.wrong("cores", &written, written.get_ref(), ALLOWED);
    parse(written.get_ref()).ok_or_else(wrong)
}

#[cfg(test)]
mod tests;
