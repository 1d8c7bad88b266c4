//! Ratios with their intervals of confidence, one row for each thing that was compared.
//!
//! Guarantees: what is not sure does not look as if it were: an interval with 1 in it is neither
//! better nor worse, a bound without an estimate is hollow and has an arrow, and what is not valid
//! is words. Better and worse differ in shape as well as in colour.

use std::fmt::Write;

use super::frame::{Anchor, put_text, put_title};
use super::{Axis, Color, FRAME, GRID, Picture, TEXT, at, escape, open, text_width};

/// A chart of ratios around 1.
#[derive(Clone, Debug, PartialEq)]
pub struct ForestPlot {
    pub title: String,
    /// Logarithmic, with 1 in it; see [`Axis::ratio`].
    pub x: Axis,
    /// What it means to be below 1, and above: "Kafka better", "Highwater better".
    pub sides: (String, String),
    pub better: Better,
    pub rows: Vec<ForestRow>,
    pub width: f64,
}

/// On which side of 1 the thing is that is to win.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Better {
    Below,
    Above,
}

#[derive(Clone, Debug, PartialEq)]
pub enum ForestRow {
    /// The name of the rows that follow.
    Heading(String),
    Comparison(Comparison),
}

/// One thing that was measured for both.
#[derive(Clone, Debug, PartialEq)]
pub struct Comparison {
    pub name: String,
    pub estimate: Estimate,
}

/// What is known of a ratio.
#[derive(Clone, Debug, PartialEq)]
pub enum Estimate {
    Interval {
        ratio: f64,
        low: f64,
        high: f64,
    },
    /// The true ratio is no lower, but perhaps much higher.
    AtLeast(f64),
    /// The true ratio is no higher, but perhaps much lower.
    AtMost(f64),
    /// Why there is none.
    Invalid(String),
}

/// What a ratio says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    Better,
    Worse,
    /// It may be either.
    Undecided,
}

impl Estimate {
    /// None of what is not valid.
    pub fn verdict(&self, better: Better) -> Option<Verdict> {
        let (low, high) = match self {
            Estimate::Interval { low, high, .. } => (*low, *high),
            Estimate::AtLeast(low) => (*low, f64::INFINITY),
            Estimate::AtMost(high) => (0.0, *high),
            Estimate::Invalid(_) => return None,
        };
        let (is_above, is_below) = (1.0 < low, high < 1.0);
        let verdict = match (better, is_above, is_below) {
            (Better::Above, true, _) | (Better::Below, _, true) => Verdict::Better,
            (Better::Above, _, true) | (Better::Below, true, _) => Verdict::Worse,
            (Better::Above | Better::Below, false, false) => Verdict::Undecided,
        };
        Some(verdict)
    }

    /// As it is printed: `1.43 (1.21–1.60)`, `≥ 1.43`.
    pub fn text(&self) -> String {
        match self {
            Estimate::Interval { ratio, low, high } => {
                let is_narrow = high - low < NARROW && *high < 10.0;
                let text = |ratio: f64| {
                    if is_narrow { format!("{ratio:.3}") } else { ratio_text(ratio) }
                };
                format!("{} ({}–{})", text(*ratio), text(*low), text(*high))
            }
            Estimate::AtLeast(low) => format!("≥ {}", ratio_text(*low)),
            Estimate::AtMost(high) => format!("≤ {}", ratio_text(*high)),
            Estimate::Invalid(_) => "–".to_owned(),
        }
    }
}

impl Verdict {
    const ALL: [Verdict; 3] = [Verdict::Better, Verdict::Worse, Verdict::Undecided];

    fn name(self) -> &'static str {
        match self {
            Verdict::Better => "better",
            Verdict::Worse => "worse",
            Verdict::Undecided => "undecided",
        }
    }

    fn color(self) -> Color {
        match self {
            Verdict::Better => Color::Blue,
            Verdict::Worse => Color::Vermilion,
            Verdict::Undecided => Color::Gray,
        }
    }

    /// A circle, a diamond, a square.
    fn draw_mark(self, svg: &mut String, x: f64, y: f64, is_hollow: bool) {
        let hex = self.color().hex();
        let fill = if is_hollow { "#fff" } else { hex };
        let paint = format!("fill=\"{fill}\" stroke=\"{hex}\" stroke-width=\"1.5\"");
        let (x_text, y_text) = (at(x), at(y));
        let _ = match self {
            Verdict::Better => {
                write!(svg, "<circle cx=\"{x_text}\" cy=\"{y_text}\" r=\"4\" {paint}/>")
            }
            Verdict::Worse => {
                write!(svg, "<path d=\"M{x_text} {}l5 5-5 5-5-5z\" {paint}/>", at(y - 5.0))
            }
            Verdict::Undecided => {
                write!(svg, "<path d=\"M{} {}h7v7h-7z\" {paint}/>", at(x - 3.5), at(y - 3.5))
            }
        };
    }
}

/// Ends of an interval that are no further apart need three digits behind the point.
const NARROW: f64 = 0.05;

/// Two digits behind the point, as long as they are worth something.
fn ratio_text(ratio: f64) -> String {
    match ratio {
        ..0.0995 => format!("{ratio:.3}"),
        ..9.995 => format!("{ratio:.2}"),
        ..99.95 => format!("{ratio:.1}"),
        _ => format!("{ratio:.0}"),
    }
}

const TOP: f64 = 58.0;
const BOTTOM: f64 = 38.0;
const ROW_HEIGHT: f64 = 20.0;
const HEADING_HEIGHT: f64 = 26.0;
const ARROW: f64 = 40.0;

/// Where the parts of a row are.
#[derive(Clone, Copy, Debug)]
struct Columns {
    left: f64,
    right: f64,
}

impl ForestPlot {
    pub fn picture(&self) -> Picture {
        Picture { title: self.title.clone(), svg: self.svg() }
    }

    fn svg(&self) -> String {
        let columns = self.columns();
        let bottom = TOP + self.rows.iter().map(ForestRow::height).sum::<f64>() + 4.0;
        let mut svg = open(self.width, bottom + BOTTOM, &self.title);
        put_title(&mut svg, 8.0, &self.title);
        self.draw_legend(&mut svg);
        self.draw_axis(&mut svg, columns, bottom);
        let mut top = TOP;
        for row in &self.rows {
            match row {
                ForestRow::Heading(name) => {
                    let _ = write!(
                        svg,
                        "<text x=\"8\" y=\"{}\" font-weight=\"600\">{}</text>",
                        at(top + HEADING_HEIGHT - 7.0),
                        escape(name)
                    );
                }
                ForestRow::Comparison(comparison) => {
                    self.draw_comparison(&mut svg, comparison, columns, top + ROW_HEIGHT / 2.0);
                }
            }
            top += row.height();
        }
        svg.push_str("</svg>");
        svg
    }

    /// Names and values have the room that they need, the ratios what is left.
    fn columns(&self) -> Columns {
        let comparisons = || {
            self.rows.iter().filter_map(|row| match row {
                ForestRow::Heading(_) => None,
                ForestRow::Comparison(comparison) => Some(comparison),
            })
        };
        let names = comparisons().map(|it| text_width(&it.name)).fold(40.0, f64::max);
        let values = comparisons().map(|it| text_width(&it.estimate.text())).fold(40.0, f64::max);
        Columns { left: names + 30.0, right: self.width - values - 22.0 }
    }

    fn x_of(&self, columns: Columns, ratio: f64) -> f64 {
        columns.left + self.x.place(ratio).clamp(0.0, 1.0) * (columns.right - columns.left)
    }

    fn draw_axis(&self, svg: &mut String, columns: Columns, bottom: f64) {
        for (value, name) in &self.x.ticks {
            let x = self.x_of(columns, *value);
            let _ = write!(svg, "<path d=\"M{} {TOP}V{}\" stroke=\"{GRID}\"/>", at(x), at(bottom));
            put_text(svg, x, bottom + 15.0, Anchor::Middle, name);
        }
        let one = self.x_of(columns, 1.0);
        let _ = write!(
            svg,
            "<path d=\"M{0} {2}H{1}\" stroke=\"{FRAME}\"/>\
             <path d=\"M{3} {4}V{2}\" stroke=\"{TEXT}\" stroke-width=\"1.2\"/>",
            at(columns.left),
            at(columns.right),
            at(bottom),
            at(one),
            at(TOP - 14.0)
        );
        put_text(svg, one - 7.0, TOP - 6.0, Anchor::End, &format!("◂ {}", self.sides.0));
        put_text(svg, one + 7.0, TOP - 6.0, Anchor::Start, &format!("{} ▸", self.sides.1));
        let middle = f64::midpoint(columns.left, columns.right);
        put_text(svg, middle, bottom + 32.0, Anchor::Middle, &self.x.label);
    }

    fn draw_comparison(&self, svg: &mut String, it: &Comparison, columns: Columns, y: f64) {
        let value = it.estimate.text();
        let tip = match &it.estimate {
            Estimate::Invalid(why) => why,
            Estimate::Interval { .. } | Estimate::AtLeast(_) | Estimate::AtMost(_) => &value,
        };
        let _ = write!(svg, "<g><title>{}: {}</title>", escape(&it.name), escape(tip));
        put_text(svg, 20.0, y + 4.0, Anchor::Start, &it.name);
        match it.estimate.verdict(self.better) {
            Some(verdict) => self.draw_estimate(svg, &it.estimate, verdict, columns, y),
            None => put_reason(svg, tip, columns, y),
        }
        put_text(svg, self.width - 8.0, y + 4.0, Anchor::End, &value);
        svg.push_str("</g>");
    }

    fn draw_estimate(
        &self,
        svg: &mut String,
        estimate: &Estimate,
        verdict: Verdict,
        columns: Columns,
        y: f64,
    ) {
        let hex = verdict.color().hex();
        let line = |svg: &mut String, from: f64, to: f64| {
            let (from, to, y) = (at(from), at(to), at(y));
            let _ =
                write!(svg, "<path d=\"M{from} {y}H{to}\" stroke=\"{hex}\" stroke-width=\"2\"/>");
        };
        // An end that lies beyond the axis is an arrow, too.
        let arrow = |svg: &mut String, tip: f64, back: f64| {
            let (x, top) = (at(tip + back), at(y - 4.0));
            let (back, tip) = (at(-back), at(back));
            let _ = write!(svg, "<path d=\"M{x} {top}l{back} 4 {tip} 4z\" fill=\"{hex}\"/>");
        };
        let (ratio, is_hollow) = match estimate {
            Estimate::Interval { ratio, low, high } => {
                let (from, to) = (self.x_of(columns, *low), self.x_of(columns, *high));
                line(svg, from, to);
                if *low < self.x.from {
                    arrow(svg, columns.left, 6.0);
                }
                if self.x.to < *high {
                    arrow(svg, columns.right, -6.0);
                }
                (*ratio, false)
            }
            Estimate::AtLeast(low) => {
                let from = self.x_of(columns, *low);
                let to = (from + ARROW).min(columns.right);
                line(svg, from, to - 5.0);
                arrow(svg, to, -6.0);
                (*low, true)
            }
            Estimate::AtMost(high) => {
                let from = self.x_of(columns, *high);
                let to = (from - ARROW).max(columns.left);
                line(svg, to + 5.0, from);
                arrow(svg, to, 6.0);
                (*high, true)
            }
            Estimate::Invalid(_) => return,
        };
        // Where it would be beyond the axis there is the arrow.
        if self.x.from <= ratio && ratio <= self.x.to {
            verdict.draw_mark(svg, self.x_of(columns, ratio), y, is_hollow);
        }
    }

    /// Only of what there is.
    fn draw_legend(&self, svg: &mut String) {
        let estimates = || {
            self.rows.iter().filter_map(|row| match row {
                ForestRow::Heading(_) => None,
                ForestRow::Comparison(comparison) => Some(&comparison.estimate),
            })
        };
        let mut x = 14.0;
        for verdict in Verdict::ALL {
            if estimates().any(|it| it.verdict(self.better) == Some(verdict)) {
                verdict.draw_mark(svg, x, 28.0, false);
                put_text(svg, x + 10.0, 32.0, Anchor::Start, verdict.name());
                x += text_width(verdict.name()) + 32.0;
            }
        }
        let is_bound = |it: &Estimate| matches!(it, Estimate::AtLeast(_) | Estimate::AtMost(_));
        if estimates().any(is_bound) {
            let hex = Color::Black.hex();
            let _ = write!(
                svg,
                "<path d=\"M{0} 28h14\" stroke=\"{hex}\" stroke-width=\"2\"/>\
                 <path d=\"M{1} 24l6 4-6 4z\" fill=\"{hex}\"/>\
                 <circle cx=\"{0}\" cy=\"28\" r=\"4\" fill=\"#fff\" stroke=\"{hex}\" stroke-width=\"1.5\"/>",
                at(x),
                at(x + 14.0)
            );
            put_text(svg, x + 25.0, 32.0, Anchor::Start, "only a bound is known");
        }
    }
}

/// Words in the place of a ratio, as far as they fit.
fn put_reason(svg: &mut String, reason: &str, columns: Columns, y: f64) {
    let room = columns.right - columns.left - 16.0;
    let text = shortened(reason, room);
    let _ = write!(
        svg,
        "<text x=\"{}\" y=\"{}\" font-style=\"italic\" fill=\"#6b7075\" stroke=\"#fff\" \
         stroke-width=\"3\" paint-order=\"stroke\">{}</text>",
        at(columns.left + 8.0),
        at(y + 4.0),
        escape(&text)
    );
}

/// As much of a text as a width has room for.
fn shortened(text: &str, room: f64) -> String {
    if text_width(text) <= room {
        return text.to_owned();
    }
    let mut shorter = String::new();
    for character in text.chars() {
        if room < text_width(&shorter) + text_width("……") {
            break;
        }
        shorter.push(character);
    }
    format!("{}…", shorter.trim_end())
}

impl ForestRow {
    fn height(&self) -> f64 {
        match self {
            ForestRow::Heading(_) => HEADING_HEIGHT,
            ForestRow::Comparison(_) => ROW_HEIGHT,
        }
    }
}

#[cfg(test)]
mod tests;
