//! Tests of strips: areas lie upon each other, and many processors make no larger picture.

use super::*;

fn strip(bands: usize, points: u32) -> Strip {
    let area = |share: f64| (0..points).map(|n| (f64::from(n), share)).collect();
    let band = |number: usize| StripBand {
        name: format!("cpu{number}"),
        areas: vec![area(0.5), area(0.25), area(0.125)],
    };
    Strip {
        title: "Processors".to_owned(),
        x: Axis::linear_to("time, s", f64::from(points), |it| format!("{it}")),
        series: vec![
            ("user".to_owned(), Color::Blue),
            ("kernel".to_owned(), Color::Orange),
            ("steal".to_owned(), Color::Black),
        ],
        bands: (0..bands).map(band).collect(),
        width: 800.0,
    }
}

#[test]
fn areas_lie_upon_each_other() {
    let strip = strip(1, 4);
    let edges: Vec<_> = edges(&strip.bands[0].areas, &strip.x, 4).collect();
    let heights: Vec<f64> = edges.iter().map(|edge| edge[3].1).collect();
    assert_eq!(heights, [0.5, 0.75, 0.875]);
    // The highest is drawn first, so that the others cover its lower part.
    let svg = strip.picture().svg;
    let areas = &svg[svg.find("<g>").unwrap()..];
    let place = |color: Color| areas.find(color.hex()).unwrap();
    assert!(place(Color::Black) < place(Color::Orange));
    assert!(place(Color::Orange) < place(Color::Blue));
}

#[test]
fn points_are_joined_to_means_and_those_beyond_the_axis_left_out() {
    let axis = Axis::linear_to("s", 4.0, |it| format!("{it}"));
    let points = [(-1.0, 9.0), (0.5, 0.2), (1.5, 0.4), (3.0, 0.6), (3.5, f64::NAN), (5.0, 9.0)];
    let thinned = thinned(&points, &axis, 2);
    assert_eq!(thinned.len(), 2);
    assert!((thinned[0].0 - 1.0).abs() < 1e-9 && (thinned[0].1 - 0.3).abs() < 1e-9);
    assert_eq!(thinned[1], (3.0, 0.6));
}

#[test]
fn many_processors_and_a_long_time_make_a_small_picture() {
    for (bands, points) in [(2, 10_000), (16, 10_000)] {
        let svg = strip(bands, points).picture().svg;
        assert!(svg.len() < 40_000, "{bands} bands: {}", svg.len());
        assert_eq!(svg.matches("text-anchor=\"end\">cpu").count(), bands);
    }
}

#[test]
fn nothing_to_show_is_an_empty_strip() {
    let svg = strip(0, 1).picture().svg;
    assert!(svg.contains("user") && svg.ends_with("</svg>"));
}
