//! Tests of placement.

use super::*;

#[test]
fn the_broker_takes_the_disks_interrupts() {
    let placement = Placement::of(Layout::Pinned, &[0, 1], Some(1));
    assert_eq!((placement.broker, placement.client), (vec![1], vec![0]));
    let placement = Placement::of(Layout::Pinned, &[0, 1, 2, 3], Some(0));
    assert_eq!((placement.broker, placement.client), (vec![0], vec![1]));
}

#[test]
fn without_known_interrupts_the_first_processor_is_left_to_the_host_and_the_client() {
    let placement = Placement::of(Layout::Pinned, &[0, 1], None);
    assert_eq!((placement.broker, placement.client), (vec![1], vec![0]));
    // A processor that this process may not use is none to choose.
    let placement = Placement::of(Layout::Pinned, &[2, 3], Some(0));
    assert_eq!((placement.broker, placement.client), (vec![3], vec![2]));
}

#[test]
fn one_processor_is_shared_and_said_to_be() {
    let placement = Placement::of(Layout::Pinned, &[5], Some(5));
    assert_eq!((&placement.broker, &placement.client), (&vec![5], &vec![5]));
    assert!(placement.reason.contains("share processor 5"), "{}", placement.reason);
}

#[test]
fn a_shared_layout_gives_everything_to_both() {
    let placement = Placement::of(Layout::Shared, &[0, 1, 3], Some(1));
    assert_eq!((placement.broker, placement.client), (vec![0, 1, 3], vec![0, 1, 3]));
}
