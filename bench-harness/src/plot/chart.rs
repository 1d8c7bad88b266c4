//! Lines over an axis, mostly time.

use std::fmt::Write;

use super::{Axis, Color, Dash, FRAME, GRID, Picture, at, escape, legend, open};

/// A chart of lines.
#[derive(Clone, Debug, PartialEq)]
pub struct Chart {
    pub title: String,
    pub x: Axis,
    pub y: Axis,
    pub lines: Vec<Line>,
    pub bands: Vec<Band>,
    pub width: f64,
    pub height: f64,
}

/// A line through points; it is interrupted where a value is not a number.
#[derive(Clone, Debug, PartialEq)]
pub struct Line {
    /// What the legend calls it; lines without a name are left out there.
    pub name: String,
    pub color: Color,
    pub dash: Dash,
    /// Whether what is below it is shaded.
    pub is_filled: bool,
    pub points: Vec<(f64, f64)>,
}

impl Line {
    pub fn new(name: &str, color: Color, points: Vec<(f64, f64)>) -> Line {
        Line { name: name.to_owned(), color, dash: Dash::Solid, is_filled: false, points }
    }

    pub fn dash(self, dash: Dash) -> Line {
        Line { dash, ..self }
    }

    pub fn filled(self) -> Line {
        Line { is_filled: true, ..self }
    }
}

/// A part of the horizontal axis that is shaded, every other one.
#[derive(Clone, Debug, PartialEq)]
pub struct Band {
    pub from: f64,
    pub to: f64,
    pub name: String,
}

const LEFT: f64 = 62.0;
const RIGHT: f64 = 24.0;
const TOP: f64 = 42.0;
const BOTTOM: f64 = 38.0;

impl Chart {
    pub fn picture(&self) -> Picture {
        Picture { title: self.title.clone(), svg: self.svg() }
    }

    fn svg(&self) -> String {
        let mut svg = open(self.width, self.height, &self.title);
        let _ = write!(
            svg,
            "<text x=\"{}\" y=\"14\" font-size=\"13\" font-weight=\"600\">{}</text>",
            at(LEFT),
            escape(&self.title)
        );
        self.draw_bands(&mut svg);
        self.draw_grid(&mut svg);
        for line in &self.lines {
            self.draw_line(&mut svg, line);
        }
        let named = self.lines.iter().filter(|line| !line.name.is_empty());
        let entries: Vec<_> =
            named.map(|line| (line.name.as_str(), line.color, line.dash)).collect();
        svg.push_str(&legend(&entries, LEFT, 32.0));
        svg.push_str("</svg>");
        svg
    }

    fn bottom(&self) -> f64 {
        self.height - BOTTOM
    }

    fn right(&self) -> f64 {
        self.width - RIGHT
    }

    fn x_of(&self, value: f64) -> f64 {
        LEFT + self.x.place(value).clamp(0.0, 1.0) * (self.right() - LEFT)
    }

    fn y_of(&self, value: f64) -> f64 {
        self.bottom() - self.y.place(value).clamp(0.0, 1.0) * (self.bottom() - TOP)
    }

    fn draw_bands(&self, svg: &mut String) {
        for (index, band) in self.bands.iter().enumerate() {
            let (from, to) = (self.x_of(band.from), self.x_of(band.to));
            let height = at(self.bottom() - TOP);
            let (x, width, top) = (at(from), at(to - from), at(TOP));
            let fill = if index % 2 == 1 { "#f1f4f7" } else { "#ffffff" };
            let _ = write!(
                svg,
                "<rect x=\"{x}\" y=\"{top}\" width=\"{width}\" height=\"{height}\" fill=\"{fill}\"><title>{}</title></rect>",
                escape(&band.name)
            );
        }
    }

    fn draw_grid(&self, svg: &mut String) {
        for (value, name) in &self.y.ticks {
            let y = self.y_of(*value);
            let _ = write!(
                svg,
                "<path d=\"M{} {}H{}\" stroke=\"{GRID}\"/><text x=\"{}\" y=\"{}\" text-anchor=\"end\">{}</text>",
                at(LEFT),
                at(y),
                at(self.right()),
                at(LEFT - 6.0),
                at(y + 4.0),
                escape(name)
            );
        }
        for (value, name) in &self.x.ticks {
            let x = self.x_of(*value);
            let _ = write!(
                svg,
                "<path d=\"M{0} {1}V{2}\" stroke=\"{GRID}\"/><text x=\"{0}\" y=\"{3}\" text-anchor=\"middle\">{4}</text>",
                at(x),
                at(TOP),
                at(self.bottom()),
                at(self.bottom() + 15.0),
                escape(name)
            );
        }
        let _ = write!(
            svg,
            "<path d=\"M{0} {1}V{2}H{3}\" fill=\"none\" stroke=\"{FRAME}\"/>",
            at(LEFT),
            at(TOP),
            at(self.bottom()),
            at(self.right())
        );
        let middle = f64::midpoint(LEFT, self.right());
        let _ = write!(
            svg,
            "<text x=\"{}\" y=\"{}\" text-anchor=\"middle\">{}</text>",
            at(middle),
            at(self.height - 6.0),
            escape(&self.x.label)
        );
        let middle = f64::midpoint(TOP, self.bottom());
        let _ = write!(
            svg,
            "<text transform=\"translate(12 {}) rotate(-90)\" text-anchor=\"middle\">{}</text>",
            at(middle),
            escape(&self.y.label)
        );
    }

    fn draw_line(&self, svg: &mut String, line: &Line) {
        // What lies beyond the axis is cut off; only heights are held to the frame.
        let is_shown = |(x, _): &(f64, f64)| self.x.from <= *x && *x <= self.x.to * 1.000_001;
        let is_gap = |(x, y): &(f64, f64)| !x.is_finite() || !y.is_finite();
        let points = line.points.iter().copied();
        let points: Vec<_> = points.filter(|point| is_gap(point) || is_shown(point)).collect();
        for run in points.split(is_gap) {
            if run.is_empty() {
                continue;
            }
            let places: Vec<String> = run
                .iter()
                .map(|(x, y)| format!("{} {}", at(self.x_of(*x)), at(self.y_of(*y))))
                .collect();
            let hex = line.color.hex();
            if line.dash == Dash::Points || run.len() == 1 {
                let dots: String = places.iter().map(|place| format!("M{place}h0")).collect();
                let _ = write!(
                    svg,
                    "<path d=\"{dots}\" stroke=\"{hex}\" stroke-width=\"3.2\" stroke-linecap=\"round\"/>"
                );
                continue;
            }
            let path = format!("M{}", places.join("L"));
            if line.is_filled {
                let (first, last) = (run[0].0, run[run.len() - 1].0);
                let _ = write!(
                    svg,
                    "<path d=\"{path}L{} {b}L{} {b}Z\" fill=\"{hex}\" fill-opacity=\"0.22\"/>",
                    at(self.x_of(last)),
                    at(self.x_of(first)),
                    b = at(self.bottom())
                );
            }
            let width = if line.is_filled { 1.0 } else { 1.7 };
            let _ = write!(
                svg,
                "<path d=\"{path}\" fill=\"none\" stroke=\"{hex}\" stroke-width=\"{width}\" stroke-linejoin=\"round\"{}/>",
                line.dash.attribute()
            );
        }
    }
}
