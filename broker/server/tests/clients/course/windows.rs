//! Counts by windows of event time. What is expected here was counted by hand.

use serde_json::{Value, json};

use crate::scripts::python_in;

use super::result_of;

fn windows(kind: &str) -> Option<Value> {
    let mut command = python_in("course/python", "windows.py")?;
    command.arg(kind);
    result_of(&format!("windows-{kind}"), Some(command))
}

#[test]
fn tumbling_windows_count_each_click_once_and_close_when_the_watermark_passes() {
    let Some(result) = windows("tumbling") else { return };
    let expected = json!({
        "closed": [
            [0, 60, "ada", 3], [0, 60, "ben", 2],
            [60, 120, "ada", 2], [60, 120, "ben", 2],
            [120, 180, "ada", 1], [120, 180, "ben", 1],
        ],
        "open": [[180, 240, "ada", 1]],
        "late": [[5, "ben"], [110, "ben"]],
    });
    assert_eq!(result, expected);
}

/// The click at 110 comes too late for one of its three windows only.
#[test]
fn sliding_windows_overlap_and_a_click_can_be_late_for_some_of_them() {
    let Some(result) = windows("sliding") else { return };
    let expected = json!({
        "closed": [
            [-40, 20, "ada", 1], [-40, 20, "ben", 1],
            [-20, 40, "ada", 2], [-20, 40, "ben", 1],
            [0, 60, "ada", 3], [0, 60, "ben", 2],
            [20, 80, "ada", 3], [20, 80, "ben", 2],
            [40, 100, "ada", 2], [40, 100, "ben", 3],
            [60, 120, "ada", 2], [60, 120, "ben", 2],
            [80, 140, "ada", 2], [80, 140, "ben", 3],
            [100, 160, "ada", 2], [100, 160, "ben", 2],
            [120, 180, "ada", 1], [120, 180, "ben", 1],
        ],
        "open": [[160, 220, "ada", 1], [180, 240, "ada", 1], [200, 260, "ada", 1]],
        "late": [[5, "ben"]],
    });
    assert_eq!(result, expected);
}

/// The click at 110 begins a session that the one at 128 goes on with, after the session before it has
/// ended.
#[test]
fn sessions_last_as_long_as_clicks_follow_each_other() {
    let Some(result) = windows("session") else { return };
    let expected = json!({
        "closed": [
            [12, 42, "ben", 1], [0, 95, "ada", 4], [55, 125, "ben", 3],
            [100, 130, "ada", 1], [110, 158, "ben", 2], [135, 165, "ada", 1],
        ],
        "open": [[215, 245, "ada", 1]],
        "late": [[5, "ben"]],
    });
    assert_eq!(result, expected);
}
