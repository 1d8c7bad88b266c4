//! The part of a picture that axes enclose, and what is drawn the same way in all of them.

use std::fmt::Write;

use super::{Axis, Dash, FRAME, GRID, Line, TEXT, at, escape, text_width};

/// A rectangle between two axes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Frame<'a> {
    pub(super) x: &'a Axis,
    pub(super) y: &'a Axis,
    pub(super) left: f64,
    pub(super) top: f64,
    pub(super) right: f64,
    pub(super) bottom: f64,
}

/// Something that happened: a line across a picture, with its name above.
#[derive(Clone, Debug, PartialEq)]
pub struct Marker {
    /// On the horizontal axis.
    pub at: f64,
    pub label: String,
}

impl Marker {
    pub fn new(at: f64, label: &str) -> Marker {
        Marker { at, label: label.to_owned() }
    }
}

/// Between the lines of labels.
pub(super) const LABEL_HEIGHT: f64 = 13.0;
/// Room for the names of an axis.
const NAME_HEIGHT: f64 = 12.0;
/// Makes words readable that stand on something.
const HALO: &str = "stroke=\"#fff\" stroke-width=\"3\" paint-order=\"stroke\"";

impl Frame<'_> {
    pub(super) fn x_of(&self, value: f64) -> f64 {
        self.left + self.x.place(value).clamp(0.0, 1.0) * (self.right - self.left)
    }

    pub(super) fn y_of(&self, value: f64) -> f64 {
        self.bottom - self.y.place(value).clamp(0.0, 1.0) * (self.bottom - self.top)
    }

    pub(super) fn middle_x(&self) -> f64 {
        f64::midpoint(self.left, self.right)
    }

    pub(super) fn middle_y(&self) -> f64 {
        f64::midpoint(self.top, self.bottom)
    }

    /// Whether a value is on the horizontal axis.
    pub(super) fn is_shown(&self, x: f64) -> bool {
        self.x.from <= x && x <= self.x.to * 1.000_001
    }

    /// The values that are named on the vertical axis; names that would touch are left out.
    pub(super) fn draw_rows(&self, svg: &mut String) {
        let mut named: Vec<f64> = Vec::new();
        for (value, name) in &self.y.ticks {
            let y = self.y_of(*value);
            let _ = write!(
                svg,
                "<path d=\"M{} {}H{}\" stroke=\"{GRID}\"/>",
                at(self.left),
                at(y),
                at(self.right)
            );
            if named.iter().any(|other| (other - y).abs() < NAME_HEIGHT) {
                continue;
            }
            named.push(y);
            put_text(svg, self.left - 6.0, y + 4.0, Anchor::End, name);
        }
    }

    /// Lines at the values that are named on the horizontal axis.
    pub(super) fn draw_columns(&self, svg: &mut String) {
        for (value, _) in &self.x.ticks {
            let (x, top, bottom) = (at(self.x_of(*value)), at(self.top), at(self.bottom));
            let _ = write!(svg, "<path d=\"M{x} {top}V{bottom}\" stroke=\"{GRID}\"/>");
        }
    }

    /// Below the frame: names of values, and of the axis; names that would touch are left out.
    pub(super) fn draw_names_of_columns(&self, svg: &mut String) {
        let mut named: Vec<(f64, f64)> = Vec::new();
        for (value, name) in &self.x.ticks {
            let (x, half) = (self.x_of(*value), text_width(name) / 2.0);
            if named.iter().any(|(other, other_half)| (other - x).abs() < half + other_half) {
                continue;
            }
            named.push((x, half));
            put_text(svg, x, self.bottom + 15.0, Anchor::Middle, name);
        }
        put_text(svg, self.middle_x(), self.bottom + 32.0, Anchor::Middle, &self.x.label);
    }

    /// The left and the lower side.
    pub(super) fn draw_sides(&self, svg: &mut String) {
        let _ = write!(
            svg,
            "<path d=\"M{} {}V{}H{}\" fill=\"none\" stroke=\"{FRAME}\"/>",
            at(self.left),
            at(self.top),
            at(self.bottom),
            at(self.right)
        );
    }

    /// The name of the vertical axis, along it.
    pub(super) fn draw_name_of_rows(&self, svg: &mut String) {
        let _ = write!(
            svg,
            "<text transform=\"translate(12 {}) rotate(-90)\" text-anchor=\"middle\">{}</text>",
            at(self.middle_y()),
            escape(&self.y.label)
        );
    }

    pub(super) fn draw_line(&self, svg: &mut String, line: &Line) {
        for run in self.runs(line) {
            self.draw_run(svg, line, &run);
        }
    }

    /// White along a line that is drawn on something dark.
    pub(super) fn draw_halo(&self, svg: &mut String, line: &Line) {
        for run in self.runs(line).iter().filter(|run| 1 < run.len()) {
            // It is wide enough not to need tenths.
            let place = |(x, y): &(f64, f64)| format!("{:.0} {:.0}", self.x_of(*x), self.y_of(*y));
            let places: Vec<String> = run.iter().map(place).collect();
            let _ = write!(
                svg,
                "<path d=\"M{path}\" fill=\"none\" stroke=\"#fff\" stroke-opacity=\"0.8\" stroke-width=\"4\"/>",
                path = places.join("L")
            );
        }
    }

    /// The parts of a line between its gaps. What lies beyond the horizontal axis is cut off; only
    /// heights are held to the frame.
    fn runs(&self, line: &Line) -> Vec<Vec<(f64, f64)>> {
        let is_gap = |(x, y): &(f64, f64)| !x.is_finite() || !y.is_finite();
        let points = line.points.iter().copied();
        let points: Vec<_> =
            points.filter(|point| is_gap(point) || self.is_shown(point.0)).collect();
        let runs = points.split(is_gap).filter(|run| !run.is_empty());
        runs.map(<[(f64, f64)]>::to_vec).collect()
    }

    fn places(&self, points: &[(f64, f64)]) -> Vec<String> {
        let place = |(x, y): &(f64, f64)| format!("{} {}", at(self.x_of(*x)), at(self.y_of(*y)));
        points.iter().map(place).collect()
    }

    /// A line without gaps.
    fn draw_run(&self, svg: &mut String, line: &Line, run: &[(f64, f64)]) {
        let places = self.places(run);
        let hex = line.color.hex();
        if line.dash == Dash::Points || run.len() == 1 {
            let dots: String = places.iter().map(|place| format!("M{place}h0")).collect();
            let _ = write!(
                svg,
                "<path d=\"{dots}\" stroke=\"{hex}\" stroke-width=\"3.2\" stroke-linecap=\"round\"/>"
            );
            return;
        }
        let path = format!("M{}", places.join("L"));
        if line.is_filled {
            let (first, last) = (run[0].0, run[run.len() - 1].0);
            let _ = write!(
                svg,
                "<path d=\"{path}L{} {b}L{} {b}Z\" fill=\"{hex}\" fill-opacity=\"0.22\"/>",
                at(self.x_of(last)),
                at(self.x_of(first)),
                b = at(self.bottom)
            );
        }
        let width = if line.is_filled { 1.0 } else { 1.7 };
        let _ = write!(
            svg,
            "<path d=\"{path}\" fill=\"none\" stroke=\"{hex}\" stroke-width=\"{width}\" stroke-linejoin=\"round\"{}/>",
            line.dash.attribute()
        );
    }

    /// Lines across the frame, whose names stand in rows from `labels_top` on downwards.
    pub(super) fn draw_markers(&self, svg: &mut String, markers: &[Marker], labels_top: f64) {
        let labels = self.labels(markers);
        let y_of = |label: &Label| labels_top + LABEL_HEIGHT * (label.row as f64 + 1.0) - 3.0;
        for (marker, label) in &labels {
            let (x, y) = (self.x_of(marker.at), y_of(label));
            let _ = write!(
                svg,
                "<path d=\"M{} {}V{}\" stroke=\"{TEXT}\" stroke-width=\"1\" stroke-dasharray=\"3 2\"/>",
                at(x),
                at(y.min(self.top)),
                at(self.bottom)
            );
        }
        // After all lines, so that none goes through them.
        for (marker, label) in &labels {
            put_words(svg, label.left, y_of(label), &marker.label);
        }
    }

    /// How many rows the names of markers take.
    pub(super) fn label_rows(&self, markers: &[Marker]) -> usize {
        self.labels(markers).iter().map(|(_, label)| label.row + 1).max().unwrap_or(0)
    }

    /// Where the names of those markers go that are on the axis: right of their lines, or left of
    /// them where the frame ends, and each in the first row where it touches no other.
    fn labels<'a>(&self, markers: &'a [Marker]) -> Vec<(&'a Marker, Label)> {
        let mut shown: Vec<&Marker> = markers.iter().filter(|it| self.is_shown(it.at)).collect();
        shown.sort_by(|one, other| one.at.total_cmp(&other.at));
        let mut rows: Vec<Vec<(f64, f64)>> = Vec::new();
        let mut labels = Vec::new();
        for marker in shown {
            let (x, width) = (self.x_of(marker.at), text_width(&marker.label));
            let is_right = x + 4.0 + width <= self.right;
            let left = if is_right { x + 4.0 } else { x - 4.0 - width };
            let is_free = |row: &Vec<(f64, f64)>| {
                row.iter().all(|(from, to)| left + width < *from || *to < left)
            };
            let row = rows.iter().position(is_free).unwrap_or(rows.len());
            if row == rows.len() {
                rows.push(Vec::new());
            }
            rows[row].push((x.min(left) - 4.0, (left + width).max(x) + 4.0));
            labels.push((marker, Label { left, row }));
        }
        labels
    }
}

#[derive(Clone, Copy, Debug)]
struct Label {
    left: f64,
    row: usize,
}

/// The name of a picture.
pub(super) fn put_title(svg: &mut String, x: f64, title: &str) {
    let _ = write!(
        svg,
        "<text x=\"{}\" y=\"14\" font-size=\"13\" font-weight=\"600\">{}</text>",
        at(x),
        escape(title)
    );
}

/// Which part of some words has its place where they are put.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Anchor {
    Start,
    Middle,
    End,
}

/// Words beside a drawing.
pub(super) fn put_text(svg: &mut String, x: f64, y: f64, anchor: Anchor, text: &str) {
    let anchor = match anchor {
        Anchor::Start => "",
        Anchor::Middle => " text-anchor=\"middle\"",
        Anchor::End => " text-anchor=\"end\"",
    };
    let _ = write!(svg, "<text x=\"{}\" y=\"{}\"{anchor}>{}</text>", at(x), at(y), escape(text));
}

/// Words on a drawing.
pub(super) fn put_words(svg: &mut String, x: f64, y: f64, text: &str) {
    let _ = write!(svg, "<text x=\"{}\" y=\"{}\" {HALO}>{}</text>", at(x), at(y), escape(text));
}
