//! What a broker takes to start, and what it uses that has many partitions and nothing to do.

use loadgen::run::NewTopic;
use serde::{Deserialize, Serialize};

use super::{Bench, MatrixError};
use crate::broker::{Broker, BrokerSpec};
use crate::sample::{Usage, monotonic_ns};
use crate::scenario::Idle;
use crate::units::nanos;

/// Of one topic: Apache Kafka makes no more at once.
const PARTITIONS_MAX: u32 = 5000;

/// What was used while nothing was done.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct IdleUse {
    pub partitions: u32,
    /// From the start of its process until it said that it serves; none of one that ran already.
    pub started_in_s: Option<f64>,
    /// From the start of its process until its first topic was made and led.
    pub first_topic_s: Option<f64>,
    /// Without any topic.
    pub empty: Usage,
    /// With the partitions, some time after they were made.
    pub idle: Usage,
    /// How long it took to make the topics, until all their partitions were led.
    pub creation_s: f64,
    /// From `kill -9` until it served again and another topic was made and led; none of one that runs
    /// elsewhere, or did not come back in time.
    #[serde(default)]
    pub restarted_in_s: Option<f64>,
}

impl IdleUse {
    /// Resident memory that a partition adds.
    pub fn bytes_per_partition(&self) -> f64 {
        let added = self.idle.resident_bytes_max as f64 - self.empty.resident_bytes_max as f64;
        added / f64::from(self.partitions)
    }
}

pub(super) fn measure(
    bench: &Bench<'_>,
    spec: &BrokerSpec,
    idle: Idle,
) -> Result<IdleUse, MatrixError> {
    let mut broker = Broker::start(spec, &bench.placement.broker, bench.places)?;
    let serves_ns = monotonic_ns();
    make_topic(&broker, "first", 1)?;
    let until_topic_s = (monotonic_ns() - serves_ns) as f64 / 1e9;
    loadgen::run::delete_topic(&broker.address, "first").map_err(|source| MatrixError::Run {
        what: "deleting the first topic",
        source: Box::new(source),
    })?;
    let started_in_s = broker.started_in.map(|it| it.as_secs_f64());
    let used = |broker: &Broker, duration: std::time::Duration| {
        let sampler = bench.silent_sampler(broker);
        let from_ns = monotonic_ns();
        std::thread::sleep(duration);
        sampler.stop().between(from_ns, from_ns + nanos(duration))
    };
    std::thread::sleep(idle.settle.0);
    let empty = used(&broker, idle.duration.0);
    let before_ns = monotonic_ns();
    let mut left = idle.partitions;
    while 0 < left {
        let partitions = left.min(PARTITIONS_MAX);
        make_topic(&broker, &format!("idle-{left}"), partitions)?;
        left -= partitions;
    }
    let creation_s = (monotonic_ns() - before_ns) as f64 / 1e9;
    std::thread::sleep(idle.settle.0);
    let in_use = used(&broker, idle.duration.0);
    let killed_ns = monotonic_ns();
    // Whether it comes back is a result, too.
    let is_back = broker.kill_and_restart().is_ok() && make_topic(&broker, "after", 1).is_ok();
    let restarted_in_s = is_back.then(|| (monotonic_ns() - killed_ns) as f64 / 1e9);
    let idle_use = IdleUse {
        partitions: idle.partitions,
        started_in_s,
        first_topic_s: started_in_s.map(|started_in_s| started_in_s + until_topic_s),
        empty,
        idle: in_use,
        creation_s,
        restarted_in_s,
    };
    if is_back {
        broker.stop()?;
    }
    Ok(idle_use)
}

fn make_topic(broker: &Broker, name: &str, partitions: u32) -> Result<(), MatrixError> {
    let topic = NewTopic {
        name: name.to_owned(),
        partitions_count: i32::try_from(partitions).unwrap_or(i32::MAX),
        replication_factor: 1,
        configs: vec![],
    };
    loadgen::run::create_topic(&broker.address, topic)
        .map_err(|source| MatrixError::Run { what: "making a topic", source: Box::new(source) })
}
