use super::*;

const GIB: u64 = 1 << 30;

#[test]
fn limits_are_a_share_of_the_disk_and_of_a_large_one_no_more_than_matters() {
    let none = DiskConfig { slow_below_bytes: None, refuse_below_bytes: None };
    let limits = |config: DiskConfig, total_bytes| {
        let limits = Limits::of(config, total_bytes);
        (limits.slow_below_bytes, limits.refuse_below_bytes)
    };
    assert_eq!(limits(none, 64_000_000), (3_200_000, 640_000));
    assert_eq!(limits(none, 4000 * GIB), (8 * GIB, 2 * GIB));
    // What is said goes before what is not, and takes it along.
    let slow = DiskConfig { slow_below_bytes: Some(1000), ..none };
    assert_eq!(limits(slow, 64_000_000), (1000, 1000));
    let refuse = DiskConfig { refuse_below_bytes: Some(9 * GIB), ..none };
    assert_eq!(limits(refuse, 4000 * GIB), (9 * GIB, 9 * GIB));
}

#[test]
fn there_has_to_be_more_room_to_come_back_than_to_leave() {
    let limits = Limits { slow_below_bytes: 1600, refuse_below_bytes: 400 };
    let mut level = Level::Ok;
    let mut seen = Vec::new();
    for free in [1600, 1599, 1650, 400, 399, 400, 699, 700, 1599, 1699, 1700, 1600, 0, 5000] {
        level = limits.level(level, free);
        seen.push((free, level));
    }
    let (ok, slow, full) = (Level::Ok, Level::Slow, Level::Full);
    let levels: Vec<Level> = seen.iter().map(|(_, level)| *level).collect();
    assert_eq!(
        levels,
        [ok, slow, slow, slow, full, full, full, slow, slow, slow, ok, ok, full, ok],
        "{seen:?}"
    );
    // Zero switches a level off.
    let off = Limits { slow_below_bytes: 0, refuse_below_bytes: 0 };
    assert_eq!(off.level(Level::Ok, 0), Level::Ok);
    // One limit for both still does not flicker.
    let one = Limits { slow_below_bytes: 1600, refuse_below_bytes: 1600 };
    assert_eq!(one.level(Level::Full, 1600), Level::Full);
    assert_eq!(one.level(Level::Full, 1700), Level::Ok);
}

#[test]
fn a_rest_grows_along_the_slope_and_with_what_was_produced() {
    let limits = Limits { slow_below_bytes: 1000, refuse_below_bytes: 200 };
    let rest_ms = |level, free_bytes, bytes| {
        DiskReport { level, free_bytes, total_bytes: 10_000, limits }.rest(bytes).as_millis()
    };
    assert_eq!(rest_ms(Level::Ok, 5000, 1 << 20), 0);
    let slope: Vec<u128> =
        [1050, 1000, 800, 600, 400, 200].map(|free| rest_ms(Level::Slow, free, 1 << 20)).into();
    assert_eq!(slope, [0, 0, 250, 500, 750, 1000]);
    assert_eq!(rest_ms(Level::Slow, 600, 64 << 10), 31);
    assert_eq!(rest_ms(Level::Full, 300, 2 << 20), 2000);
}

#[test]
fn it_is_looked_more_often_the_nearer_the_next_level_is() {
    let limits = Limits { slow_below_bytes: 8 * GIB, refuse_below_bytes: 2 * GIB };
    let wait = |level, free_bytes| {
        DiskReport { level, free_bytes, total_bytes: u64::MAX, limits }.look_after()
    };
    assert_eq!(wait(Level::Ok, u64::MAX), LOOK_EVERY_MAX);
    assert_eq!(wait(Level::Ok, 9 * GIB), Duration::from_millis(500));
    assert_eq!(wait(Level::Ok, 8 * GIB), LOOK_EVERY_MIN);
    assert_eq!(wait(Level::Slow, 7 * GIB), LOOK_EVERY_WHEN_LOW);
    assert_eq!(wait(Level::Slow, 2 * GIB), LOOK_EVERY_MIN);
}
