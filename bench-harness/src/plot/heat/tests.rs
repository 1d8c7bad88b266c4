//! Tests of heat maps: where a count goes, and how little is drawn.

use super::*;
use crate::plot::Color;

/// Decades from 1 to 100 over so many seconds.
fn map(columns: Vec<HeatColumn>, seconds: f64) -> HeatMap {
    HeatMap {
        title: "latency".to_owned(),
        x: Axis::linear_to("time, s", seconds, |it| format!("{it}")),
        y: Axis::log("ms", 1.0, 1_000.0, |it| format!("{it}")),
        counted: "records".to_owned(),
        columns,
        lines: Vec::new(),
        panel: None,
        markers: Vec::new(),
        width: 480.0,
        height: 240.0,
    }
}

fn column(from: f64, counts: &[(f64, u64)]) -> HeatColumn {
    HeatColumn { from, to: from + 1.0, counts: counts.to_vec() }
}

#[test]
fn a_count_is_in_the_row_of_its_latency_and_in_the_column_of_its_time() {
    let map = map(vec![column(0.0, &[(1.5, 3), (150.0, 1)]), column(1.0, &[(15.0, 2)])], 2.0);
    // Three rows: a decade each, the highest above.
    let cells: Vec<_> = map.cells(3).into_iter().collect();
    assert_eq!(cells, [((0, 0), 1), ((1, 1), 2), ((2, 0), 3)]);
}

#[test]
fn what_is_beyond_the_axis_is_counted_at_its_end() {
    let map = map(vec![column(0.0, &[(0.0, 1), (1.0, 1), (1_000.0, 2), (9e9, 5)])], 1.0);
    let cells: Vec<_> = map.cells(3).into_iter().collect();
    assert_eq!(cells, [((0, 0), 7), ((2, 0), 2)]);
}

#[test]
fn neighbours_of_one_shade_are_one_run_and_gaps_are_kept() {
    let one = |from| column(from, &[(2.0, 100)]);
    let map = map(vec![one(0.0), one(1.0), one(3.0), column(4.0, &[(2.0, 1)]), one(5.0)], 6.0);
    let (runs, count_max) = map.runs(3);
    let (few, many) = (0, SHADES.len() - 1);
    let spans: Vec<_> = runs.iter().map(|it| (it.row, it.from, it.to, it.shade)).collect();
    let expected =
        [(2, 0.0, 2.0, many), (2, 3.0, 4.0, many), (2, 4.0, 5.0, few), (2, 5.0, 6.0, many)];
    assert_eq!(spans, expected);
    assert_eq!(count_max, 100);
}

#[test]
fn joined_columns_do_not_cover_a_gap() {
    // Two fit into a group, but not two with a gap between them.
    let columns = [0.0, 1.0, 2.0, 9.0, 10.0].map(|from| column(from, &[(2.0, 1)]));
    let map = map(columns.to_vec(), 2.0 * COLUMNS as f64);
    let spans = map.groups().map(|group| (group[0].from, group[group.len() - 1].to));
    assert_eq!(spans.collect::<Vec<_>>(), [(0.0, 2.0), (2.0, 3.0), (9.0, 11.0)]);
}

#[test]
fn shades_are_by_the_logarithm_and_say_which_counts_they_are() {
    assert_eq!((shade_of(1, 100_000_000), shade_of(100_000_000, 100_000_000)), (0, 7));
    assert_eq!([9, 11, 99, 101].map(|count| shade_of(count, 100_000_000)), [0, 1, 1, 2]);
    // Of one there is one shade.
    assert_eq!((shade_of(1, 1), counts_of(0, 1)), (0, (1, 1)));
    for shade in 0..SHADES.len() {
        let (least, most) = counts_of(shade, 5_000_000);
        assert_eq!((shade_of(least, 5_000_000), shade_of(most, 5_000_000)), (shade, shade));
    }
}

#[test]
fn a_long_run_makes_a_small_picture() {
    let columns = |count: u32| {
        let column = |n: u32| {
            let spread = |k: u32| {
                let value = 1.0 + f64::from((n * 31 + k * k * 17) % 700);
                (value, u64::from(1 + (n * 7 + k * 13) % 400))
            };
            column(f64::from(n), &(0..60).map(spread).collect::<Vec<_>>())
        };
        (0..count).map(column).collect()
    };
    let mut map = map(columns(6_000), 6_000.0);
    map.width = 1_000.0;
    map.height = 320.0;
    let p99 = (0..600).map(|n| (f64::from(n) * 10.0, 500.0)).collect();
    map.lines = vec![Line::new("p99", Color::Vermilion, p99)];
    let svg = map.picture().svg;
    assert!(svg.len() < 40_000, "{}", svg.len());
    let groups = map.groups().count();
    assert_eq!(groups, COLUMNS);
    // Nothing is lost by joining.
    let count: u64 = map.columns.iter().flat_map(|it| &it.counts).map(|(_, count)| count).sum();
    assert_eq!(map.cells(40).values().sum::<u64>(), count);
}

#[test]
fn markers_and_the_panel_make_room_for_themselves() {
    let mut map = map(vec![column(0.0, &[(2.0, 1)])], 10.0);
    let bare = map.frame().top;
    map.markers = vec![
        Marker::new(4.0, "kill -9"),
        Marker::new(4.1, "recovered at 4.1 s"),
        Marker::new(99.0, "never"),
    ];
    let marked = map.frame().top;
    assert_eq!(marked - bare, 2.0 * LABEL_HEIGHT);
    map.panel = Some(Panel {
        y: Axis::linear("offered, records/s", 0.0, 10.0, |it| format!("{it}")),
        lines: vec![Line::new("", Color::Gray, vec![(0.0, 1.0), (10.0, 9.0)]).filled()],
    });
    assert_eq!(map.frame().top - marked, PANEL_HEIGHT + PANEL_GAP);
    let svg = map.picture().svg;
    assert!(svg.contains("recovered at 4.1 s") && !svg.contains("never"));
    assert!(svg.contains("offered, records/s"));
}

#[test]
fn nothing_counted_is_an_empty_map() {
    let svg = map(Vec::new(), 1.0).picture().svg;
    assert!(!svg.contains("in a cell") && svg.ends_with("</svg>"));
}
