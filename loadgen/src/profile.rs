//! Rate curves: how much is offered when, in multiples of a base rate and fractions of a run.
//!
//! One profile so fits a laptop and a large host, a run of seconds and one of hours. It is a list of
//! phases, each a piece of a line or of an exponential; see `profiles/black-friday.toml`.
//!
//! Guarantees: what has been read can be integrated and its integral inverted exactly. Does not
//! know: records, keys, clocks.

mod explain;

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// No profile asks for more: a typing error would.
const MULTIPLE_MAX: f64 = 1000.0;

/// A rate over the length of a run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Profile {
    pub name: String,
    pub about: String,
    /// Where its shape was taken from.
    pub source: String,
    #[serde(rename = "phase")]
    pub phases: Vec<Phase>,
}

/// A piece of the curve. It begins where the one before it ends.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Phase {
    pub name: String,
    /// Where it ends, as a fraction of the run.
    pub until: f64,
    /// Multiple of the base rate at its begin.
    pub from: f64,
    /// And at its end; the same as at its begin if not given.
    pub to: Option<f64>,
    #[serde(default)]
    pub curve: Curve,
}

/// What a phase looks like between its two rates.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Curve {
    #[default]
    Linear,
    /// The same ratio in the same time.
    Exponential,
}

/// Why there is no such profile.
#[derive(Debug, thiserror::Error)]
pub enum ProfileError {
    #[error("there is no profile `{name}`: use {}, or the path of a TOML file", built_in_names())]
    Unknown { name: String },
    #[error("cannot read profile {path}")]
    Unreadable { path: PathBuf, source: std::io::Error },
    #[error("profile {name} is not what a profile looks like")]
    Syntax { name: String, source: toml::de::Error },
    #[error("profile {name} has no phase: add at least one [[phase]]")]
    NoPhase { name: String },
    #[error(
        "phase `{phase}` of profile {name} ends at {until}: phases end at rising fractions of the \
         run, so it must be above {above} and at most 1"
    )]
    Until { name: String, phase: String, until: f64, above: f64 },
    #[error(
        "the last phase of profile {name}, `{phase}`, ends at {until}: it must end at 1, the end \
         of the run"
    )]
    End { name: String, phase: String, until: f64 },
    #[error(
        "phase `{phase}` of profile {name} has the rate {multiple}: multiples of the base rate go \
         from 0 to {MULTIPLE_MAX}"
    )]
    Multiple { name: String, phase: String, multiple: f64 },
    #[error(
        "phase `{phase}` of profile {name} is exponential from {from} to {to}: both must be above \
         0, or make it linear"
    )]
    Exponential { name: String, phase: String, from: f64, to: f64 },
    #[error("profile {name} offers nothing: give at least one phase a rate above 0")]
    Nothing { name: String },
}

const BUILT_IN: [(&str, &str); 2] = [
    ("black-friday", include_str!("profiles/black-friday.toml")),
    ("steady", include_str!("profiles/steady.toml")),
];

fn built_in_names() -> String {
    BUILT_IN.map(|(name, _)| name).join(", ")
}

impl Profile {
    /// Those that need no file.
    pub fn built_in() -> Vec<Profile> {
        let read = |(name, text)| Profile::parse(name, text).expect("the tests read each of them");
        BUILT_IN.into_iter().map(read).collect()
    }

    /// The built-in one of this name, or the one in the file of this name.
    pub fn find(name: &str) -> Result<Profile, ProfileError> {
        if let Some((name, text)) = BUILT_IN.into_iter().find(|(built_in, _)| *built_in == name) {
            return Profile::parse(name, text);
        }
        let path = PathBuf::from(name);
        match std::fs::read_to_string(&path) {
            Ok(text) => Profile::parse(name, &text),
            Err(source) if source.kind() == std::io::ErrorKind::NotFound => {
                Err(ProfileError::Unknown { name: name.to_owned() })
            }
            Err(source) => Err(ProfileError::Unreadable { path, source }),
        }
    }

    /// Reads TOML; `name` is what errors call it.
    pub fn parse(name: &str, text: &str) -> Result<Profile, ProfileError> {
        let name = || name.to_owned();
        let profile: Profile =
            toml::from_str(text).map_err(|source| ProfileError::Syntax { name: name(), source })?;
        let mut above = 0.0;
        for phase in &profile.phases {
            let Phase { until, .. } = *phase;
            if !(above < until && until <= 1.0) {
                let phase = phase.name.clone();
                return Err(ProfileError::Until { name: name(), phase, until, above });
            }
            above = until;
            phase.check(name())?;
        }
        let Some(last) = profile.phases.last() else {
            return Err(ProfileError::NoPhase { name: name() });
        };
        if last.until < 1.0 {
            let (phase, until) = (last.name.clone(), last.until);
            return Err(ProfileError::End { name: name(), phase, until });
        }
        if profile.peak() == 0.0 {
            return Err(ProfileError::Nothing { name: name() });
        }
        Ok(profile)
    }

    /// The rate at a fraction of the run, in multiples of the base.
    pub fn multiple_at(&self, fraction: f64) -> f64 {
        let (begin, phase) = self.phase_at(fraction);
        phase.multiple((fraction - begin) / (phase.until - begin))
    }

    /// The highest rate.
    pub fn peak(&self) -> f64 {
        self.phases.iter().map(|phase| phase.from.max(phase.end())).fold(0.0, f64::max)
    }

    /// The mean rate over the whole run.
    pub fn mean(&self) -> f64 {
        self.integral_to(1.0)
    }

    /// What has been offered up to a fraction of the run, in runs at the base rate.
    pub fn integral_to(&self, fraction: f64) -> f64 {
        let mut sum = 0.0;
        for (begin, phase) in self.with_begins() {
            let length = phase.until - begin;
            let share = ((fraction - begin) / length).clamp(0.0, 1.0);
            sum += phase.integral(share) * length;
        }
        sum
    }

    /// The fraction of the run at which so much has been offered: the inverse of `integral_to`.
    pub fn fraction_where(&self, offered: f64) -> f64 {
        let mut before = 0.0;
        for (begin, phase) in self.with_begins() {
            let length = phase.until - begin;
            let whole = phase.integral(1.0) * length;
            if offered < before + whole {
                return begin + phase.share_where((offered - before) / length) * length;
            }
            before += whole;
        }
        1.0
    }

    /// The phases, each with the fraction of the run at which it begins.
    pub fn with_begins(&self) -> impl Iterator<Item = (f64, &Phase)> {
        let begins = self.phases.iter().map(|phase| phase.until);
        std::iter::once(0.0).chain(begins).zip(&self.phases)
    }

    fn phase_at(&self, fraction: f64) -> (f64, &Phase) {
        let last = || self.with_begins().last().expect("a profile has a phase");
        self.with_begins().find(|(_, phase)| fraction < phase.until).unwrap_or_else(last)
    }
}

impl Phase {
    fn end(&self) -> f64 {
        self.to.unwrap_or(self.from)
    }

    fn check(&self, name: String) -> Result<(), ProfileError> {
        for multiple in [self.from, self.end()] {
            if !(0.0..=MULTIPLE_MAX).contains(&multiple) {
                let phase = self.name.clone();
                return Err(ProfileError::Multiple { name, phase, multiple });
            }
        }
        let (from, to) = (self.from, self.end());
        if self.curve == Curve::Exponential && (from <= 0.0 || to <= 0.0) {
            return Err(ProfileError::Exponential { name, phase: self.name.clone(), from, to });
        }
        Ok(())
    }

    /// The rate when a share of the phase is over.
    fn multiple(&self, share: f64) -> f64 {
        let (from, to) = (self.from, self.end());
        match self.curve {
            Curve::Linear => from + (to - from) * share,
            Curve::Exponential => from * (to / from).powf(share),
        }
    }

    /// The integral of the rate over the first `share` of the phase, whose length counts as 1.
    fn integral(&self, share: f64) -> f64 {
        let (from, to) = (self.from, self.end());
        match self.curve {
            Curve::Exponential if from != to => {
                let growth = (to / from).ln();
                from * ((growth * share).exp() - 1.0) / growth
            }
            Curve::Linear | Curve::Exponential => from * share + (to - from) * share * share / 2.0,
        }
    }

    /// The share of the phase after which the integral is `sum`.
    fn share_where(&self, sum: f64) -> f64 {
        let (from, to) = (self.from, self.end());
        let share = match self.curve {
            Curve::Exponential if from != to => {
                let growth = (to / from).ln();
                (sum * growth / from).ln_1p() / growth
            }
            Curve::Linear | Curve::Exponential => {
                // The root of `from·x + (to − from)·x²/2 = sum` in the form that does not cancel.
                2.0 * sum / (from + (from * from + 2.0 * (to - from) * sum).max(0.0).sqrt())
            }
        };
        share.clamp(0.0, 1.0)
    }
}

#[cfg(test)]
mod tests;
