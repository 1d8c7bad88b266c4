//! How often which latency was seen, over time.
//!
//! Guarantees: counts are added, never averaged; what lies beyond the vertical axis is counted at
//! its end; a long run makes no larger picture, since narrow intervals are joined and cells of one
//! shade that touch are one stroke. Shades are of counts, so a joined interval that is cut short by
//! a gap is lighter.

use std::collections::BTreeMap;
use std::fmt::Write;

use super::frame::{Anchor, Frame, LABEL_HEIGHT, Marker, put_text, put_title, put_words};
use super::{Axis, FRAME, Line, Picture, at, escape, legend, open, text_width};
use crate::units::{count_text, whole};

/// A map of counts, darker where there are more of them.
#[derive(Clone, Debug, PartialEq)]
pub struct HeatMap {
    pub title: String,
    /// Mostly time.
    pub x: Axis,
    /// Mostly latency, by its logarithm.
    pub y: Axis,
    /// What is counted, for the legend: "records".
    pub counted: String,
    /// From left to right, without overlaps.
    pub columns: Vec<HeatColumn>,
    /// Drawn over the cells, on both axes.
    pub lines: Vec<Line>,
    /// Drawn above the map, over the same horizontal axis.
    pub panel: Option<Panel>,
    pub markers: Vec<Marker>,
    pub width: f64,
    /// Of the whole picture.
    pub height: f64,
}

/// What was counted in one interval of the horizontal axis.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct HeatColumn {
    pub from: f64,
    pub to: f64,
    /// Values of the vertical axis in any order and as fine as they come, and how many there were.
    pub counts: Vec<(f64, u64)>,
}

/// A low chart that stands above another.
#[derive(Clone, Debug, PartialEq)]
pub struct Panel {
    pub y: Axis,
    pub lines: Vec<Line>,
}

const LEFT: f64 = 62.0;
const RIGHT: f64 = 24.0;
const TOP: f64 = 40.0;
const BOTTOM: f64 = 38.0;
const PANEL_HEIGHT: f64 = 56.0;
const PANEL_GAP: f64 = 10.0;
/// About as high as a cell is.
const CELL_HEIGHT: f64 = 5.0;
/// Intervals are joined as long as they are narrower than this part of the axis.
const COLUMNS: usize = 120;
/// From few to many (ColorBrewer, Blues); none is white.
const SHADES: [&str; 8] =
    ["#deebf7", "#c6dbef", "#9ecae1", "#6baed6", "#4292c6", "#2171b5", "#08519c", "#08306b"];

/// Cells of one shade that touch each other, in one row.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Run {
    /// From the top.
    row: usize,
    from: f64,
    to: f64,
    shade: usize,
}

impl HeatMap {
    pub fn picture(&self) -> Picture {
        Picture { title: self.title.clone(), svg: self.svg() }
    }

    fn svg(&self) -> String {
        let mut svg = open(self.width, self.height, &self.title);
        put_title(&mut svg, LEFT, &self.title);
        let frame = self.frame();
        if let Some((panel, panel_frame)) = self.panel_and_frame() {
            panel_frame.draw_rows(&mut svg);
            panel_frame.draw_columns(&mut svg);
            panel_frame.draw_sides(&mut svg);
            for line in &panel.lines {
                panel_frame.draw_line(&mut svg, line);
            }
            put_words(&mut svg, LEFT + 5.0, panel_frame.top + 12.0, &panel.y.label);
        }
        frame.draw_rows(&mut svg);
        self.draw_cells(&mut svg, &frame);
        frame.draw_sides(&mut svg);
        frame.draw_names_of_columns(&mut svg);
        frame.draw_name_of_rows(&mut svg);
        for line in &self.lines {
            frame.draw_halo(&mut svg, line);
            frame.draw_line(&mut svg, line);
        }
        // They cross the panel, too.
        let whole = Frame { top: self.panels_top(), ..frame };
        whole.draw_markers(&mut svg, &self.markers, TOP);
        let named = self.lines.iter().filter(|line| !line.name.is_empty());
        let entries: Vec<_> =
            named.map(|line| (line.name.as_str(), line.color, line.dash)).collect();
        svg.push_str(&legend(&entries, LEFT, 31.0));
        self.draw_key(&mut svg);
        svg.push_str("</svg>");
        svg
    }

    /// Below the labels of the markers.
    fn panels_top(&self) -> f64 {
        let bare = self.frame_below(TOP);
        TOP + bare.label_rows(&self.markers) as f64 * LABEL_HEIGHT
    }

    fn frame_below(&self, top: f64) -> Frame<'_> {
        let (right, bottom) = (self.width - RIGHT, self.height - BOTTOM);
        Frame { x: &self.x, y: &self.y, left: LEFT, top, right, bottom }
    }

    fn frame(&self) -> Frame<'_> {
        let panel_height = if self.panel.is_some() { PANEL_HEIGHT + PANEL_GAP } else { 0.0 };
        self.frame_below(self.panels_top() + panel_height)
    }

    fn panel_and_frame(&self) -> Option<(&Panel, Frame<'_>)> {
        let panel = self.panel.as_ref()?;
        let top = self.panels_top();
        Some((panel, Frame { y: &panel.y, top, bottom: top + PANEL_HEIGHT, ..self.frame() }))
    }

    /// How many rows of cells fit into a height.
    fn rows(height: f64) -> usize {
        let rows = whole((height / CELL_HEIGHT).round());
        usize::try_from(rows).expect("as many as a picture has points").max(1)
    }

    /// Neighbouring columns in groups, so that there are not too many; a gap is wider than a group.
    fn groups(&self) -> impl Iterator<Item = &[HeatColumn]> {
        let width_max = (self.x.to - self.x.from) / COLUMNS as f64 * 1.000_001;
        let mut rest = self.columns.as_slice();
        std::iter::from_fn(move || {
            let begin = rest.first()?.from;
            let fitting = rest.iter().take_while(|column| column.to - begin <= width_max);
            let (group, after) = rest.split_at(fitting.count().max(1));
            rest = after;
            Some(group)
        })
    }

    /// Counts by row, from the top, and by group of columns.
    fn cells(&self, rows: usize) -> BTreeMap<(usize, usize), u64> {
        let mut cells = BTreeMap::new();
        for (group, columns) in self.groups().enumerate() {
            for (value, count) in columns.iter().flat_map(|column| &column.counts) {
                let from_top = (1.0 - self.y.place(*value)).clamp(0.0, 1.0) * rows as f64;
                let row = usize::try_from(whole(from_top.floor()));
                let row = row.expect("no more than rows").min(rows - 1);
                *cells.entry((row, group)).or_default() += count;
            }
        }
        cells.retain(|_, count| 0 < *count);
        cells
    }

    /// All that has to be drawn, and the highest count of a cell.
    fn runs(&self, rows: usize) -> (Vec<Run>, u64) {
        let cells = self.cells(rows);
        let count_max = cells.values().copied().max().unwrap_or(0);
        let spans: Vec<(f64, f64)> =
            self.groups().map(|group| (group[0].from, group[group.len() - 1].to)).collect();
        let mut runs: Vec<Run> = Vec::new();
        for ((row, group), count) in cells {
            let (from, to) = spans[group];
            let shade = shade_of(count, count_max);
            match runs.last_mut() {
                Some(last)
                    if last.row == row
                        && last.shade == shade
                        && (last.to - from).abs() < (to - from) * 1e-6 =>
                {
                    last.to = to;
                }
                Some(_) | None => runs.push(Run { row, from, to, shade }),
            }
        }
        (runs, count_max)
    }

    fn draw_cells(&self, svg: &mut String, frame: &Frame) {
        let height = frame.bottom - frame.top;
        let rows = HeatMap::rows(height);
        let cell_height = height / rows as f64;
        let (runs, count_max) = self.runs(rows);
        for (shade, color) in SHADES.iter().enumerate() {
            let mut path = String::new();
            let mut last: Option<(usize, f64)> = None;
            let is_shown = |run: &&Run| self.x.from < run.to && run.from < self.x.to;
            for run in runs.iter().filter(|run| run.shade == shade).filter(is_shown) {
                // Tenths, of which the next is counted on, so that nothing adds up.
                let (from, to) = (tenths(frame.x_of(run.from)), tenths(frame.x_of(run.to)));
                let y = frame.top + (run.row as f64 + 0.5) * cell_height;
                match last.filter(|(row, _)| *row == run.row) {
                    Some((_, end)) => path.push_str(&format!("m{} 0", at(from - end))),
                    None => path.push_str(&format!("M{} {}", at(from), at(y))),
                }
                path.push_str(&format!("h{}", at(to - from)));
                last = Some((run.row, to));
            }
            if path.is_empty() {
                continue;
            }
            let (least, most) = counts_of(shade, count_max);
            let _ = write!(
                svg,
                "<path d=\"{path}\" stroke=\"{color}\" stroke-width=\"{}\">\
                 <title>{least} to {most} {}</title></path>",
                at(cell_height + 0.1),
                escape(&self.counted)
            );
        }
    }

    /// What the shades mean, at the right.
    fn draw_key(&self, svg: &mut String) {
        let frame = self.frame();
        let (_, count_max) = self.runs(HeatMap::rows(frame.bottom - frame.top));
        if count_max == 0 {
            return;
        }
        const SWATCH: f64 = 12.0;
        let most = format!("{} {} in a cell", count_text(count_max as f64), self.counted);
        let mut x = frame.right - text_width(&most) - 5.0 - SWATCH * SHADES.len() as f64;
        put_text(svg, x - 5.0, 31.0, Anchor::End, "1");
        for color in SHADES {
            let _ = write!(
                svg,
                "<rect x=\"{}\" y=\"22\" width=\"{SWATCH}\" height=\"10\" fill=\"{color}\" stroke=\"{FRAME}\" stroke-width=\"0.3\"/>",
                at(x)
            );
            x += SWATCH;
        }
        put_text(svg, x + 5.0, 31.0, Anchor::Start, &most);
    }
}

/// The shade of a count: equal ratios of counts are equally far apart.
fn shade_of(count: u64, count_max: u64) -> usize {
    let place = (count as f64).ln() / (count_max.max(2) as f64).ln();
    let shade = whole((place * SHADES.len() as f64).floor());
    usize::try_from(shade).expect("a shade's number is small").min(SHADES.len() - 1)
}

/// The lowest and the highest count of a shade.
fn counts_of(shade: usize, count_max: u64) -> (u64, u64) {
    let least_of = |shade: usize| {
        let power = shade as f64 / SHADES.len() as f64;
        // Powers are not exact; what is a whole number but for that is one.
        whole((count_max.max(2) as f64).powf(power) - 1e-6) + 1
    };
    let is_last = shade + 1 == SHADES.len();
    let least = if shade == 0 { 1 } else { least_of(shade) };
    (least, if is_last { count_max } else { (least_of(shade + 1) - 1).max(least) })
}

fn tenths(place: f64) -> f64 {
    (place * 10.0).round() / 10.0
}

#[cfg(test)]
mod tests;
