//! Tests of plans.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::units::Size;

const MS: u64 = 1_000_000;

/// Three records of the usual size, or fewer larger ones.
const LIMITS: BatchLimits = BatchLimits { records_max: 3, records_bytes: 1000, overhead_bytes: 50 };

fn shape() -> Shape {
    Shape {
        keys_count: 100,
        key_distribution: KeyDistribution::Uniform,
        hot_key: 0.0,
        partitions_count: 4,
        lanes_count: 2,
        linger: Duration::from_millis(5),
        sizes: Size(100).into(),
        limits: LIMITS,
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
        sizes in prop_oneof![Just("100"), Just("1..900"), Just("100:90%,950:10%")],
    ) {
        let linger = Duration::from_millis(linger_ms);
        let limits = BatchLimits { records_max, ..LIMITS };
        let sizes = sizes.parse().unwrap();
        let shape = Shape { partitions_count, lanes_count, linger, limits, sizes, ..shape() };
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
                        let bytes = plan.records_of(*batch).iter().map(|it| it.size_bytes + 50);
                        prop_assert!(bytes.sum::<u32>() <= 1000);
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

/// 1000 bytes of 50 and a value each; a batch closes when nothing more can fit.
#[test]
fn a_batch_ends_before_a_record_that_does_not_fit() {
    let shape = Shape { sizes: "100:50%,600:50%".parse().unwrap(), ..one_partition() };
    let times: Vec<u64> = (0..1000).map(|index| index * MS / 100).collect();
    let plan = Plan::new(&times, &shape, Share::WHOLE);
    let mut kinds = BTreeMap::new();
    for batch in &plan.batches {
        let mut sizes: Vec<u32> =
            plan.records_of(*batch).iter().map(|record| record.size_bytes).collect();
        sizes.sort_unstable();
        *kinds.entry(sizes).or_insert(0) += 1;
    }
    assert!(kinds.keys().all(|sizes| sizes.iter().map(|size| size + 50).sum::<u32>() <= 1000));
    assert!(kinds.contains_key(&vec![100, 100, 100]) && kinds.contains_key(&vec![100, 100, 600]));
    assert!(kinds.contains_key(&vec![600]), "one that another did not fit beside: {kinds:?}");
}

#[test]
fn sizes_come_as_often_as_they_should_and_leave_keys_alone() {
    let times: Vec<u64> = (0..20_000).collect();
    let planned = |sizes: &str| {
        let limits = BatchLimits { records_bytes: 1_000_000, ..LIMITS };
        let shape = Shape { sizes: sizes.parse().unwrap(), limits, ..shape() };
        Plan::new(&times, &shape, Share::WHOLE)
    };
    let keys = |plan: &Plan| {
        let mut keys: Vec<_> = plan.records.iter().map(|it| (it.intended_ns, it.key)).collect();
        keys.sort_unstable();
        keys
    };
    let fixed = planned("1KiB");
    assert!(fixed.records.iter().all(|record| record.size_bytes == 1024));
    for (text, min, max) in [("100..4KiB", 100, 4096), ("100:80%,1KiB:15%,16KiB:5%", 100, 16384)] {
        let distribution: SizeDistribution = text.parse().unwrap();
        let plan = planned(text);
        assert_eq!(keys(&plan), keys(&fixed));
        let sizes: Vec<u32> = plan.records.iter().map(|record| record.size_bytes).collect();
        assert_eq!((sizes.iter().min(), sizes.iter().max()), (Some(&min), Some(&max)));
        let mean = sizes.iter().map(|&size| f64::from(size)).sum::<f64>() / 20_000.0;
        assert!((mean / distribution.mean_bytes() - 1.0).abs() < 0.04, "{text}: {mean}");
    }
    let weighted = planned("100:80%,1KiB:15%,16KiB:5%");
    let small = weighted.records.iter().filter(|record| record.size_bytes == 100).count();
    assert!((15_700..16_300).contains(&small), "{small} of 16,000");
}

#[test]
fn sizes_are_written_as_they_are_read() {
    let read = |text: &str| text.parse::<SizeDistribution>();
    for text in ["1KiB", "100", "100..4KiB", "64..64", "100:80%,1KiB:15%,16KiB:5%"] {
        assert_eq!(read(text).unwrap().to_string(), text);
    }
    assert_eq!(read("1KiB:33.3%,2KiB:33.3%,3KiB:33.3%").unwrap().mean_bytes().round(), 2048.0);
    let refusal = |text: &str| read(text).unwrap_err().to_string();
    for text in ["", "big", "1..", "100:80", "100:%", "100:80%;200:20%", "100:NaN%"] {
        assert_eq!(
            refusal(text),
            format!(
                "`{text}` is not a distribution of sizes: write a size such as 1KiB, a range such \
                 as 100..4KiB, or sizes with their shares such as 100:80%,1KiB:15%,16KiB:5%"
            )
        );
    }
    assert_eq!(refusal("4KiB..100"), "`4KiB..100` begins with the larger size: write 100..4KiB");
    assert_eq!(
        refusal("100:80%,1KiB:30%"),
        "the shares of `100:80%,1KiB:30%` come to 110%: they must come to 100%"
    );
    assert_eq!(
        refusal("100:100%,1KiB:0%"),
        "`100:100%,1KiB:0%` has a share of 0%: each must be above 0%"
    );
}
