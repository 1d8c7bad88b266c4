//! What one run is like: everything that is not decided while it goes on, drawn from its seed.

use std::time::Duration;

use runtime::Rng;

/// Which of the faults a run may have, and how often.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Profile {
    /// Virtual time with faults.
    pub duration: Duration,
    /// Clients' requests, at least.
    pub operations_min: u64,
    /// A bit of the disk turns in every run, not only in some.
    pub has_rot: bool,
}

impl Default for Profile {
    fn default() -> Profile {
        Profile { duration: Duration::from_secs(30), operations_min: 2000, has_rot: false }
    }
}

/// A topic of the run.
#[derive(Clone, Debug)]
pub struct TopicPlan {
    pub name: String,
    pub partitions_count: i32,
    pub is_durable: bool,
    pub has_broker_time: bool,
}

/// Faults that happen now and then. Each run has some of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Faults {
    pub kill: bool,
    pub power_loss: bool,
    pub stop: bool,
    pub crash_while_starting: bool,
    pub cut: bool,
    pub reset: bool,
    pub slow_network: bool,
    pub disk_error: bool,
    pub disk_stall: bool,
    pub disk_full: bool,
    pub clock_jump: bool,
    /// All clients of a machine die, and others come in their place.
    pub client_kill: bool,
    /// A bit turns, at the end.
    pub rot: bool,
}

/// One run.
#[derive(Clone, Debug)]
pub struct Plan {
    pub duration: Duration,
    /// How many cores the broker has at each start; the list is gone through again and again.
    pub cores_counts: Vec<u16>,
    pub topics: Vec<TopicPlan>,
    pub pipelined_count: usize,
    pub plain_count: usize,
    pub consumers_count: usize,
    /// Of a group of each protocol, and of one whose members speak both.
    pub members_count: usize,
    pub value_bytes_max: usize,
    pub batch_records_max: usize,
    /// Between two things that one client does.
    pub pause_max: Duration,
    /// Between two faults.
    pub calm_max: Duration,
    pub faults: Faults,
    /// The broker's configuration, as a file.
    pub config: String,
}

impl Plan {
    /// The plan of a seed.
    pub fn of(seed: u64, profile: &Profile) -> Plan {
        // Another stream than the simulation's own numbers.
        let mut rng = Rng::from_seed(seed ^ 0x706c_616e);
        let cores_max = 1 + rng.below(3);
        let cores = |rng: &mut Rng| u16::try_from(1 + rng.below(cores_max)).expect("few cores");
        let cores_counts = match rng.one_in(3) {
            true => (0..4).map(|_| cores(&mut rng)).collect(),
            false => vec![cores(&mut rng)],
        };
        let topics_count = 1 + rng.below(3);
        let topics = (0..topics_count).map(|number| TopicPlan {
            name: format!("long-{number}"),
            partitions_count: i32::try_from(1 + rng.below(3)).expect("few partitions"),
            // At least one of them has to keep its word whatever happens.
            is_durable: number == 0 || rng.one_in(2),
            has_broker_time: rng.one_in(5),
        });
        let topics = topics.collect();
        let some = |rng: &mut Rng| rng.one_in(2);
        let faults = Faults {
            kill: some(&mut rng),
            power_loss: some(&mut rng),
            stop: some(&mut rng),
            crash_while_starting: some(&mut rng),
            cut: some(&mut rng),
            reset: some(&mut rng),
            slow_network: some(&mut rng),
            disk_error: some(&mut rng),
            disk_stall: some(&mut rng),
            disk_full: rng.one_in(4),
            clock_jump: some(&mut rng),
            client_kill: some(&mut rng),
            rot: rng.one_in(4) || profile.has_rot,
        };
        // A run without any crash shows little.
        let faults = match faults.kill || faults.power_loss {
            true => faults,
            false => Faults { kill: true, power_loss: true, ..faults },
        };
        Plan {
            duration: profile.duration,
            cores_counts,
            topics,
            pipelined_count: 1 + rng.index(3),
            plain_count: 1 + rng.index(2),
            consumers_count: 1 + rng.index(3),
            members_count: 2 + rng.index(2),
            value_bytes_max: 64 << rng.below(7),
            batch_records_max: 1 + rng.index(8),
            pause_max: Duration::from_millis(10 + rng.below(40)),
            calm_max: Duration::from_millis(1500 + rng.below(3500)),
            faults,
            config: config(&mut rng),
        }
    }
}

/// A small broker, whose journal comes round often.
fn config(rng: &mut Rng) -> String {
    let journal_file_bytes = 256 << 10 << rng.below(3);
    let journal_files_count = 2 + rng.below(3);
    let checkpoint_interval_ms = 100 << rng.below(6);
    let flush_apart = rng.one_in(3);
    let tail_bytes = 1 << 20 << rng.below(3);
    // Sometimes not enough for all consumers.
    let rebalance_delay_ms = if rng.one_in(2) { 0 } else { 200 };
    let offsets_partitions = 1 + rng.below(4);
    let sessions_max = if rng.one_in(3) { rng.below(3) } else { 1000 };
    format!(
        "[journal]\n\
         file-bytes = {journal_file_bytes}\n\
         files-count = {journal_files_count}\n\
         checkpoint-interval-ms = {checkpoint_interval_ms}\n\
         flush-apart = {flush_apart}\n\
         [memory]\n\
         tail-bytes = {tail_bytes}\n\
         request-bytes = 4194304\n\
         fetch-bytes = 4194304\n\
         [fetch-sessions]\n\
         sessions-max = {sessions_max}\n\
         [groups]\n\
         initial-rebalance-delay-ms = {rebalance_delay_ms}\n\
         session-timeout-ms-min = 100\n\
         consumer-session-timeout-ms = 3000\n\
         consumer-heartbeat-interval-ms = 100\n\
         offsets-partitions = {offsets_partitions}\n"
    )
}
