//! Charts as SVG: a few kinds, each of which says what its axes are.
//!
//! Guarantees: needs nothing but the text it makes; colours can be told apart by those who see few
//! of them, and lines also by their dashes. Does not know: what is shown.

mod axis;
mod frame;
mod chart;
mod dots;
mod heat;
mod forest;
mod strip;

pub use axis::{Axis, Scale, nines};
pub use chart::{Annotations, Band, Chart, Line, Spread, SpreadPoint, Zone};
pub use dots::{Dot, DotChart, DotRow};
pub use forest::{Better, Comparison, Estimate, ForestPlot, ForestRow, Verdict};
pub use frame::Marker;
pub use heat::{HeatColumn, HeatMap, Panel};
pub use strip::{Strip, StripBand};

/// A drawing with its name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Picture {
    pub title: String,
    /// To stand within a page.
    pub svg: String,
}

impl Picture {
    /// As a file of its own: with the name of its format, and on white.
    pub fn file(&self) -> String {
        let head = "<svg xmlns=\"http://www.w3.org/2000/svg\" style=\"background:#fff\" ";
        format!("{}\n", self.svg.replacen("<svg ", head, 1))
    }
}

/// Colours that differ for everybody (Okabe and Ito, "Color Universal Design").
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Color {
    Blue,
    Vermilion,
    Green,
    Orange,
    Purple,
    Sky,
    Black,
    Gray,
}

impl Color {
    /// For things that have no colour of their own, in order.
    pub const SERIES: [Color; 6] =
        [Color::Blue, Color::Vermilion, Color::Green, Color::Purple, Color::Orange, Color::Sky];

    pub fn hex(self) -> &'static str {
        match self {
            Color::Blue => "#0072b2",
            Color::Vermilion => "#d55e00",
            Color::Green => "#009e73",
            Color::Orange => "#e69f00",
            Color::Purple => "#aa4f86",
            Color::Sky => "#56b4e9",
            Color::Black => "#222222",
            Color::Gray => "#9aa0a6",
        }
    }
}

/// How a line is drawn.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Dash {
    #[default]
    Solid,
    Dashed,
    Dotted,
    /// Only the points.
    Points,
}

impl Dash {
    fn attribute(self) -> &'static str {
        match self {
            Dash::Solid | Dash::Points => "",
            Dash::Dashed => " stroke-dasharray=\"6 3\"",
            Dash::Dotted => " stroke-dasharray=\"1.5 2.5\"",
        }
    }
}

const TEXT: &str = "#333333";
const GRID: &str = "#e4e6e8";
const FRAME: &str = "#9aa0a6";

/// Text between tags.
pub fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

/// A coordinate, to a tenth.
fn at(number: f64) -> String {
    let text = format!("{number:.1}");
    text.strip_suffix(".0").map_or(text.clone(), str::to_owned)
}

/// The width of a text in the font that is used, about.
fn text_width(text: &str) -> f64 {
    text.chars().count() as f64 * 6.1
}

/// The name of the hatching; the same in every picture, as it is the same hatching.
const HATCH: &str = "hatch";

/// Defines the hatching, for pictures with something to hatch.
fn hatch() -> String {
    format!(
        "<defs><pattern id=\"{HATCH}\" width=\"7\" height=\"7\" patternUnits=\"userSpaceOnUse\" \
         patternTransform=\"rotate(45)\"><path d=\"M0 0V7\" stroke=\"{FRAME}\" stroke-width=\"2.4\"/>\
         </pattern></defs>"
    )
}

/// The beginning of a picture.
fn open(width: f64, height: f64, title: &str) -> String {
    format!(
        "<svg viewBox=\"0 0 {width} {height}\" role=\"img\" \
         font-family=\"system-ui,-apple-system,'Segoe UI',sans-serif\" font-size=\"11\" \
         fill=\"{TEXT}\"><title>{}</title>",
        escape(title)
    )
}

/// What the lines mean, from left to right.
fn legend(entries: &[(&str, Color, Dash)], left: f64, top: f64) -> String {
    let mut svg = String::new();
    let mut x = left;
    for (name, color, dash) in entries {
        let middle = top - 4.0;
        svg.push_str(&swatch(x, middle, *color, *dash));
        let text = x + 22.0;
        svg.push_str(&format!(
            "<text x=\"{}\" y=\"{}\">{}</text>",
            at(text),
            at(top),
            escape(name)
        ));
        x = text + text_width(name) + 14.0;
    }
    svg
}

fn swatch(x: f64, y: f64, color: Color, dash: Dash) -> String {
    let hex = color.hex();
    if dash == Dash::Points {
        return format!(
            "<circle cx=\"{}\" cy=\"{}\" r=\"2.4\" fill=\"{hex}\"/>",
            at(x + 9.0),
            at(y)
        );
    }
    format!(
        "<path d=\"M{} {}h18\" stroke=\"{hex}\" stroke-width=\"2\"{}/>",
        at(x),
        at(y),
        dash.attribute()
    )
}

#[cfg(test)]
mod tests;
