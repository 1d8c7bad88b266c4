//! The picture: numbers, the offered rate, and a heat map of times below it.
//!
//! ```text
//!  black-friday at 10k/s, acks=all                                       12 s of 20 s
//!              rate        total
//!  intended    10.0 k/s    120 k          p50    1.2 ms
//!  sent  …                                p99    3.4 ms
//!  offered  ▁▁▁▁▁▂▇█▆▄▃▂
//!    10 s  │                             one column for each second, or more
//!  100 µs  │      ▄▄▀
//! ```

use ratatui::Frame;
use ratatui::buffer::Buffer;
use ratatui::layout::{Constraint, Layout, Position, Rect};
use ratatui::style::{Color, Style, Stylize};
use ratatui::text::Line;
use ratatui::widgets::{Paragraph, Sparkline};

use super::Caption;
use crate::live::{Glance, ROWS, row_ns};
use crate::measure::Tally;
use crate::units::{count_text, grouped, time_text, whole};

const HEAT_HEIGHT: u16 = 15;
const OFFERED_HEIGHT: u16 = 3;
const NUMBERS_HEIGHT: u16 = 5;
pub(super) const HEIGHT: u16 = 1 + NUMBERS_HEIGHT + OFFERED_HEIGHT + HEAT_HEIGHT;
const LABELS_WIDTH: u16 = 10;

/// From few to many: perceptually uniform and safe for the colour-blind (viridis).
const COLOURS: [Color; 8] = [
    Color::Rgb(68, 1, 84),
    Color::Rgb(70, 50, 127),
    Color::Rgb(54, 92, 141),
    Color::Rgb(39, 127, 142),
    Color::Rgb(31, 161, 135),
    Color::Rgb(74, 194, 109),
    Color::Rgb(159, 218, 58),
    Color::Rgb(253, 231, 37),
];

pub(super) fn draw(frame: &mut Frame<'_>, glance: &Glance, caption: &Caption) {
    let [title, numbers, offered, heat] = Layout::vertical([
        Constraint::Length(1),
        Constraint::Length(NUMBERS_HEIGHT),
        Constraint::Length(OFFERED_HEIGHT),
        Constraint::Length(HEAT_HEIGHT),
    ])
    .areas(frame.area());
    draw_title(frame, title, glance, caption);
    draw_numbers(frame, numbers, glance);
    draw_offered(frame, offered, glance, caption);
    draw_heat(frame.buffer_mut(), heat, glance, caption);
}

fn draw_title(frame: &mut Frame<'_>, area: Rect, glance: &Glance, caption: &Caption) {
    let time = format!("{} s of {} s", glance.elapsed.as_secs(), caption.duration.as_secs());
    frame.render_widget(Line::from(caption.title.as_str()).bold(), area);
    frame.render_widget(Line::from(time).right_aligned(), area);
}

fn draw_numbers(frame: &mut Frame<'_>, area: Rect, glance: &Glance) {
    let row = |name: &str, of: fn(&Tally) -> u64| {
        let (rate, total) = (of(&glance.rates) as f64, of(&glance.total) as f64);
        format!("{name:<13}{:>9}/s {:>9}", count_text(rate), count_text(total))
    };
    let counts = [
        row("intended", |tally| tally.offered),
        row("sent", |tally| tally.written),
        row("acknowledged", |tally| tally.acknowledged),
        row("consumed", |tally| tally.consumed),
    ];
    let names = ["p50", "p99", "p99.9"];
    let times = glance.response.map(|times| times.map(time_text)).unwrap_or_default();
    let right = [
        format!("{:<8}{:>9}   unsent  {:>8}", names[0], times[0], grouped(glance.unsent())),
        format!("{:<8}{:>9}   backlog {:>8}", names[1], times[1], grouped(glance.backlog())),
        format!("{:<8}{:>9}   failed  {:>8}", names[2], times[2], grouped(glance.total.failed)),
        "response, of the last second that is answered".to_owned(),
    ];
    let [left_area, right_area] =
        Layout::horizontal([Constraint::Length(38), Constraint::Min(0)]).areas(area);
    frame.render_widget(Paragraph::new(counts.map(Line::from).to_vec()), left_area);
    frame.render_widget(Paragraph::new(right.map(Line::from).to_vec()), right_area);
}

fn draw_offered(frame: &mut Frame<'_>, area: Rect, glance: &Glance, caption: &Caption) {
    let [labels, chart] = with_labels(area);
    let peak = glance.seconds.iter().map(|second| second.offered).max().unwrap_or(0);
    let label = format!("{}/s", count_text(peak as f64));
    frame.render_widget(Line::from(label), labels);
    let width = column_width(chart, caption);
    let offered = &glance.seconds[first_second(glance, chart, width)..];
    let wide = offered.iter().flat_map(|second| vec![second.offered; width]);
    frame.render_widget(Sparkline::default().data(wide), chart);
}

fn draw_heat(buffer: &mut Buffer, area: Rect, glance: &Glance, caption: &Caption) {
    let [labels, chart] = with_labels(area);
    for (line, y) in (labels.top()..labels.bottom()).enumerate() {
        // Each line is two rows, and there are six to each factor of ten.
        if line % 3 == 2 {
            let lowest = ROWS - 2 * (line + 1);
            buffer.set_string(labels.left(), y, time_text(row_ns(lowest)), Style::new());
        }
    }
    let width = column_width(chart, caption);
    let first = first_second(glance, chart, width);
    for (at, x) in (chart.left()..chart.right()).enumerate() {
        let column = (first + at / width).checked_sub(glance.heat_from);
        let Some(column) = column.and_then(|at| glance.heat.get(at)) else { continue };
        let most = column.iter().copied().max().unwrap_or(0).max(1);
        for (line, y) in (chart.top()..chart.bottom()).enumerate() {
            let upper = ROWS - 1 - 2 * line;
            let [above, below] = [upper, upper - 1].map(|row| colour_of(column[row], most));
            let Some(cell) = buffer.cell_mut(Position { x, y }) else { continue };
            match (above, below) {
                (None, None) => {}
                (Some(above), None) => drop(cell.set_char('▀').set_fg(above)),
                (None, Some(below)) => drop(cell.set_char('▄').set_fg(below)),
                (Some(above), Some(below)) => {
                    cell.set_char('▀').set_fg(above).set_bg(below);
                }
            }
        }
    }
}

/// Shares of the most in a column differ by factors, not by amounts.
fn colour_of(count: u64, most: u64) -> Option<Color> {
    if count == 0 {
        return None;
    }
    let share = (count as f64).ln_1p() / (most as f64).ln_1p();
    let index = usize::try_from(whole(share * (COLOURS.len() - 1) as f64));
    Some(COLOURS[index.unwrap_or(0).min(COLOURS.len() - 1)])
}

fn with_labels(area: Rect) -> [Rect; 2] {
    Layout::horizontal([Constraint::Length(LABELS_WIDTH), Constraint::Min(0)]).areas(area)
}

/// How many characters a second takes, so that the whole run fits if it can.
fn column_width(chart: Rect, caption: &Caption) -> usize {
    let seconds = usize::try_from(caption.duration.as_secs().max(1)).unwrap_or(usize::MAX);
    (usize::from(chart.width) / seconds).max(1)
}

/// The second of the first column: of a long run only the end is drawn.
fn first_second(glance: &Glance, chart: Rect, width: usize) -> usize {
    glance.seconds.len().saturating_sub(usize::from(chart.width) / width)
}
