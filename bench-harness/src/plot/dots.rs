//! Medians with their spread, one row for each thing that was measured.

use std::fmt::Write;

use super::{Axis, Color, Dash, FRAME, GRID, Picture, at, escape, legend, open};

/// A chart of rows.
#[derive(Clone, Debug, PartialEq)]
pub struct DotChart {
    pub title: String,
    pub x: Axis,
    /// What is compared: name and colour.
    pub series: Vec<(String, Color)>,
    pub rows: Vec<DotRow>,
    pub width: f64,
}

/// One thing, measured for each of the series.
#[derive(Clone, Debug, PartialEq)]
pub struct DotRow {
    pub name: String,
    /// In the order of the series; none was not measured, or is not valid.
    pub dots: Vec<Option<Dot>>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Dot {
    pub median: f64,
    pub min: f64,
    pub max: f64,
}

const RIGHT: f64 = 24.0;
const TOP: f64 = 42.0;
const BOTTOM: f64 = 38.0;
const ROW_HEIGHT: f64 = 22.0;

impl DotChart {
    pub fn picture(&self) -> Picture {
        Picture { title: self.title.clone(), svg: self.svg() }
    }

    fn svg(&self) -> String {
        let names = self.rows.iter().map(|row| super::text_width(&row.name));
        let left = names.fold(60.0, f64::max) + 16.0;
        let bottom = TOP + self.rows.len() as f64 * ROW_HEIGHT;
        let height = bottom + BOTTOM;
        let right = self.width - RIGHT;
        let x_of = |value: f64| left + self.x.place(value).clamp(0.0, 1.0) * (right - left);
        let mut svg = open(self.width, height, &self.title);
        let _ = write!(
            svg,
            "<text x=\"8\" y=\"14\" font-size=\"13\" font-weight=\"600\">{}</text>",
            escape(&self.title)
        );
        let entries: Vec<_> =
            self.series.iter().map(|(name, color)| (name.as_str(), *color, Dash::Points)).collect();
        svg.push_str(&legend(&entries, 8.0, 32.0));
        for (value, name) in &self.x.ticks {
            let _ = write!(
                svg,
                "<path d=\"M{0} {TOP}V{1}\" stroke=\"{GRID}\"/><text x=\"{0}\" y=\"{2}\" text-anchor=\"middle\">{3}</text>",
                at(x_of(*value)),
                at(bottom),
                at(bottom + 15.0),
                escape(name)
            );
        }
        let _ = write!(
            svg,
            "<path d=\"M{0} {TOP}V{1}H{2}\" fill=\"none\" stroke=\"{FRAME}\"/><text x=\"{3}\" y=\"{4}\" text-anchor=\"middle\">{5}</text>",
            at(left),
            at(bottom),
            at(right),
            at(f64::midpoint(left, right)),
            at(height - 6.0),
            escape(&self.x.label)
        );
        for (index, row) in self.rows.iter().enumerate() {
            let middle = TOP + (index as f64 + 0.5) * ROW_HEIGHT;
            let _ = write!(
                svg,
                "<text x=\"{}\" y=\"{}\" text-anchor=\"end\">{}</text>",
                at(left - 8.0),
                at(middle + 4.0),
                escape(&row.name)
            );
            let apart = 6.0;
            let first = middle - apart * (self.series.len().saturating_sub(1)) as f64 / 2.0;
            for (number, (dot, (_, color))) in row.dots.iter().zip(&self.series).enumerate() {
                let Some(dot) = dot else { continue };
                let y = first + number as f64 * apart;
                let _ = write!(
                    svg,
                    "<path d=\"M{} {y}H{}\" stroke=\"{hex}\" stroke-width=\"1.5\"/><circle cx=\"{}\" cy=\"{y}\" r=\"3.2\" fill=\"{hex}\"/>",
                    at(x_of(dot.min)),
                    at(x_of(dot.max)),
                    at(x_of(dot.median)),
                    y = at(y),
                    hex = color.hex()
                );
            }
        }
        svg.push_str("</svg>");
        svg
    }
}
