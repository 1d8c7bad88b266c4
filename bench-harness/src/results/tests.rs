//! Tests of names.

use super::*;

#[test]
fn dates_are_those_of_the_calendar() {
    let text = |seconds| Moment { seconds }.text();
    assert_eq!(text(0), "1970-01-01 00:00:00 UTC");
    assert_eq!(text(951_782_399), "2000-02-28 23:59:59 UTC");
    assert_eq!(text(951_782_400), "2000-02-29 00:00:00 UTC");
    assert_eq!(text(1_709_251_199), "2024-02-29 23:59:59 UTC");
    assert_eq!(text(4_107_542_400), "2100-03-01 00:00:00 UTC");
    let moment = Moment { seconds: 1_795_737_626 };
    assert_eq!(
        (moment.date().as_str(), moment.compact().as_str()),
        ("2026-11-27", "20261127-000026")
    );
}

#[test]
fn the_workspace_is_where_this_crate_is() {
    assert!(workspace_root().join("Cargo.toml").exists());
    assert_eq!(commit(Path::new("/nowhere")), "no-commit");
}
