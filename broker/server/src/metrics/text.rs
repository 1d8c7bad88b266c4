//! Counts as text.

use std::fmt::{Display, Write};

use storage::{Durability, Durations};
use wire::ApiKey;

use super::{CoreMetrics, TopicNames};
use crate::disk::{DiskReport, Level};

/// A text that is being written.
#[derive(Default)]
struct Exposition {
    text: String,
}

impl Exposition {
    fn family(&mut self, name: &str, kind: &str, help: &str) {
        let _ = writeln!(self.text, "# HELP highwater_{name} {help}");
        let _ = writeln!(self.text, "# TYPE highwater_{name} {kind}");
    }

    fn sample(&mut self, name: &str, labels: &[(&str, &dyn Display)], value: impl Display) {
        let _ = write!(self.text, "highwater_{name}");
        for (index, (label, value)) in labels.iter().enumerate() {
            let open = if index == 0 { '{' } else { ',' };
            let _ = write!(self.text, "{open}{label}=\"{value}\"");
        }
        if !labels.is_empty() {
            self.text.push('}');
        }
        let _ = writeln!(self.text, " {value}");
    }

    fn histogram(&mut self, name: &str, labels: &[(&str, &dyn Display)], durations: &Durations) {
        let bucket = format!("{name}_bucket");
        let mut count = 0;
        for (power, in_bucket) in durations.buckets.iter().enumerate() {
            count += in_bucket;
            let is_last = power + 1 == durations.buckets.len();
            let upper = f64::from(2_u32.pow(u32::try_from(power).expect("few buckets"))) / 1e6;
            let upper: &dyn Display = if is_last { &"+Inf" } else { &upper };
            let mut labels = labels.to_vec();
            labels.push(("le", upper));
            self.sample(&bucket, &labels, count);
        }
        let seconds = std::time::Duration::from_nanos(durations.sum_nanos).as_secs_f64();
        self.sample(&format!("{name}_sum"), labels, seconds);
        self.sample(&format!("{name}_count"), labels, count);
    }
}

/// The name of a stream of the journal, and of the level of durability that it is for.
fn name_of(durability: Durability) -> &'static str {
    match durability {
        Durability::Durable => "durable",
        Durability::Relaxed => "relaxed",
    }
}

/// A family with one number for each core.
type OfCore = (&'static str, &'static str, &'static str, fn(&CoreMetrics) -> String);

const OF_CORES: &[OfCore] = &[
    ("cpu_seconds_total", "counter", "Processor time of the core's thread.", |core| {
        core.cpu_seconds.to_string()
    }),
    (
        "journal_flushes_total",
        "counter",
        "Durable writes and flushes of the journal, each a flush of the device.",
        |core| core.durable_flushes.to_string(),
    ),
    (
        "checkpoint_flushes_total",
        "counter",
        "Flushes of segments, entries and directories at checkpoints.",
        |core| core.checkpoint_flushes.to_string(),
    ),
    ("checkpoints_total", "counter", "Checkpoints completed.", |core| core.checkpoints.to_string()),
    ("checkpoint_carry_bytes_total", "counter", "Bytes that checkpoints carried on.", |core| {
        core.carry_bytes.to_string()
    }),
    ("segment_written_bytes_total", "counter", "Bytes written to segments.", |core| {
        core.segment_bytes.to_string()
    }),
    ("segment_read_bytes_total", "counter", "Bytes read from segments.", |core| {
        core.read_bytes.to_string()
    }),
    (
        "segments_removed_total",
        "counter",
        "Segments that have left their logs and the disk.",
        |core| core.segments_removed.to_string(),
    ),
    ("scrubs_total", "counter", "Times that everything on the disk was looked at.", |core| {
        core.scrubs.to_string()
    }),
    ("scrub_read_bytes_total", "counter", "Bytes that were read for that.", |core| {
        core.scrubbed_bytes.to_string()
    }),
    (
        "scrub_findings_total",
        "counter",
        "Files that were then not as they were written, each time.",
        |core| core.scrub_findings.to_string(),
    ),
    ("compactions_total", "counter", "Logs that were compacted.", |core| {
        core.compactions.to_string()
    }),
    (
        "compaction_read_bytes_total",
        "counter",
        "Bytes of segments that compaction has written again, before.",
        |core| core.compaction_read_bytes.to_string(),
    ),
    (
        "compaction_written_bytes_total",
        "counter",
        "Bytes of segments that compaction has written again, after.",
        |core| core.compaction_written_bytes.to_string(),
    ),
    (
        "compaction_removed_records_total",
        "counter",
        "Records that compaction has left out.",
        |core| core.compaction_removed_records.to_string(),
    ),
    (
        "appends_refused_disk_full_total",
        "counter",
        "Batches refused because the disk was full, or nearly so.",
        |core| core.refused_disk_full.to_string(),
    ),
    (
        "append_delay_seconds_total",
        "counter",
        "How long nothing was read from producers because there was little room on the disk.",
        |core| core.rested_seconds.to_string(),
    ),
    ("open_segments", "gauge", "Segments that have files open.", |core| {
        core.open_segments.to_string()
    }),
    ("journal_waiting_bytes", "gauge", "Bytes that wait to be written to the journal.", |core| {
        core.journal_waiting_bytes.to_string()
    }),
    ("journal_replay_bytes", "gauge", "Bytes of the journal that a start would read.", |core| {
        core.journal_replay_bytes.to_string()
    }),
    ("tail_bytes", "gauge", "Memory of the newest records.", |core| core.tail_bytes.to_string()),
    ("requests_unanswered", "gauge", "Requests received and not answered.", |core| {
        core.requests_unanswered.to_string()
    }),
    ("request_memory_free_bytes", "gauge", "What is left of memory.request-bytes.", |core| {
        core.request_bytes_free.to_string()
    }),
    ("fetch_memory_free_bytes", "gauge", "What is left of memory.fetch-bytes.", |core| {
        core.fetch_bytes_free.to_string()
    }),
    ("received_bytes_total", "counter", "Bytes received from clients.", |core| {
        core.received_bytes.to_string()
    }),
    ("sent_bytes_total", "counter", "Bytes sent to clients.", |core| core.sent_bytes.to_string()),
    ("connections", "gauge", "Connections that are open.", |core| core.connections.to_string()),
    ("connections_opened_total", "counter", "Connections that were opened.", |core| {
        core.connections_opened.to_string()
    }),
    (
        "connections_moved_in_total",
        "counter",
        "Connections that came from another core, where few of their partitions were.",
        |core| core.connections_moved_in.to_string(),
    ),
    (
        "connections_moved_out_total",
        "counter",
        "Connections that went to the core of their partitions.",
        |core| core.connections_moved_out.to_string(),
    ),
    ("watches", "gauge", "Fetches that wait for records.", |core| core.watches.to_string()),
    ("groups", "gauge", "Groups of consumers that are coordinated here.", |core| {
        core.groups.groups.to_string()
    }),
    ("group_members", "gauge", "Members of those groups.", |core| core.groups.members.to_string()),
    ("fetch_sessions", "gauge", "Consumers whose partitions are remembered.", |core| {
        core.fetch_sessions.to_string()
    }),
    ("fetch_session_partitions", "gauge", "Partitions of fetch sessions.", |core| {
        core.fetch_session_partitions.to_string()
    }),
    (
        "fetch_session_evictions_total",
        "counter",
        "Fetch sessions that made room for others.",
        |core| core.fetch_session_evictions.to_string(),
    ),
    ("incremental_fetches_total", "counter", "Fetches of what a session remembers.", |core| {
        core.incremental_fetches.to_string()
    }),
    ("appends_waiting", "gauge", "Batches that wait until the log takes them.", |core| {
        core.appends_waiting.to_string()
    }),
    (
        "doubtful_partitions",
        "gauge",
        "Partitions that are only read, since a start found damage that may concern them.",
        |core| core.doubtful_partitions.to_string(),
    ),
    ("producers", "gauge", "Idempotent producers that are remembered, by partition.", |core| {
        core.producers.to_string()
    }),
];

/// The text for all cores, in their order.
pub(super) fn exposition(cores: &[Box<CoreMetrics>], names: &TopicNames) -> String {
    let mut out = Exposition::default();
    for (name, kind, help, value) in OF_CORES {
        out.family(name, kind, help);
        for core in cores {
            out.sample(name, &[("core", &core.core.0)], value(core));
        }
    }
    disk(&mut out, cores);
    streams(&mut out, cores);
    out.family("checkpoint_seconds", "histogram", "How long checkpoints took.");
    for core in cores {
        out.histogram("checkpoint_seconds", &[("core", &core.core.0)], &core.checkpoint_duration);
    }
    out.family("requests_total", "counter", "Requests received.");
    for core in cores {
        for (api, count) in ApiKey::ALL.iter().zip(core.requests) {
            out.sample("requests_total", &[("core", &core.core.0), ("api", api)], count);
        }
    }
    let help = "Produces and fetches, by whether all their partitions were on the core that received \
                them (own) or not (hopped).";
    out.family("placed_requests_total", "counter", help);
    for core in cores {
        for (api, counts) in [ApiKey::Produce, ApiKey::Fetch].iter().zip(core.placed) {
            for (place, count) in ["own", "hopped"].iter().zip(counts) {
                let labels: [(&str, &dyn Display); 3] =
                    [("core", &core.core.0), ("api", api), ("place", place)];
                out.sample("placed_requests_total", &labels, count);
            }
        }
    }
    partitions(&mut out, cores, names);
    out.text
}

/// The disk is everybody's, and the first core looks at it.
fn disk(out: &mut Exposition, cores: &[Box<CoreMetrics>]) {
    let Some(DiskReport { level, free_bytes, total_bytes, .. }) =
        cores.first().map(|core| core.disk)
    else {
        return;
    };
    let level = match level {
        Level::Ok => 0,
        Level::Slow => 1,
        Level::Full => 2,
    };
    out.family(
        "disk_free_bytes",
        "gauge",
        "What may still be written to the data directory's disk.",
    );
    out.sample("disk_free_bytes", &[], free_bytes);
    out.family("disk_total_bytes", "gauge", "The size of the data directory's disk.");
    out.sample("disk_total_bytes", &[], total_bytes);
    let help = "0 while there is room on the disk, 1 while producers are slowed, 2 while they are refused.";
    out.family("disk_state", "gauge", help);
    out.sample("disk_state", &[], level);
}

fn streams(out: &mut Exposition, cores: &[Box<CoreMetrics>]) {
    type OfStream = (&'static str, &'static str, fn(&super::StreamCounts) -> u64);
    const FAMILIES: [OfStream; 3] = [
        ("journal_commits_total", "Commits written.", |stream| stream.commits),
        ("journal_commit_bytes_total", "Bytes of commits.", |stream| stream.bytes),
        ("journal_commit_records_total", "Records in commits.", |stream| stream.records),
    ];
    for (name, help, value) in FAMILIES {
        out.family(name, "counter", help);
        for core in cores {
            for stream in &core.streams {
                let name_of = name_of(stream.durability);
                out.sample(name, &[("core", &core.core.0), ("stream", &name_of)], value(stream));
            }
        }
    }
    out.family("journal_commit_seconds", "histogram", "From issuing a commit to its completion.");
    for core in cores {
        for stream in &core.streams {
            let labels: [(&str, &dyn Display); 2] =
                [("core", &core.core.0), ("stream", &name_of(stream.durability))];
            out.histogram("journal_commit_seconds", &labels, &stream.latency);
        }
    }
}

fn partitions(out: &mut Exposition, cores: &[Box<CoreMetrics>], names: &TopicNames) {
    let of_all = |out: &mut Exposition,
                  name: &str,
                  value: fn(&super::PartitionCounts) -> String| {
        for core in cores {
            for (partition, counts) in &core.partitions {
                let Some(topic) = names.get(&partition.topic) else { continue };
                let labels: [(&str, &dyn Display); 3] =
                    [("core", &core.core.0), ("topic", topic), ("partition", &partition.partition)];
                out.sample(name, &labels, value(counts));
            }
        }
    };
    let help = "Time that the core has spent on appends to the partition and reads of it.";
    out.family("partition_busy_seconds_total", "counter", help);
    of_all(out, "partition_busy_seconds_total", |counts| {
        std::time::Duration::from_nanos(counts.busy_nanos).as_secs_f64().to_string()
    });
    out.family("partition_log_end_offset", "gauge", "The offset of the next record.");
    of_all(out, "partition_log_end_offset", |counts| counts.log_end.to_string());
    out.family("partition_log_start_offset", "gauge", "The first offset that can be read.");
    of_all(out, "partition_log_start_offset", |counts| counts.log_start.to_string());
    out.family("topic_durability", "gauge", "1 for the level at which records are acknowledged.");
    let mut levels = std::collections::BTreeMap::new();
    for (partition, counts) in cores.iter().flat_map(|core| &core.partitions) {
        if let Some(topic) = names.get(&partition.topic) {
            levels.insert(topic, counts.durability);
        }
    }
    for (topic, durability) in levels {
        let level = name_of(durability);
        out.sample("topic_durability", &[("topic", topic), ("level", &level)], 1);
    }
}
