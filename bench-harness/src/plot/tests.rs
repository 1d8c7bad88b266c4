//! Tests of charts: their axes, and that what they draw stays within them.

use super::*;

fn names(axis: &Axis) -> Vec<&str> {
    axis.ticks.iter().map(|(_, name)| name.as_str()).collect()
}

#[test]
fn a_linear_axis_has_round_values() {
    let axis = Axis::linear("records/s", 0.0, 19_700.0, |it| format!("{it}"));
    assert_eq!(names(&axis), ["0", "5000", "10000", "15000", "20000"]);
    assert_eq!((axis.place(0.0), axis.place(20_000.0)), (0.0, 1.0));
    let seconds = Axis::linear_to("s", 20.0, |it| format!("{it}"));
    assert_eq!((seconds.to, names(&seconds)), (20.0, vec!["0", "5", "10", "15", "20"]));
    // Of nothing there is an axis, too.
    assert_eq!(names(&Axis::linear("", 0.0, 0.0, |it| format!("{it:.1}"))).len(), 6);
}

#[test]
fn a_logarithmic_axis_goes_by_decades_and_their_parts() {
    let axis = Axis::log("ms", 0.03, 40.0, |it| format!("{it}"));
    assert_eq!(names(&axis), ["0.01", "0.1", "1", "10", "100"]);
    assert!((axis.place(1.0) - 0.5).abs() < 1e-9);
    let narrow = Axis::log("ms", 3.0, 40.0, |it| format!("{it:.0}"));
    assert_eq!(names(&narrow), ["2", "5", "10", "20", "50"]);
    assert!(axis.place(0.0).is_finite());
}

#[test]
fn percentiles_are_spread_by_their_nines() {
    let axis = Axis::nines("percentile", 3.5);
    assert_eq!(names(&axis), ["0 %", "90 %", "99 %", "99.9 %", "50 %"]);
    assert!((nines(0.999) - 3.0).abs() < 1e-9);
    assert_eq!(axis.place(nines(0.0)), 0.0);
}

/// All numbers in the paths of a picture, as places.
fn places(svg: &str) -> Vec<(f64, f64)> {
    let paths = svg.split("d=\"M").skip(1).map(|rest| rest.split('"').next().unwrap());
    let points = paths.flat_map(|path| path.split(['L', 'M', 'Z']));
    let pairs = points.filter_map(|point| {
        let (x, y) = point.trim_end_matches("h0").split_once(' ')?;
        Some((x.parse().ok()?, y.parse().ok()?))
    });
    pairs.collect()
}

#[test]
fn lines_stay_within_the_frame_and_break_where_nothing_was_measured() {
    let points =
        vec![(0.0, 1.0), (1.0, 500.0), (2.0, f64::NAN), (3.0, 0.0), (4.0, 9.0), (9.0, 2.0)];
    let chart = Chart {
        title: "a < b".to_owned(),
        x: Axis::linear_to("time, s", 4.0, |it| format!("{it}")),
        y: Axis::log("ms", 1.0, 10.0, |it| format!("{it}")),
        lines: vec![Line::new("p50", Color::Blue, points).filled()],
        bands: vec![Band { from: 0.0, to: 1.0, name: "calm".to_owned() }],
        width: 400.0,
        height: 240.0,
    };
    let svg = chart.picture().svg;
    assert!(svg.contains("a &lt; b") && svg.contains("time, s") && svg.contains(">calm<"));
    assert!(svg.starts_with("<svg") && svg.ends_with("</svg>"));
    let places = places(&svg);
    assert!(10 < places.len());
    for (x, y) in places {
        assert!((0.0..=400.0).contains(&x) && (0.0..=240.0).contains(&y), "{x} {y}");
    }
    // Two runs, each with its shade.
    assert_eq!(svg.matches("stroke-linejoin").count(), 2);
    assert!(!svg.contains("NaN"));
}

#[test]
fn rows_without_a_value_are_named_and_empty() {
    let chart = DotChart {
        title: "throughput".to_owned(),
        x: Axis::linear("MB/s", 0.0, 100.0, |it| format!("{it}")),
        series: vec![("ours".to_owned(), Color::Blue), ("theirs".to_owned(), Color::Vermilion)],
        rows: vec![
            DotRow {
                name: "acks=0".to_owned(),
                dots: vec![Some(Dot { median: 50.0, min: 40.0, max: 60.0 }), None],
            },
            DotRow { name: "acks=all".to_owned(), dots: vec![None, None] },
        ],
        width: 600.0,
    };
    let svg = chart.picture().svg;
    // One mark, and two in the legend.
    assert_eq!(svg.matches("<circle").count(), 3);
    assert!(svg.contains("acks=all"));
}

/// Records over time, with everything that may be added.
fn annotated(markers: Vec<Marker>) -> String {
    let chart = Chart {
        title: "rate and latency".to_owned(),
        x: Axis::linear_to("records/s", 10.0, |it| format!("{it}")),
        y: Axis::linear("ms", 0.0, 10.0, |it| format!("{it}")),
        lines: vec![Line::new("p99", Color::Blue, vec![(0.0, 1.0), (10.0, 9.0)])],
        bands: Vec::new(),
        width: 486.0,
        height: 280.0,
    };
    let points = vec![
        SpreadPoint { x: 5.0, y: 5.0, low: 4.0, high: 8.0 },
        SpreadPoint { x: 7.0, y: f64::NAN, low: 4.0, high: 8.0 },
    ];
    let annotations = Annotations {
        zones: vec![Zone { from: 8.0, to: 10.0, label: "client-bound".to_owned() }],
        markers,
        spreads: vec![Spread { name: "runs".to_owned(), color: Color::Vermilion, points }],
    };
    assert_eq!(chart.picture(), chart.picture_with(&Annotations::default()));
    chart.picture_with(&annotations).svg
}

#[test]
fn zones_are_hatched_and_points_have_bars() {
    let svg = annotated(Vec::new());
    // 400 points wide and 200 high, from 62 and 42 on.
    let zone = "<rect x=\"382\" y=\"42\" width=\"80\" height=\"200\" fill=\"url(#hatch)\"";
    assert!(svg.contains(zone) && svg.contains("<pattern id=\"hatch\""), "{svg}");
    assert!(svg.contains("M259 162h6m-3 0V82m-3 0h6"), "{svg}");
    assert!(svg.contains("<circle cx=\"262\" cy=\"142\""), "{svg}");
    // One point, and one in the legend; what is not a number is not drawn.
    assert_eq!(svg.matches("<circle").count(), 2);
    // The label has room within the frame though its zone has not.
    assert!(svg.contains("y=\"236\" stroke=\"#fff\""), "{svg}");
}

#[test]
fn labels_of_markers_do_not_touch_and_stay_within_the_frame() {
    let markers = vec![
        Marker::new(9.9, "recovered"),
        Marker::new(2.0, "kill -9"),
        Marker::new(2.1, "catch-up reader"),
        Marker::new(8.0, "end"),
        Marker::new(11.0, "beyond"),
    ];
    let svg = annotated(markers);
    let place = |label: &str| {
        let text = svg.split("<text x=\"").find(|it| it.contains(&format!(">{label}<"))).unwrap();
        let mut words = text.split('"');
        let x: f64 = words.next().unwrap().parse().unwrap();
        let y: f64 = words.nth(1).unwrap().parse().unwrap();
        (x, y)
    };
    assert_eq!(place("kill -9"), (146.0, 52.0));
    assert_eq!(place("catch-up reader").1, 65.0, "a row below");
    // Left of its line.
    let (x, _) = place("recovered");
    assert!(x + text_width("recovered") <= 458.0 + 1e-9, "{x}");
    assert!(!svg.contains("beyond"));
}

#[test]
fn names_that_would_touch_are_left_out() {
    let mut x = Axis::linear_to("s", 10.0, |it| format!("{it}"));
    x.ticks = (0..=100).map(|n| (f64::from(n) / 10.0, format!("{n} tenths"))).collect();
    let chart = Chart {
        title: String::new(),
        x,
        y: Axis::linear("ms", 0.0, 1.0, |it| format!("{it}")),
        lines: Vec::new(),
        bands: Vec::new(),
        width: 400.0,
        height: 200.0,
    };
    let named = chart.picture().svg.matches("tenths").count();
    assert!((3..=6).contains(&named), "{named}");
}
