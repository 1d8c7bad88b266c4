//! Phases: what a profile's file lists, and what each looks like.

use serde::{Deserialize, Serialize};

/// A part of the curve. It begins where the one before it ends.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "PhaseText", into = "PhaseText")]
pub struct Phase {
    pub name: String,
    /// Where it ends, as a fraction of the run; of one turn in a phase that is repeated.
    pub until: f64,
    /// Whether all connections that produce or consume are closed when it begins, and opened again,
    /// all of them at once. What has been sent on one is answered before it is closed.
    pub reconnect: bool,
    pub shape: Shape,
}

/// What a phase looks like.
#[derive(Clone, Debug, PartialEq)]
pub enum Shape {
    Piece(Piece),
    /// Combs, saws, stairs: the parts in order, so many turns of them, all of the same length.
    Repeated {
        turns: u32,
        parts: Vec<Phase>,
    },
    /// Lines between points, each a fraction of the phase and a multiple: how a trace is kept.
    Points(Vec<(f64, f64)>),
}

/// A piece of a line or of an exponential, in multiples of the base rate.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Piece {
    pub from: f64,
    pub to: f64,
    pub curve: Curve,
}

/// What a piece looks like between its two rates.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Curve {
    #[default]
    Linear,
    /// The same ratio in the same time.
    Exponential,
}

/// A phase as its file has it.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct PhaseText {
    name: String,
    until: f64,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    reconnect: bool,
    from: Option<f64>,
    /// The same as `from` if not given.
    to: Option<f64>,
    curve: Option<Curve>,
    points: Option<Vec<(f64, f64)>>,
    repeat: Option<u32>,
    #[serde(rename = "part")]
    parts: Option<Vec<Phase>>,
}

/// Why a phase is none.
#[derive(Debug, thiserror::Error)]
#[error(
    "phase `{name}` must have either `from` (with `to` and `curve` if need be), or `repeat` and at \
     least one part, or `points`"
)]
struct PhaseError {
    name: String,
}

impl TryFrom<PhaseText> for Phase {
    type Error = PhaseError;

    fn try_from(text: PhaseText) -> Result<Phase, PhaseError> {
        let PhaseText { name, until, reconnect, from, to, curve, points, repeat, parts } = text;
        let shape = match (from, to, curve, points, repeat, parts) {
            (Some(from), to, curve, None, None, None) => Shape::Piece(Piece {
                from,
                to: to.unwrap_or(from),
                curve: curve.unwrap_or_default(),
            }),
            (None, None, None, Some(points), None, None) => Shape::Points(points),
            (None, None, None, None, Some(turns), Some(parts)) => Shape::Repeated { turns, parts },
            _ => return Err(PhaseError { name }),
        };
        Ok(Phase { name, until, reconnect, shape })
    }
}

impl From<Phase> for PhaseText {
    fn from(Phase { name, until, reconnect, shape }: Phase) -> PhaseText {
        let (from, to, curve, points, repeat, parts) = (None, None, None, None, None, None);
        let empty = PhaseText { name, until, reconnect, from, to, curve, points, repeat, parts };
        match shape {
            Shape::Piece(Piece { from, to, curve }) => {
                PhaseText { from: Some(from), to: Some(to), curve: Some(curve), ..empty }
            }
            Shape::Repeated { turns, parts } => {
                PhaseText { repeat: Some(turns), parts: Some(parts), ..empty }
            }
            Shape::Points(points) => PhaseText { points: Some(points), ..empty },
        }
    }
}

impl Phase {
    /// The highest rate.
    pub fn peak(&self) -> f64 {
        match &self.shape {
            Shape::Piece(piece) => piece.peak(),
            Shape::Repeated { parts, .. } => peak(parts),
            Shape::Points(points) => {
                points.iter().map(|(_, multiple)| *multiple).fold(0.0, f64::max)
            }
        }
    }

    /// Of how many pieces it is, each repetition counted.
    pub fn pieces_count(&self) -> u64 {
        match &self.shape {
            Shape::Piece(_) => 1,
            Shape::Repeated { turns, parts } => {
                let parts = parts.iter().map(Phase::pieces_count).fold(0, u64::saturating_add);
                parts.saturating_mul((*turns).into())
            }
            Shape::Points(points) => points.len() as u64,
        }
    }
}

/// Where phases that reconnect begin, as shares of their whole, in order.
pub(super) fn reconnects(phases: &[Phase]) -> Vec<f64> {
    let mut found = Vec::new();
    put_reconnects(&mut found, phases, 0.0, 1.0);
    // A part may begin where the phase that repeats it does.
    found.dedup();
    found
}

fn put_reconnects(found: &mut Vec<f64>, phases: &[Phase], begin: f64, end: f64) {
    let at = |share: f64| begin + (end - begin) * share;
    for (from, phase) in super::with_begins(phases) {
        if phase.reconnect {
            found.push(at(from));
        }
        if let Shape::Repeated { turns, parts } = &phase.shape {
            let (begin, length) = (at(from), at(phase.until) - at(from));
            for turn in 0..*turns {
                let [begin, end] = [turn, turn + 1]
                    .map(|turn| begin + length * f64::from(turn) / f64::from(*turns));
                put_reconnects(found, parts, begin, end);
            }
        }
    }
}

/// The highest rate of several phases.
pub(super) fn peak(phases: &[Phase]) -> f64 {
    phases.iter().map(Phase::peak).fold(0.0, f64::max)
}

impl Piece {
    pub fn peak(self) -> f64 {
        self.from.max(self.to)
    }

    /// The rate when a share of the piece is over.
    pub fn multiple(self, share: f64) -> f64 {
        let Piece { from, to, curve } = self;
        match curve {
            Curve::Linear => from + (to - from) * share,
            Curve::Exponential => from * (to / from).powf(share),
        }
    }

    /// The integral of the rate over the first `share` of the piece, whose length counts as 1.
    pub fn integral(self, share: f64) -> f64 {
        let Piece { from, to, curve } = self;
        match curve {
            Curve::Exponential if from != to => {
                let growth = (to / from).ln();
                from * (growth * share).exp_m1() / growth
            }
            Curve::Linear | Curve::Exponential => from * share + (to - from) * share * share / 2.0,
        }
    }

    /// The share of the piece after which the integral is `sum`.
    pub fn share_where(self, sum: f64) -> f64 {
        let Piece { from, to, curve } = self;
        let share = match curve {
            Curve::Exponential if from != to => {
                let growth = (to / from).ln();
                (sum * growth / from).ln_1p() / growth
            }
            // Before the root below, in which 0 of nothing would be no number.
            Curve::Linear | Curve::Exponential if sum <= 0.0 => 0.0,
            Curve::Linear | Curve::Exponential => {
                // The root of `from·x + (to − from)·x²/2 = sum` in the form that does not cancel.
                2.0 * sum / (from + (from * from + 2.0 * (to - from) * sum).max(0.0).sqrt())
            }
        };
        share.clamp(0.0, 1.0)
    }
}
