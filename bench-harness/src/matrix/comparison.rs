//! The first broker of a cell against another: by how much it is better, and how sure that is.

use std::cmp::Ordering;

use serde::Serialize;

use super::cell::Cell;
use super::results::Results;
use super::run::{Numbers, Run};
use crate::statistics::Ratio;
use crate::units::three_digits;

/// What is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Metric {
    Throughput,
    CpuPerGb,
    P50,
    P99,
    P99_9,
    FirstAck,
}

impl Metric {
    pub fn name(self) -> &'static str {
        match self {
            Metric::Throughput => "throughput",
            Metric::CpuPerGb => "CPU per GB",
            Metric::P50 => "p50",
            Metric::P99 => "p99",
            Metric::P99_9 => "p99.9",
            Metric::FirstAck => "first acknowledgement after a kill",
        }
    }

    /// What a cell is judged by.
    pub fn of(cell: &Cell) -> &'static [Metric] {
        match (cell.is_open(), cell.has_kill()) {
            (false, _) => &[Metric::Throughput, Metric::CpuPerGb],
            (true, false) => &[Metric::P50, Metric::P99, Metric::P99_9, Metric::CpuPerGb],
            (true, true) => &[Metric::FirstAck],
        }
    }

    pub fn is_more_better(self) -> bool {
        self == Metric::Throughput
    }

    /// Whether a generator that was the limit spoils it.
    fn is_bounded_by_client(self) -> bool {
        self != Metric::CpuPerGb
    }

    pub fn value(self, numbers: &Numbers) -> Option<f64> {
        let summary = numbers.summary();
        let nanos = |value: Option<u64>| value.map(|it| it as f64);
        match self {
            Metric::Throughput => Some(numbers.bytes_per_s),
            Metric::CpuPerGb => numbers.cpu_s_per_gb,
            Metric::P50 => nanos(summary.p50),
            Metric::P99 => nanos(summary.p99),
            Metric::P99_9 => nanos(summary.p99_9),
            Metric::FirstAck => numbers.recovery?.first_ack_s,
        }
    }
}

/// How the first broker of a cell compares with another, in one thing.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Comparison {
    pub cell: Cell,
    pub ours: String,
    pub theirs: String,
    pub metric: Metric,
    pub finding: Finding,
}

/// A ratio above 1 is always an advantage of the first: more throughput, less time.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case", tag = "is")]
pub enum Finding {
    Better {
        ratio: Ratio,
    },
    Worse {
        ratio: Ratio,
    },
    /// The interval holds 1, or there are too few pairs for one.
    Undecided {
        ratio: Ratio,
    },
    /// The generator was the limit with the first, which may be better still.
    AtLeast {
        ratio: Ratio,
    },
    /// There is nothing to compare, and why.
    NotCounted {
        reason: String,
    },
}

impl Finding {
    pub fn ratio(&self) -> Option<Ratio> {
        match self {
            Finding::Better { ratio }
            | Finding::Worse { ratio }
            | Finding::Undecided { ratio }
            | Finding::AtLeast { ratio } => Some(*ratio),
            Finding::NotCounted { .. } => None,
        }
    }

    /// Whether the first is better for sure.
    pub fn is_better(&self) -> bool {
        match self {
            Finding::Better { .. } => true,
            Finding::AtLeast { ratio } => ratio.side() == Some(Ordering::Greater),
            Finding::Worse { .. } | Finding::Undecided { .. } | Finding::NotCounted { .. } => false,
        }
    }

    pub fn text(&self) -> String {
        let Some(ratio) = self.ratio() else {
            let Finding::NotCounted { reason } = self else { unreachable!("it has a ratio") };
            return reason.clone();
        };
        let at_least = if matches!(self, Finding::AtLeast { .. }) { "≥ " } else { "" };
        let value = three_digits(ratio.value);
        match ratio.interval {
            Some((low, high)) => {
                format!("{at_least}{value}× ({}–{})", three_digits(low), three_digits(high))
            }
            None if ratio.pairs == 1 => format!("{at_least}{value}× (one pair)"),
            None => format!("{at_least}{value}× ({} pairs)", ratio.pairs),
        }
    }
}

impl Results {
    /// The first broker of each cell against all others of it.
    pub fn comparisons(&self) -> Vec<Comparison> {
        let mut comparisons = Vec::new();
        for group in &self.scenario.groups {
            let brokers = self.scenario.brokers_of(&group.name);
            let names: Vec<&str> =
                brokers.iter().map(|it| self.scenario.brokers[*it].name.as_str()).collect();
            let Some((ours, others)) = names.split_first() else { continue };
            for cell in self.cells(&group.name) {
                for theirs in others {
                    let [one, other] = [ours, theirs].map(|it| self.runs_of(&cell, it));
                    for &metric in Metric::of(&cell) {
                        comparisons.push(Comparison {
                            cell: cell.clone(),
                            ours: (*ours).to_owned(),
                            theirs: (*theirs).to_owned(),
                            metric,
                            finding: compare(metric, &one, &other),
                        });
                    }
                }
            }
        }
        comparisons
    }
}

fn compare(metric: Metric, ours: &[&Run], theirs: &[&Run]) -> Finding {
    let not_counted = |reason: &str| Finding::NotCounted { reason: reason.to_owned() };
    if ours.is_empty() || theirs.is_empty() {
        return not_counted("not run");
    }
    for (runs, whose) in [(ours, "ours"), (theirs, "theirs")] {
        if runs.iter().any(|run| run.numbers.is_err()) {
            return not_counted(&format!("{whose} failed"));
        }
        if runs.iter().any(|run| !run.numbers.as_ref().is_ok_and(Numbers::is_valid)) {
            return not_counted(&format!("{whose} is invalid"));
        }
    }
    let is_bound = |runs: &[&Run]| {
        metric.is_bounded_by_client()
            && runs.iter().any(|run| run.numbers.as_ref().is_ok_and(Numbers::is_client_bound))
    };
    match (is_bound(ours), is_bound(theirs)) {
        (true, true) => return not_counted("both client-bound"),
        (false, true) => return not_counted("theirs client-bound"),
        (_, false) => {}
    }
    let value = |run: &Run| run.numbers.as_ref().ok().and_then(|numbers| metric.value(numbers));
    let pairs: Option<Vec<(f64, f64)>> = ours
        .iter()
        .filter_map(|one| Some((one, theirs.iter().find(|it| it.repetition == one.repetition)?)))
        .map(|(one, other)| {
            let (one, other) = (value(one)?, value(other)?);
            Some(if metric.is_more_better() { (one, other) } else { (other, one) })
        })
        .collect();
    let Some(ratio) = pairs.as_deref().and_then(Ratio::of_pairs) else {
        return not_counted("too few samples");
    };
    match (is_bound(ours), ratio.side()) {
        (true, _) => Finding::AtLeast { ratio },
        (false, Some(Ordering::Greater)) => Finding::Better { ratio },
        (false, Some(Ordering::Less)) => Finding::Worse { ratio },
        (false, _) => Finding::Undecided { ratio },
    }
}
