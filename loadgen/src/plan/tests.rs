//! Tests of plans.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

const MS: u64 = 1_000_000;

fn shape() -> Shape {
    Shape {
        keys_count: 100,
        key_distribution: KeyDistribution::Uniform,
        hot_key: 0.0,
        partitions_count: 4,
        lanes_count: 2,
        linger: Duration::from_millis(5),
        records_max: 3,
        seed: 1,
    }
}

fn one_partition() -> Shape {
    Shape { partitions_count: 1, lanes_count: 1, ..shape() }
}

/// The requests of the only lane: due time in ms, and how many records.
fn requests(plan: &Plan) -> Vec<(u64, u32)> {
    let size = |request: &PlannedRequest| plan.batches_of(*request).iter().map(|it| it.count).sum();
    plan.lanes[0].iter().map(|request| (request.due_ns / MS, size(request))).collect()
}

#[test]
fn a_request_leaves_when_its_first_record_has_lingered() {
    let times = [0, MS, 20 * MS];
    let plan = Plan::new(&times, &one_partition(), Share::WHOLE);
    assert_eq!(requests(&plan), [(5, 2), (25, 1)]);
}

#[test]
fn a_full_batch_does_not_wait() {
    let times = [0, MS, 2 * MS, 3 * MS];
    let plan = Plan::new(&times, &one_partition(), Share::WHOLE);
    assert_eq!(requests(&plan), [(2, 3), (8, 1)]);
}

#[test]
fn without_linger_every_record_is_a_request() {
    let shape = Shape { linger: Duration::ZERO, ..one_partition() };
    let plan = Plan::new(&[0, 0, MS], &shape, Share::WHOLE);
    assert_eq!(requests(&plan), [(0, 1), (0, 1), (1, 1)]);
}

#[test]
fn a_hot_key_gets_its_share() {
    let times: Vec<u64> = (0..10_000).collect();
    let shape = Shape { hot_key: 0.2, ..shape() };
    let plan = Plan::new(&times, &shape, Share::WHOLE);
    let hot = plan.records.iter().filter(|record| record.key == 0).count();
    assert!((1900..2300).contains(&hot), "{hot}");
}

fn any_times() -> impl Strategy<Value = Vec<u64>> {
    proptest::collection::vec(0..50 * MS, 0..300).prop_map(|mut times| {
        times.sort_unstable();
        times
    })
}

proptest! {
    #[test]
    fn every_record_is_sent_once_in_order_and_in_time(
        times in any_times(),
        partitions_count in 1..6u32,
        lanes_count in 1..4u32,
        workers_count in 1..4u32,
        linger_ms in 0..4u64,
        records_max in 1..5u32,
    ) {
        let linger = Duration::from_millis(linger_ms);
        let shape = Shape { partitions_count, lanes_count, linger, records_max, ..shape() };
        let mut all = Vec::new();
        for worker in 0..workers_count {
            let share = Share { worker, workers_count };
            let plan = Plan::new(&times, &shape, share);
            let mut sequence = 0;
            let mut seen = 0;
            let mut last: BTreeMap<u32, u64> = BTreeMap::new();
            for (lane, requests) in (0..).zip(&plan.lanes) {
                prop_assert!(requests.is_sorted_by_key(|request| request.due_ns));
                for request in requests {
                    prop_assert!(request.count != 0);
                    for batch in plan.batches_of(*request) {
                        prop_assert!(share.has(batch.partition));
                        prop_assert_eq!(shape.lane_of(batch.partition, share), lane);
                        prop_assert!(0 < batch.count && batch.count <= records_max);
                        for record in plan.records_of(*batch) {
                            prop_assert_eq!(shape.partition_of(record.key), batch.partition);
                            // Never before it is meant to be, never after it has lingered.
                            prop_assert!(record.intended_ns <= request.due_ns);
                            prop_assert!(request.due_ns <= record.intended_ns + nanos(linger));
                            let before = last.insert(record.key, record.intended_ns);
                            prop_assert!(before <= Some(record.intended_ns));
                            seen += 1;
                        }
                    }
                }
            }
            // Sequence numbers run through the batches without gap or overlap.
            for batch in &plan.batches {
                prop_assert_eq!(batch.first, sequence);
                sequence += batch.count;
            }
            prop_assert_eq!(seen, plan.records.len());
            all.extend(plan.records.iter().map(|record| record.intended_ns));
        }
        all.sort_unstable();
        prop_assert_eq!(all, times);
    }
}
