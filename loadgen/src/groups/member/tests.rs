use crate::units::{Rate, Span, nanos};

use super::*;

const BEGIN: Instant = Instant::from_nanos(1_000_000_000);

fn window(ms: u64) -> Window {
    Window { begin: BEGIN, from: BEGIN, to: BEGIN + Duration::from_millis(ms) }
}

/// All commits of all members, in order.
fn due(settings: &GroupsSettings, window: Window) -> Vec<u64> {
    let mut all = Vec::new();
    for group in 0..settings.groups {
        for member in 0..settings.members {
            let mut schedule = Schedule::new(settings, group, member);
            while schedule.due(window) != Instant::FAR_FUTURE {
                all.push(nanos(schedule.due(window).since(BEGIN)));
                schedule.advance();
            }
        }
    }
    all.sort_unstable();
    all
}

#[test]
fn commits_are_spread_evenly_over_all_members() {
    let settings = GroupsSettings {
        groups: 5,
        members: 3,
        commits: Rate(1000.0),
        warm_up: Span(Duration::ZERO),
        ..GroupsSettings::usual("localhost:1")
    };
    let expected: Vec<u64> = (0..100).map(|number| number * 1_000_000).collect();
    assert_eq!(due(&settings, window(100)), expected);
    let never = GroupsSettings { commits: Rate(0.0), ..settings };
    assert!(due(&never, window(100)).is_empty());
}
