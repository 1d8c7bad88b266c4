//! Lines over an axis, mostly time.

use std::fmt::Write;

use super::frame::{Frame, Marker, put_title, put_words};
use super::{Axis, Color, Dash, HATCH, Picture, at, escape, hatch, legend, open, text_width};

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

/// What a chart may have besides its lines.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Annotations {
    pub zones: Vec<Zone>,
    pub markers: Vec<Marker>,
    pub spreads: Vec<Spread>,
}

/// A part of the horizontal axis that is hatched, because it does not count.
#[derive(Clone, Debug, PartialEq)]
pub struct Zone {
    pub from: f64,
    pub to: f64,
    pub label: String,
}

/// Points, each with a bar from the lowest to the highest of what it stands for.
#[derive(Clone, Debug, PartialEq)]
pub struct Spread {
    /// What the legend calls it; without a name it is left out there.
    pub name: String,
    pub color: Color,
    pub points: Vec<SpreadPoint>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SpreadPoint {
    pub x: f64,
    pub y: f64,
    pub low: f64,
    pub high: f64,
}

const LEFT: f64 = 62.0;
const RIGHT: f64 = 24.0;
const TOP: f64 = 42.0;
const BOTTOM: f64 = 38.0;

impl Chart {
    pub fn picture(&self) -> Picture {
        self.picture_with(&Annotations::default())
    }

    /// With zones behind the lines, and points and markers over them.
    pub fn picture_with(&self, annotations: &Annotations) -> Picture {
        Picture { title: self.title.clone(), svg: self.svg(annotations) }
    }

    fn svg(&self, annotations: &Annotations) -> String {
        let frame = self.frame();
        let mut svg = open(self.width, self.height, &self.title);
        put_title(&mut svg, LEFT, &self.title);
        self.draw_bands(&mut svg);
        frame.draw_rows(&mut svg);
        frame.draw_columns(&mut svg);
        draw_zones(&mut svg, &frame, &annotations.zones);
        frame.draw_names_of_columns(&mut svg);
        frame.draw_sides(&mut svg);
        frame.draw_name_of_rows(&mut svg);
        for line in &self.lines {
            frame.draw_line(&mut svg, line);
        }
        for spread in &annotations.spreads {
            draw_spread(&mut svg, &frame, spread);
        }
        for zone in &annotations.zones {
            put_label(&mut svg, &frame, zone);
        }
        frame.draw_markers(&mut svg, &annotations.markers, TOP);
        let lines = self.lines.iter().map(|line| (line.name.as_str(), line.color, line.dash));
        let spreads = annotations.spreads.iter();
        let spreads = spreads.map(|it| (it.name.as_str(), it.color, Dash::Points));
        let named = lines.chain(spreads).filter(|(name, ..)| !name.is_empty());
        svg.push_str(&legend(&named.collect::<Vec<_>>(), LEFT, 32.0));
        svg.push_str("</svg>");
        svg
    }

    fn frame(&self) -> Frame<'_> {
        let (right, bottom) = (self.width - RIGHT, self.height - BOTTOM);
        Frame { x: &self.x, y: &self.y, left: LEFT, top: TOP, right, bottom }
    }

    fn draw_bands(&self, svg: &mut String) {
        for (index, band) in self.bands.iter().enumerate() {
            let fill = if index % 2 == 1 { "#f1f4f7" } else { "#ffffff" };
            let rect = rect(&self.frame(), band.from, band.to, fill);
            let _ = write!(svg, "{rect}><title>{}</title></rect>", escape(&band.name));
        }
    }
}

/// The beginning of an area as high as the frame.
fn rect(frame: &Frame, from: f64, to: f64, fill: &str) -> String {
    let (left, right) = (frame.x_of(from), frame.x_of(to));
    format!(
        "<rect x=\"{}\" y=\"{}\" width=\"{}\" height=\"{}\" fill=\"{fill}\"",
        at(left),
        at(frame.top),
        at(right - left),
        at(frame.bottom - frame.top)
    )
}

fn draw_zones(svg: &mut String, frame: &Frame, zones: &[Zone]) {
    if zones.is_empty() {
        return;
    }
    svg.push_str(&hatch());
    for zone in zones {
        let rect = rect(frame, zone.from, zone.to, &format!("url(#{HATCH})"));
        let _ = write!(svg, "{rect}><title>{}</title></rect>", escape(&zone.label));
    }
}

/// In the middle of the zone, at its foot, as far as the frame has room.
fn put_label(svg: &mut String, frame: &Frame, zone: &Zone) {
    let width = text_width(&zone.label);
    let middle = f64::midpoint(frame.x_of(zone.from), frame.x_of(zone.to));
    let left = (middle - width / 2.0).min(frame.right - width).max(frame.left + 2.0);
    put_words(svg, left, frame.bottom - 6.0, &zone.label);
}

fn draw_spread(svg: &mut String, frame: &Frame, spread: &Spread) {
    let hex = spread.color.hex();
    let is_shown = |it: &&SpreadPoint| frame.is_shown(it.x) && it.y.is_finite();
    for point in spread.points.iter().filter(is_shown) {
        let (x, y) = (frame.x_of(point.x), frame.y_of(point.y));
        let _ = write!(
            svg,
            "<path d=\"M{left} {low}h6m-3 0V{high}m-3 0h6\" fill=\"none\" stroke=\"{hex}\" stroke-width=\"1.3\"/>\
             <circle cx=\"{}\" cy=\"{}\" r=\"3\" fill=\"{hex}\"/>",
            at(x),
            at(y),
            left = at(x - 3.0),
            low = at(frame.y_of(point.low)),
            high = at(frame.y_of(point.high)),
        );
    }
}
