//! Medians with their spread, one row for each thing that was measured.

use std::fmt::Write;

use super::frame::{Anchor, put_text, put_title};
use super::{Axis, Color, Dash, FRAME, GRID, Picture, at, legend, open};

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
        put_title(&mut svg, 8.0, &self.title);
        let entries: Vec<_> =
            self.series.iter().map(|(name, color)| (name.as_str(), *color, Dash::Points)).collect();
        svg.push_str(&legend(&entries, 8.0, 32.0));
        for (value, name) in &self.x.ticks {
            let x = x_of(*value);
            let _ = write!(svg, "<path d=\"M{} {TOP}V{}\" stroke=\"{GRID}\"/>", at(x), at(bottom));
            put_text(&mut svg, x, bottom + 15.0, Anchor::Middle, name);
        }
        let _ = write!(
            svg,
            "<path d=\"M{} {TOP}V{}H{}\" fill=\"none\" stroke=\"{FRAME}\"/>",
            at(left),
            at(bottom),
            at(right)
        );
        put_text(&mut svg, f64::midpoint(left, right), height - 6.0, Anchor::Middle, &self.x.label);
        for (index, row) in self.rows.iter().enumerate() {
            let middle = TOP + (index as f64 + 0.5) * ROW_HEIGHT;
            put_text(&mut svg, left - 8.0, middle + 4.0, Anchor::End, &row.name);
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
