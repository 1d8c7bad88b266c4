//! A profile over the length of one run, ready to be integrated.
//!
//! Guarantees: the integral and its inverse are exact but for rounding, rise, and take the logarithm
//! of the number of pieces; a day's trace of every second is none too long.

use std::time::Duration;

use super::phase::{Curve, Phase, Piece, Shape};

/// A rate, in multiples of the base, over the fractions of a run.
#[derive(Clone, Debug)]
pub struct RateCurve {
    /// Of one turn, of which the run has `turns`, the last one cut off.
    stretches: Vec<Stretch>,
    turns: f64,
}

/// A piece and where it lies in the turn.
#[derive(Clone, Copy, Debug)]
struct Stretch {
    begin: f64,
    until: f64,
    piece: Piece,
    /// What has been offered when it begins, and when it ends, in turns at the base rate.
    before: f64,
    after: f64,
}

impl RateCurve {
    /// Of phases that take the whole run, or one `period` of it if there is one.
    pub(super) fn new(phases: &[Phase], period: Option<Duration>, duration: Duration) -> RateCurve {
        let turns = period.map_or(1.0, |period| duration.as_secs_f64() / period.as_secs_f64());
        let mut curve = RateCurve { stretches: Vec::new(), turns };
        curve.add(phases, 0.0, 1.0);
        curve
    }

    /// The rate at a fraction of the run.
    pub fn multiple_at(&self, fraction: f64) -> f64 {
        let (_, share) = self.turn_at(fraction * self.turns, 1.0);
        let stretch = self.stretch_where(|it| it.until <= share);
        stretch.piece.multiple(stretch.share_at(share))
    }

    /// The highest rate of all pieces.
    pub fn peak(&self) -> f64 {
        self.stretches.iter().map(|it| it.piece.peak()).fold(0.0, f64::max)
    }

    /// The mean rate over the whole run.
    pub fn mean(&self) -> f64 {
        self.integral_to(1.0)
    }

    /// What has been offered up to a fraction of the run, in runs at the base rate.
    pub fn integral_to(&self, fraction: f64) -> f64 {
        let (turn, share) = self.turn_at(fraction.clamp(0.0, 1.0) * self.turns, 1.0);
        let stretch = self.stretch_where(|it| it.until <= share);
        let offered = stretch.before + stretch.integral(stretch.share_at(share));
        (turn * self.whole() + offered) / self.turns
    }

    /// The fraction of the run at which so much has been offered: the inverse of `integral_to`.
    pub fn fraction_where(&self, offered: f64) -> f64 {
        let (turn, rest) = self.turn_at(offered * self.turns, self.whole());
        let stretch = self.stretch_where(|it| it.after <= rest);
        let share = stretch.piece.share_where((rest - stretch.before) / stretch.length());
        let at = stretch.begin + share * stretch.length();
        ((turn + at) / self.turns).min(1.0)
    }

    /// What one turn offers.
    fn whole(&self) -> f64 {
        self.stretches.last().map_or(0.0, |last| last.after)
    }

    /// The number of the turn, and what is left of `at` when each takes `whole`. A run of one turn
    /// ends at the end of that turn, and not at the begin of another.
    fn turn_at(&self, at: f64, whole: f64) -> (f64, f64) {
        let last = (self.turns.ceil() - 1.0).max(0.0);
        let turn = if 0.0 < whole { (at / whole).floor().clamp(0.0, last) } else { 0.0 };
        (turn, at - turn * whole)
    }

    /// The first stretch that is not over, or the last.
    fn stretch_where(&self, is_over: impl Fn(&Stretch) -> bool) -> Stretch {
        let index = self.stretches.partition_point(is_over);
        self.stretches[index.min(self.stretches.len() - 1)]
    }

    fn add(&mut self, phases: &[Phase], begin: f64, end: f64) {
        let mut from = 0.0;
        for phase in phases {
            let (begin, end) = (between(begin, end, from), between(begin, end, phase.until));
            match &phase.shape {
                Shape::Piece(piece) => self.push(*piece, end),
                Shape::Repeated { turns, parts } => {
                    let all = f64::from(*turns);
                    for turn in 0..*turns {
                        let [begin, end] =
                            [turn, turn + 1].map(|turn| between(begin, end, f64::from(turn) / all));
                        self.add(parts, begin, end);
                    }
                }
                Shape::Points(points) => {
                    for pair in points.windows(2) {
                        let [(_, from), (at, to)] = [pair[0], pair[1]];
                        let piece = Piece { from, to, curve: Curve::Linear };
                        self.push(piece, between(begin, end, at));
                    }
                }
            }
            from = phase.until;
        }
    }

    /// Adds a piece that begins where the one before it ends. One that rounding has left without
    /// any length is left out.
    fn push(&mut self, piece: Piece, until: f64) {
        let (begin, before) = self.stretches.last().map_or((0.0, 0.0), |it| (it.until, it.after));
        if until <= begin {
            return;
        }
        let mut stretch = Stretch { begin, until, piece, before, after: before };
        stretch.after = before + stretch.integral(1.0);
        self.stretches.push(stretch);
    }
}

impl Stretch {
    fn length(&self) -> f64 {
        self.until - self.begin
    }

    fn share_at(&self, at: f64) -> f64 {
        ((at - self.begin) / self.length()).clamp(0.0, 1.0)
    }

    fn integral(&self, share: f64) -> f64 {
        self.piece.integral(share) * self.length()
    }
}

/// A share of the way from `begin` to `end`: exactly `end` when all of it is gone.
fn between(begin: f64, end: f64, share: f64) -> f64 {
    begin * (1.0 - share) + end * share
}
