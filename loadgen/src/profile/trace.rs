//! Traces: what was offered on some real day, as lines of `seconds,rate`.
//!
//! Between its points the rate is a line. The first line may be a heading. Seconds count from
//! wherever they like; the first point is the begin of the run.

use std::time::Duration;

/// What a trace holds.
#[derive(Clone, Debug, PartialEq)]
pub struct Trace {
    /// From its first to its last point.
    pub length: Duration,
    /// Each a fraction of the length, and a rate as it was written.
    pub points: Vec<(f64, f64)>,
}

/// Why a text is no trace.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum TraceError {
    #[error(
        "line {line} of trace {name} is `{text}`: write the second and the rate with a comma \
         between them, for example 12.5,400"
    )]
    Cells { name: String, line: usize, text: String },
    #[error(
        "line {line} of trace {name} has the second `{text}`: write a number of seconds, for \
         example 12.5"
    )]
    Second { name: String, line: usize, text: String },
    #[error(
        "line {line} of trace {name} has the rate `{text}`: write a number that is at least 0, for \
         example 400"
    )]
    Rate { name: String, line: usize, text: String },
    #[error(
        "line {line} of trace {name} has the second {second}, and the line before it {before}: \
         seconds must rise, so sort the lines and keep one for each second"
    )]
    Order { name: String, line: usize, second: f64, before: f64 },
    #[error("trace {name} has {count} points: it must have at least 2, a begin and an end")]
    Short { name: String, count: usize },
    #[error("trace {name} is {seconds} s long: shorten it, or check that its seconds are seconds")]
    Long { name: String, seconds: f64 },
}

impl Trace {
    /// Reads lines; `name` is what errors call them.
    pub fn parse(name: &str, text: &str) -> Result<Trace, TraceError> {
        let mut points: Vec<(f64, f64)> = Vec::new();
        let text = text.trim_start_matches('\u{feff}');
        let lines = (1..).zip(text.lines().map(str::trim)).filter(|(_, text)| !text.is_empty());
        for (index, (line, text)) in lines.enumerate() {
            if index == 0 && is_heading(text) {
                continue;
            }
            let (second, rate) = point(name, line, text)?;
            if let Some(&(before, _)) = points.last().filter(|(before, _)| second <= *before) {
                return Err(TraceError::Order { name: name.to_owned(), line, second, before });
            }
            points.push((second, rate));
        }
        let [(first, _), .., (last, _)] = points[..] else {
            return Err(TraceError::Short { name: name.to_owned(), count: points.len() });
        };
        let seconds = last - first;
        let length = Duration::try_from_secs_f64(seconds)
            .map_err(|_| TraceError::Long { name: name.to_owned(), seconds })?;
        for (second, _) in &mut points {
            *second = (*second - first) / seconds;
        }
        Ok(Trace { length, points })
    }
}

/// Two cells of which neither is a number.
fn is_heading(text: &str) -> bool {
    let cells: Vec<&str> = text.split(',').collect();
    cells.len() == 2 && cells.iter().all(|cell| cell.trim().parse::<f64>().is_err())
}

fn point(name: &str, line: usize, text: &str) -> Result<(f64, f64), TraceError> {
    let name = name.to_owned();
    let [second, rate] = text.split(',').map(str::trim).collect::<Vec<&str>>()[..] else {
        return Err(TraceError::Cells { name, line, text: text.to_owned() });
    };
    let number = |text: &str| text.parse::<f64>().ok().filter(|number| number.is_finite());
    let Some(at) = number(second) else {
        return Err(TraceError::Second { name, line, text: second.to_owned() });
    };
    match number(rate).filter(|rate| 0.0 <= *rate) {
        Some(rate) => Ok((at, rate)),
        None => Err(TraceError::Rate { name, line, text: rate.to_owned() }),
    }
}

#[cfg(test)]
mod tests;
