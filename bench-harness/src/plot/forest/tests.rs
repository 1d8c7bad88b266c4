//! Tests of forest plots: verdicts, their text, and where they are drawn.

use expect_test::{Expect, expect};

use super::*;

fn interval(ratio: f64, low: f64, high: f64) -> Estimate {
    Estimate::Interval { ratio, low, high }
}

fn plot(estimates: Vec<Estimate>) -> ForestPlot {
    let row = |(number, estimate)| {
        ForestRow::Comparison(Comparison { name: format!("row {number}"), estimate })
    };
    ForestPlot {
        title: "throughput".to_owned(),
        x: Axis::ratio("ratio, log scale", 0.5, 2.0, |it| format!("{it}")),
        sides: ("theirs better".to_owned(), "ours better".to_owned()),
        better: Better::Above,
        rows: estimates.into_iter().enumerate().map(row).collect(),
        width: 600.0,
    }
}

#[test]
fn a_verdict_needs_an_interval_without_1() {
    let verdict =
        |estimate: Estimate| (estimate.verdict(Better::Above), estimate.verdict(Better::Below));
    let (good, bad, open) = (Some(Verdict::Better), Some(Verdict::Worse), Some(Verdict::Undecided));
    assert_eq!(verdict(interval(1.43, 1.21, 1.6)), (good, bad));
    assert_eq!(verdict(interval(0.7, 0.6, 0.99)), (bad, good));
    assert_eq!(verdict(interval(1.43, 0.98, 1.6)), (open, open));
    assert_eq!(verdict(interval(1.2, 1.0, 1.6)), (open, open));
    assert_eq!(verdict(Estimate::AtLeast(1.3)), (good, bad));
    assert_eq!(verdict(Estimate::AtLeast(0.8)), (open, open));
    assert_eq!(verdict(Estimate::AtMost(0.8)), (bad, good));
    assert_eq!(verdict(Estimate::Invalid("client-bound".to_owned())), (None, None));
}

#[test]
fn ratios_are_printed_with_their_intervals() {
    let check = |estimate: Estimate, expected: Expect| expected.assert_eq(&estimate.text());
    check(interval(1.43, 1.214, 1.6), expect!["1.43 (1.21–1.60)"]);
    check(interval(12.34, 0.056, 123.4), expect!["12.3 (0.056–123)"]);
    check(interval(0.995, 0.991, 0.999), expect!["0.995 (0.991–0.999)"]);
    check(Estimate::AtLeast(1.4), expect!["≥ 1.40"]);
    check(Estimate::AtMost(0.71), expect!["≤ 0.71"]);
    check(Estimate::Invalid("lost".to_owned()), expect!["–"]);
}

#[test]
fn one_is_in_the_middle_of_an_even_axis_and_equal_ratios_are_equally_far() {
    let plot = plot(vec![interval(1.0, 0.9, 1.1)]);
    let columns = plot.columns();
    let middle = f64::midpoint(columns.left, columns.right);
    let of = |ratio| plot.x_of(columns, ratio);
    assert!((of(1.0) - middle).abs() < 1e-9);
    assert!(((of(1.6) - middle) - (middle - of(1.0 / 1.6))).abs() < 1e-9);
    assert_eq!((of(0.01), of(100.0)), (columns.left, columns.right));
}

#[test]
fn verdicts_differ_in_shape_and_bounds_are_hollow() {
    let shapes = |estimate| {
        let svg = plot(vec![estimate]).picture().svg;
        // Only the row, not the legend.
        let row = svg[svg.find("<g>").unwrap()..].to_owned();
        (
            row.matches("<circle").count(),
            row.matches("l5 5").count(),
            row.contains("#fff\" stroke=\"#"),
        )
    };
    assert_eq!(shapes(interval(1.4, 1.2, 1.6)), (1, 0, false));
    assert_eq!(shapes(interval(0.7, 0.6, 0.8)), (0, 1, false));
    assert_eq!(shapes(interval(1.1, 0.9, 1.3)), (0, 0, false));
    assert_eq!(shapes(Estimate::AtLeast(1.4)), (1, 0, true));
}

#[test]
fn what_is_not_valid_is_words_that_fit() {
    let why = "the load generator needed more than 80 % of its processor in two of three runs";
    let svg = plot(vec![Estimate::Invalid(why.to_owned())]).picture().svg;
    assert!(!svg.contains("stroke-width=\"2\""), "no interval is drawn");
    assert!(svg.contains(&format!("<title>row 0: {why}</title>")));
    assert!(svg.contains("the load generator needed") && svg.contains('…'));
    assert_eq!(shortened("client-bound", 100.0), "client-bound");
    let shorter = shortened(why, 100.0);
    assert!(text_width(&shorter) <= 100.0 && shorter.ends_with('…'), "{shorter}");
}

#[test]
fn an_end_beyond_the_axis_is_an_arrow() {
    let arrows = |estimate| plot(vec![estimate]).picture().svg.matches(" 4z\"").count();
    assert_eq!(arrows(interval(1.4, 1.2, 1.6)), 0);
    assert_eq!(arrows(interval(1.4, 1.2, 9.0)), 1);
    assert_eq!(arrows(interval(1.4, 0.1, 9.0)), 2);
    // The axis is held to what it names, so 1 is always on it.
    let axis = Axis::ratio("", 3.0, 8.0, |it| format!("{it}"));
    assert!(0.0 < axis.place(1.0) && axis.place(1.0) < 1.0);
}
