//! A run in the terminal while it runs: a picture that is drawn anew, or a line each second where
//! there is no terminal.
//!
//! Guarantees: nothing of it goes to standard output, which is for the results; a terminal that
//! cannot be drawn upon gets lines. Does not know: workers.

mod picture;

use std::fmt::Write as _;
use std::io::{self, IsTerminal, Write};
use std::time::Duration;

use ratatui::backend::CrosstermBackend;
use ratatui::{Terminal, TerminalOptions, Viewport};

use crate::live::{Glance, Live};
use crate::units::{count_text, grouped, time_text};

/// How a run is shown while it runs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Show {
    /// A picture on a terminal, otherwise lines.
    #[default]
    Auto,
    Lines,
    Nothing,
}

const DRAW_EVERY: Duration = Duration::from_millis(250);
const LINE_EVERY: Duration = Duration::from_secs(1);

/// What the picture says besides what happens.
#[derive(Clone, Debug, PartialEq)]
pub struct Caption {
    pub title: String,
    /// Of the measured time.
    pub duration: Duration,
}

/// Shows a run until it is over.
pub fn watch(live: &Live, show: Show, caption: &Caption) {
    let is_drawn = show == Show::Auto && io::stderr().is_terminal() && draw(live, caption).is_ok();
    if !is_drawn && show != Show::Nothing {
        print_lines(live);
    }
}

fn draw(live: &Live, caption: &Caption) -> io::Result<()> {
    let viewport = Viewport::Inline(picture::HEIGHT);
    let backend = CrosstermBackend::new(io::stderr());
    let mut terminal = Terminal::with_options(backend, TerminalOptions { viewport })?;
    loop {
        let glance = live.glance();
        terminal.draw(|frame| picture::draw(frame, &glance, caption))?;
        // Whoever ends the program here keeps a cursor.
        terminal.show_cursor()?;
        if glance.is_over {
            // What comes next is below the picture.
            let bottom = terminal.get_frame().area().bottom().saturating_sub(1);
            terminal.set_cursor_position((0, bottom))?;
            return io::stderr().write_all(b"\r\n");
        }
        std::thread::sleep(DRAW_EVERY);
    }
}

fn print_lines(live: &Live) {
    let mut shown = Duration::ZERO;
    loop {
        let glance = live.glance();
        if glance.is_over {
            return;
        }
        if shown + LINE_EVERY <= glance.elapsed {
            shown = glance.elapsed;
            // Whoever has closed it does not want to see more.
            if writeln!(io::stderr(), "{}", line(&glance)).is_err() {
                return;
            }
        }
        std::thread::sleep(DRAW_EVERY);
    }
}

/// A moment of a run in one line.
fn line(glance: &Glance) -> String {
    let Glance { rates, .. } = glance;
    let mut text = format!(
        "{:>4} s  intended {:>7}/s  sent {:>7}/s  acknowledged {:>7}/s  consumed {:>7}/s  unsent {:>7}  backlog {:>7}",
        glance.elapsed.as_secs(),
        count_text(rates.offered as f64),
        count_text(rates.written as f64),
        count_text(rates.acknowledged as f64),
        count_text(rates.consumed as f64),
        grouped(glance.unsent()),
        grouped(glance.backlog()),
    );
    if let Some(times) = glance.response {
        let [p50, p99, p99_9] = times.map(time_text);
        let _ = write!(text, "  p50 {p50:>7}  p99 {p99:>7}  p99.9 {p99_9:>7}");
    }
    text
}

#[cfg(test)]
mod tests;
