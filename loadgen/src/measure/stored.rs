//! Measurements as they are kept in files: whole, so that whoever reads them back can add them up.
//!
//! A histogram is text: HdrHistogram's own V2 encoding, deflated, in base64, as in its logs.

use std::collections::BTreeMap;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hdrhistogram::serialization::V2DeflateSerializer;
use hdrhistogram::serialization::{Deserializer as HdrDeserializer, Serializer as _};
use serde::de::Error as _;
use serde::ser::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::{Clock, Interval, IntervalHistogram, Measurements, Tally};

/// A histogram that is written as text.
struct Encoded(IntervalHistogram);

impl Serialize for Encoded {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut bytes = Vec::new();
        V2DeflateSerializer::new().serialize(&self.0, &mut bytes).map_err(S::Error::custom)?;
        serializer.serialize_str(&STANDARD.encode(bytes))
    }
}

impl<'de> Deserialize<'de> for Encoded {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Encoded, D::Error> {
        let text = String::deserialize(deserializer)?;
        let bytes = STANDARD.decode(text).map_err(D::Error::custom)?;
        let histogram = HdrDeserializer::new().deserialize(&mut bytes.as_slice());
        let mut histogram: IntervalHistogram =
            histogram.map_err(|error| D::Error::custom(format!("not a histogram: {error}")))?;
        histogram.auto(true);
        Ok(Encoded(histogram))
    }
}

#[derive(Serialize, Deserialize)]
struct StoredInterval {
    tally: Tally,
    histograms: BTreeMap<Clock, Encoded>,
}

impl Serialize for Interval {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let histograms = self.histograms.iter();
        let histograms = histograms.map(|(clock, it)| (*clock, Encoded(it.clone()))).collect();
        StoredInterval { tally: self.tally, histograms }.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Interval {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Interval, D::Error> {
        let StoredInterval { tally, histograms } = StoredInterval::deserialize(deserializer)?;
        let histograms = histograms.into_iter().map(|(clock, it)| (clock, it.0)).collect();
        Ok(Interval { tally, histograms })
    }
}

#[derive(Deserialize)]
struct StoredMeasurements {
    measured_from_ns: u64,
    measured_to_ns: u64,
    interval_ns: u64,
    intervals: Vec<Interval>,
}

impl<'de> Deserialize<'de> for Measurements {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Measurements, D::Error> {
        let stored = StoredMeasurements::deserialize(deserializer)?;
        if stored.interval_ns == 0 || stored.measured_to_ns < stored.measured_from_ns {
            return Err(D::Error::custom(
                "measurements need an interval, and to end after they began",
            ));
        }
        let total = stored.intervals.iter().fold(Tally::default(), |sum, it| sum.plus(it.tally));
        Ok(Measurements {
            measured_from_ns: stored.measured_from_ns,
            measured_to_ns: stored.measured_to_ns,
            interval_ns: stored.interval_ns,
            intervals: stored.intervals,
            total,
        })
    }
}
