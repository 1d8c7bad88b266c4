//! Whether two runs of one scenario, or of a part of it, say the same.
//!
//! They do where the intervals that they state for a ratio overlap. What each broker did by itself
//! is told beside it: a host that was slower the second time moves both.

use loadgen::table::aligned;

use crate::host;
use crate::matrix::{Comparison, Metric, Results, Run};
use crate::statistics::Ratio;
use crate::units::three_digits;

/// Why two folders cannot be compared.
#[derive(Debug, thiserror::Error)]
pub enum AgreementError {
    #[error("one was measured on another host than the other ({one}; {other})")]
    OtherHost { one: String, other: String },
    #[error("broker {name} was another in the second run: its settings in the scenario differ")]
    OtherBroker { name: String },
    #[error("they have no cell in common: run the same scenario for both")]
    NothingInCommon,
}

/// What two runs of one scenario say.
#[derive(Clone, Debug, PartialEq)]
pub struct Agreement {
    /// In the order of the scenario.
    pub ratios: Vec<Pair>,
    /// What each broker did in the second run, as a multiple of the first.
    pub drifts: Vec<Drift>,
}

/// One ratio, found twice.
#[derive(Clone, Debug, PartialEq)]
pub struct Pair {
    pub what: String,
    pub one: String,
    pub other: String,
    /// None where one of them has no interval.
    pub agrees: Option<bool>,
}

/// What one broker did the second time, as a multiple of the first.
#[derive(Clone, Debug, PartialEq)]
pub struct Drift {
    pub what: String,
    pub ratio: Ratio,
}

impl Agreement {
    pub fn of(one: &Results, other: &Results) -> Result<Agreement, AgreementError> {
        let hosts = [one, other].map(|it| host::fingerprint(&it.facts));
        if hosts[0] != hosts[1] {
            let [one, other] = hosts;
            return Err(AgreementError::OtherHost { one, other });
        }
        for broker in &one.scenario.brokers {
            let name = broker.name.clone();
            if other.scenario.broker(&name).is_ok_and(|again| again != broker) {
                return Err(AgreementError::OtherBroker { name });
            }
        }
        let (found, found_again) = (one.comparisons(), other.comparisons());
        let again = |it: &Comparison| {
            let same = |again: &&Comparison| {
                (&again.cell, &again.ours, &again.theirs, again.metric)
                    == (&it.cell, &it.ours, &it.theirs, it.metric)
            };
            found_again.iter().find(same)
        };
        let pairs = found.iter().filter_map(|it| Some((it, again(it)?)));
        let ratios: Vec<Pair> = pairs.map(pair).collect();
        let drifts = drifts(one, other);
        if ratios.is_empty() && drifts.is_empty() {
            return Err(AgreementError::NothingInCommon);
        }
        Ok(Agreement { ratios, drifts })
    }

    /// Whether no ratio contradicts the other run's.
    pub fn is_full(&self) -> bool {
        self.ratios.iter().all(|pair| pair.agrees != Some(false))
    }

    /// For the terminal.
    pub fn text(&self) -> String {
        let mut rows = vec![["ratio", "first", "second", ""].map(str::to_owned).to_vec()];
        rows.extend(self.ratios.iter().map(|pair| {
            let verdict = match pair.agrees {
                Some(true) => "agree",
                Some(false) => "DISAGREE",
                None => "no interval",
            };
            vec![pair.what.clone(), pair.one.clone(), pair.other.clone(), verdict.to_owned()]
        }));
        let mut text = aligned(&rows);
        let count = |is: Option<bool>| self.ratios.iter().filter(|it| it.agrees == is).count();
        text.push_str(&format!(
            "\n{} of {} ratios agree, {} do not, {} have no interval\n",
            count(Some(true)),
            self.ratios.len(),
            count(Some(false)),
            count(None)
        ));
        let moved = self.drifts.iter().filter(|drift| drift.ratio.side().is_some());
        let mut rows =
            vec![["moved from the first run to the second", "by"].map(str::to_owned).to_vec()];
        rows.extend(moved.map(|drift| {
            let (low, high) = drift.ratio.interval.unwrap_or_default();
            let [value, low, high] = [drift.ratio.value, low, high].map(three_digits);
            vec![drift.what.clone(), format!("{value}× ({low}–{high})")]
        }));
        if 1 < rows.len() {
            text.push('\n');
            text.push_str(&aligned(&rows));
        }
        text
    }
}

fn drifts(one: &Results, other: &Results) -> Vec<Drift> {
    let mut drifts = Vec::new();
    for broker in &one.scenario.brokers {
        for cell in one.scenario.groups.iter().flat_map(|group| one.cells(&group.name)) {
            for &metric in Metric::of(&cell) {
                let values = |results: &Results| -> Option<Vec<f64>> {
                    let value = |run: &Run| metric.value(run.numbers.as_ref().ok()?);
                    results.runs_of(&cell, &broker.name).into_iter().map(value).collect()
                };
                let (Some(before), Some(after)) = (values(one), values(other)) else { continue };
                let Some(ratio) = Ratio::of_groups(&after, &before) else { continue };
                let what = format!("{}, {}, {}", broker.name, cell.name(), metric.name());
                drifts.push(Drift { what, ratio });
            }
        }
    }
    drifts
}

fn pair((one, other): (&Comparison, &Comparison)) -> Pair {
    let interval = |it: &Comparison| it.finding.ratio().and_then(|ratio| ratio.interval);
    let agrees = interval(one)
        .zip(interval(other))
        .map(|((low, high), (other_low, other_high))| low <= other_high && other_low <= high);
    Pair {
        what: format!("{}, {} : {}, {}", one.cell.name(), one.ours, one.theirs, one.metric.name()),
        one: one.finding.text(),
        other: other.finding.text(),
        agrees,
    }
}

#[cfg(test)]
mod tests;
