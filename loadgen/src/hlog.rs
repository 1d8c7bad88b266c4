//! Histograms in files that HdrHistogram's own tools read: the interval log, V2, deflated.
//!
//! One file for each clock; times of day in seconds, values in nanoseconds, the maximum beside each
//! in milliseconds as is the custom. `HistogramLogProcessor -i response.hlog` prints one.

use std::io;
use std::time::{Duration, SystemTime};

use hdrhistogram::serialization::V2DeflateSerializer;
use hdrhistogram::serialization::interval_log::IntervalLogWriterBuilder;

use crate::measure::{Clock, Histogram, Measurements};

/// Why a log is not written.
#[derive(Debug, thiserror::Error)]
pub enum HlogError {
    #[error("cannot write the histogram log")]
    Write { source: io::Error },
    #[error("cannot encode a histogram: {message}")]
    Encode { message: String },
}

/// One clock of a run, interval by interval. Intervals without a sample are left out.
pub fn write(
    out: &mut impl io::Write,
    measurements: &Measurements,
    clock: Clock,
    began_at: SystemTime,
) -> Result<(), HlogError> {
    let interval = measurements.interval();
    let histograms = measurements.intervals().iter().map(|it| it.histogram(clock));
    let timed = (0..)
        .zip(histograms)
        .filter_map(|(index, histogram)| Some((interval * index, interval, histogram?)));
    write_log(out, clock.name(), clock.meaning(), began_at, timed)
}

/// Histograms that were measured one after the other, each an interval of its own: so long each,
/// from when the first began.
pub fn write_each<'a>(
    out: &mut impl io::Write,
    name: &str,
    meaning: &str,
    began_at: SystemTime,
    duration: Duration,
    histograms: impl Iterator<Item = &'a Histogram>,
) -> Result<(), HlogError> {
    let timed = (0..).zip(histograms).map(|(index, it)| (duration * index, duration, it));
    write_log(out, name, meaning, began_at, timed)
}

/// One histogram as a log of one interval.
pub fn write_one(
    out: &mut impl io::Write,
    name: &str,
    meaning: &str,
    began_at: SystemTime,
    duration: Duration,
    histogram: &Histogram,
) -> Result<(), HlogError> {
    write_log(out, name, meaning, began_at, [(Duration::ZERO, duration, histogram)].into_iter())
}

fn write_log<'a, T: hdrhistogram::Counter + 'a>(
    out: &mut impl io::Write,
    name: &str,
    meaning: &str,
    began_at: SystemTime,
    histograms: impl Iterator<Item = (Duration, Duration, &'a hdrhistogram::Histogram<T>)>,
) -> Result<(), HlogError> {
    let mut serializer = V2DeflateSerializer::new();
    let mut log = IntervalLogWriterBuilder::new()
        .add_comment(&format!("[{name}: {meaning}, in nanoseconds]"))
        .with_start_time(began_at)
        .with_base_time(began_at)
        .with_max_value_divisor(1e6)
        .begin_log_with(out, &mut serializer)
        .map_err(|source| HlogError::Write { source })?;
    for (at, duration, histogram) in histograms {
        log.write_histogram(histogram, at, duration, None)
            .map_err(|error| HlogError::Encode { message: format!("{error:?}") })?;
    }
    Ok(())
}

#[cfg(test)]
mod tests;
