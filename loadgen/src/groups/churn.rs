//! Members that leave and come again.

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

use runtime::{TimedOut, now, sleep_until, spawn, timeout};

use super::group::Group;
use super::{Load, Window};
use crate::units::nanos;

/// Sends members away at the rate of the settings for the measured time, and waits until all are back.
pub(super) async fn run(load: Rc<Load>, groups: Vec<Rc<Group>>, window: Window) {
    let every = Duration::from_secs_f64(1.0 / load.settings.churn.0);
    let is_busy: Rc<Vec<Cell<bool>>> = Rc::new(groups.iter().map(|_| Cell::new(false)).collect());
    let mut turns = Vec::new();
    let mut at = window.from;
    let mut members = vec![0; groups.len()];
    for number in (0..groups.len()).cycle() {
        if window.to <= at {
            break;
        }
        sleep_until(at).await;
        at = at + every;
        if is_busy[number].replace(true) {
            load.measured.borrow_mut().skipped += 1;
            continue;
        }
        let member = members[number];
        members[number] = (member + 1) % load.settings.members;
        let (load, group, is_busy) = (load.clone(), groups[number].clone(), is_busy.clone());
        turns.push(spawn(async move {
            let patience = load.settings.patience.0;
            if let Err(TimedOut) = timeout(patience, turn(&load, &group, member)).await {
                load.measured.borrow_mut().unfinished += 1;
                group.send_away(None);
            }
            is_busy[number].set(false);
        }));
    }
    for turn in turns {
        turn.await;
    }
}

/// One member leaves, and comes again.
async fn turn(load: &Load, group: &Group, member: u32) {
    let begun = now();
    group.send_away(Some(member));
    let divided = group.divided(Some(member)).await;
    let left = nanos(divided.since(begun));
    load.measured.borrow_mut().left.record(left).expect("it grows with its values");
    let begun = now();
    group.send_away(None);
    let divided = group.divided(None).await;
    let joined = nanos(divided.since(begun));
    load.measured.borrow_mut().joined.record(joined).expect("it grows with its values");
}
