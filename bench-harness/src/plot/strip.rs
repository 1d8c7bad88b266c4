//! What many things do at the same time: a narrow band for each, of areas upon areas.

use std::fmt::Write;

use super::frame::{Anchor, Frame, put_text, put_title};
use super::{Axis, Color, FRAME, GRID, Picture, Scale, at, escape, open, text_width};
use crate::units::whole;

/// Bands over one horizontal axis; each goes from 0 to 100 %.
#[derive(Clone, Debug, PartialEq)]
pub struct Strip {
    pub title: String,
    /// Mostly time.
    pub x: Axis,
    /// What the areas are: name and colour, from the lowest to the highest.
    pub series: Vec<(String, Color)>,
    pub bands: Vec<StripBand>,
    pub width: f64,
}

/// One thing.
#[derive(Clone, Debug, PartialEq)]
pub struct StripBand {
    pub name: String,
    /// Shares from 0 to 1 over the same values of the horizontal axis, in the order of the series;
    /// together they are at most 1.
    pub areas: Vec<Vec<(f64, f64)>>,
}

const RIGHT: f64 = 24.0;
const TOP: f64 = 42.0;
const BOTTOM: f64 = 38.0;
const BAND_HEIGHT: f64 = 34.0;
const BAND_GAP: f64 = 6.0;
/// Points of all bands together, so that many processors make no larger picture.
const POINTS_MAX: usize = 2_000;
const POINTS_OF_BAND_MAX: usize = 300;
const POINTS_OF_BAND_MIN: usize = 12;

impl Strip {
    pub fn picture(&self) -> Picture {
        Picture { title: self.title.clone(), svg: self.svg() }
    }

    fn svg(&self) -> String {
        let count = self.bands.len();
        let bottom = TOP + count as f64 * (BAND_HEIGHT + BAND_GAP) - BAND_GAP;
        let bottom = bottom.max(TOP);
        let names = self.bands.iter().map(|band| text_width(&band.name));
        let left = names.fold(30.0, f64::max) + 46.0;
        let share = shares();
        let frame =
            Frame { x: &self.x, y: &share, left, top: TOP, right: self.width - RIGHT, bottom };
        let mut svg = open(self.width, bottom + BOTTOM, &self.title);
        put_title(&mut svg, 8.0, &self.title);
        self.draw_legend(&mut svg);
        for (index, band) in self.bands.iter().enumerate() {
            let top = TOP + index as f64 * (BAND_HEIGHT + BAND_GAP);
            self.draw_band(&mut svg, band, &Frame { top, bottom: top + BAND_HEIGHT, ..frame });
        }
        frame.draw_names_of_columns(&mut svg);
        svg.push_str("</svg>");
        svg
    }

    fn draw_legend(&self, svg: &mut String) {
        let mut x = 8.0;
        for (name, color) in &self.series {
            let hex = color.hex();
            let _ = write!(
                svg,
                "<rect x=\"{}\" y=\"23\" width=\"12\" height=\"10\" fill=\"{hex}\"/>",
                at(x)
            );
            put_text(svg, x + 17.0, 32.0, Anchor::Start, name);
            x += 17.0 + text_width(name) + 14.0;
        }
    }

    fn draw_band(&self, svg: &mut String, band: &StripBand, frame: &Frame) {
        let (right, middle) = (at(frame.right), at(frame.middle_y()));
        let _ = write!(svg, "<g><title>{}</title>", escape(&band.name));
        let _ = write!(
            svg,
            "<path d=\"M{} {}H{right}M{} {middle}H{right}\" stroke=\"{GRID}\"/>",
            at(frame.left),
            at(frame.top),
            at(frame.left)
        );
        frame.draw_columns(svg);
        let each_max = POINTS_MAX / (self.bands.len() * self.series.len()).max(1);
        let points_max = each_max.clamp(POINTS_OF_BAND_MIN, POINTS_OF_BAND_MAX);
        // The highest first; each of the others covers the part that is not its own.
        for (edge, (_, color)) in edges(&band.areas, &self.x, points_max).zip(&self.series).rev() {
            draw_area(svg, frame, &edge, *color);
        }
        let _ = write!(
            svg,
            "<path d=\"M{} {}V{}H{right}\" fill=\"none\" stroke=\"{FRAME}\"/>",
            at(frame.left),
            at(frame.top),
            at(frame.bottom)
        );
        put_text(svg, frame.left - 40.0, frame.middle_y() + 4.0, Anchor::End, &band.name);
        put_small(svg, frame.left - 5.0, frame.top + 8.0, "100 %");
        put_small(svg, frame.left - 5.0, frame.bottom, "0");
        svg.push_str("</g>");
    }
}

fn put_small(svg: &mut String, x: f64, y: f64, text: &str) {
    let _ = write!(
        svg,
        "<text x=\"{}\" y=\"{}\" text-anchor=\"end\" font-size=\"9\">{text}</text>",
        at(x),
        at(y)
    );
}

/// From nothing to everything.
fn shares() -> Axis {
    Axis { label: String::new(), scale: Scale::Linear, from: 0.0, to: 1.0, ticks: Vec::new() }
}

/// The upper edges of areas that lie on each other, of so many points at most.
fn edges(
    areas: &[Vec<(f64, f64)>],
    x: &Axis,
    points_max: usize,
) -> impl DoubleEndedIterator<Item = Vec<(f64, f64)>> + ExactSizeIterator {
    let mut edges: Vec<Vec<(f64, f64)>> = Vec::new();
    for area in areas {
        let mut edge = thinned(area, x, points_max);
        if let Some(below) = edges.last() {
            for (point, (_, share)) in edge.iter_mut().zip(below) {
                point.1 += share;
            }
        }
        edges.push(edge);
    }
    edges.into_iter()
}

/// The means of as many equal parts of the axis, at the middle of the points of each; parts without
/// points are left out.
fn thinned(points: &[(f64, f64)], x: &Axis, points_max: usize) -> Vec<(f64, f64)> {
    let mut parts = vec![(0.0, 0.0, 0_u32); points_max];
    for (at, value) in points {
        let place = x.place(*at);
        if !(0.0..=1.0).contains(&place) || !value.is_finite() {
            continue;
        }
        let part = whole((place * points_max as f64).floor());
        let part = usize::try_from(part).expect("no more than parts").min(points_max - 1);
        let (at_sum, value_sum, count) = &mut parts[part];
        *at_sum += at;
        *value_sum += value;
        *count += 1;
    }
    let filled = parts.into_iter().filter(|(.., count)| 0 < *count);
    filled.map(|(at, value, count)| (at / f64::from(count), value / f64::from(count))).collect()
}

/// Everything below an edge.
fn draw_area(svg: &mut String, frame: &Frame, edge: &[(f64, f64)], color: Color) {
    let (Some((first, _)), Some((last, _))) = (edge.first(), edge.last()) else { return };
    let place = |(x, y): &(f64, f64)| format!("{} {}", at(frame.x_of(*x)), at(frame.y_of(*y)));
    let places: Vec<String> = edge.iter().map(place).collect();
    let _ = write!(
        svg,
        "<path d=\"M{} {bottom}L{}L{} {bottom}Z\" fill=\"{}\"/>",
        at(frame.x_of(*first)),
        places.join("L"),
        at(frame.x_of(*last)),
        color.hex(),
        bottom = at(frame.bottom)
    );
}

#[cfg(test)]
mod tests;
