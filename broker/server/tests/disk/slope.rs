//! How producers are slowed, the less room there is.

use std::time::{Duration, Instant};

use model::record_batch::ProducerStamp;
use wire::{ErrorCode, ProduceRequest};

use crate::small_disk::{REFUSE_BELOW_BYTES, SLOW_BELOW_BYTES, SmallDisk};
use crate::support::{Client, batch, now_ms, produce};

/// A sixteenth of a MiB, and with it of the longest rest.
const VALUE_BYTES: usize = 64 << 10;
const APPENDS_COUNT: u32 = 8;
/// Of the measured against the intended: the machine may be busy.
const LATE_MAX: Duration = Duration::from_millis(60);

fn request(acks: i16) -> ProduceRequest {
    let value = vec![7; VALUE_BYTES];
    produce("slowed", 0, acks, batch(&[&value], now_ms(), ProducerStamp::NONE))
}

/// The mean time from one acknowledgement to the next of a client that waits for each, and what it is
/// told to wait itself.
fn acknowledged_one_by_one(client: &mut Client) -> (Duration, i32) {
    let begun = Instant::now();
    let mut told_ms = 0;
    for _ in 0..APPENDS_COUNT {
        let response = client.call(9, &request(-1));
        let answer = &response.responses[0].partition_responses[0];
        assert_eq!(answer.error_code, ErrorCode::None, "{:?}", answer.error_message);
        told_ms = response.throttle_time_ms;
    }
    (begun.elapsed() / APPENDS_COUNT, told_ms)
}

/// The same for a client that wants no acknowledgements and sends as fast as it can; the last one is
/// acknowledged, so that it is known when all are there.
fn without_acknowledgements(client: &mut Client) -> Duration {
    let begun = Instant::now();
    for _ in 1..APPENDS_COUNT {
        client.send(9, &request(0));
    }
    client.call(9, &request(-1));
    begun.elapsed() / APPENDS_COUNT
}

#[test]
fn producers_are_slowed_along_a_slope_then_refused_and_go_on_by_themselves() {
    let Some(disk) = SmallDisk::mount() else { return };
    let on_disk = disk.broker();
    on_disk.topic("create slowed --config segment.bytes=1048576");
    let mut client = on_disk.broker.connect();
    acknowledged_one_by_one(&mut client);
    for percent in [0, 25, 50, 75] {
        let slope_bytes = SLOW_BELOW_BYTES - REFUSE_BELOW_BYTES;
        // What was sent before is waited for, so that nobody rests any more.
        let mut client = on_disk.broker.connect();
        disk.leave_free(SLOW_BELOW_BYTES - slope_bytes * percent / 100 + (64 << 10));
        if percent == 0 {
            on_disk.wait_for_state(0, Duration::from_secs(5));
        } else {
            on_disk.wait_for_state(1, Duration::from_secs(5));
            std::thread::sleep(Duration::from_millis(300));
        }
        let (one_by_one, told_ms) = acknowledged_one_by_one(&mut client);
        std::thread::sleep(Duration::from_millis(100));
        let unacknowledged = without_acknowledgements(&mut client);
        let intended = Duration::from_millis(1000 * percent / 100) / 16;
        println!(
            "{percent:>3} % of the slope: intended {intended:?}, with acks=all {one_by_one:?}, \
             acks=0 {unacknowledged:?}, told {told_ms} ms"
        );
        // One rest fewer than requests: what comes first is taken at once.
        for measured in [one_by_one, unacknowledged] {
            assert!(intended * 3 / 4 <= measured && measured <= intended * 3 / 2 + LATE_MAX);
        }
        let told = Duration::from_millis(u64::try_from(told_ms).unwrap());
        assert!(told <= intended * 3 / 2 + Duration::from_millis(1) && intended / 2 <= told);
    }
    disk.leave_free(REFUSE_BELOW_BYTES - (1 << 20));
    on_disk.wait_for_state(2, Duration::from_secs(5));
    let response = on_disk.broker.connect().call(9, &request(-1));
    let answer = &response.responses[0].partition_responses[0];
    assert_eq!(answer.error_code, ErrorCode::KafkaStorageError);
    let message = answer.error_message.as_ref().unwrap().to_string();
    assert!(message.contains("bytes of the disk are free, and batches are refused below 8388608"));
    assert!(message.contains("disk.refuse-below-bytes"), "{message}");
    assert!(1.0 <= on_disk.metric("highwater_appends_refused_disk_full_total"));
    assert!(0.5 < on_disk.metric("highwater_append_delay_seconds_total"));
    assert!(on_disk.metric("highwater_disk_free_bytes") < 8_388_608.0);
    assert!(50e6 < on_disk.metric("highwater_disk_total_bytes"));
    disk.leave_free(u64::MAX);
    on_disk.wait_for_state(0, Duration::from_secs(5));
    let (one_by_one, told_ms) = acknowledged_one_by_one(&mut on_disk.broker.connect());
    assert!(told_ms == 0 && one_by_one < LATE_MAX, "{one_by_one:?}");
    // The ballast is taken away before it is made anew, so that the disk has room again in between.
    let lines = on_disk.lines_of_the_disk();
    assert!(lines.contains(&"nearly full"), "{}", on_disk.log());
    assert_eq!(lines.iter().filter(|line| **line == "is full").count(), 1, "{}", on_disk.log());
    assert_eq!(lines.last(), Some(&"room again"), "{}", on_disk.log());
}
