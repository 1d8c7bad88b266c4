//! Rate curves: how much is offered when, in multiples of a base rate and fractions of a run.
//!
//! One profile so fits a laptop and a large host, a run of seconds and one of hours. It is a list of
//! phases, each a piece of a line or of an exponential, or a few such pieces that are repeated; see
//! `profiles/black-friday.toml` and `profiles/prime-day.toml`. Where a shape means seconds and not
//! fractions, the phases are those of a *period*, which is repeated for as long as the run lasts;
//! see `profiles/cron.toml`. A trace is a profile, too.
//!
//! Guarantees: what has been read can be integrated and its integral inverted exactly. Does not
//! know: records, keys, clocks.

mod phase;
mod curve;
mod trace;
mod explain;

use std::cmp::Ordering;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};

pub use curve::RateCurve;
pub use phase::{Curve, Phase, Piece, Shape};
pub use trace::{Trace, TraceError};

use crate::schedule::Arrivals;
use crate::settings::ReaderSettings;
use crate::units::Span;

/// No profile asks for more: a typing error would.
pub const MULTIPLE_MAX: f64 = 1000.0;
/// A curve of this many pieces takes some ten megabytes.
const PIECES_MAX: u64 = 100_000;

/// A rate over the length of a run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Profile {
    pub name: String,
    pub about: String,
    /// Where its shape was taken from.
    pub source: String,
    /// How long a run is that is not told how long to be.
    pub length: Option<Span>,
    /// What the phases take, again and again; the whole run if it is not given.
    pub period: Option<Span>,
    /// The share of all records that goes to one key, unless the run is told another.
    pub hot_key: Option<f64>,
    /// How records are spread around the rate, unless the run is told otherwise.
    pub arrivals: Option<Arrivals>,
    /// Consumers beside those that verify, unless the run is told others.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub readers: Vec<ReaderSettings>,
    /// The file of which the curve is a replay. Its rates stand in the place of multiples.
    pub trace: Option<PathBuf>,
    #[serde(rename = "phase", default)]
    pub phases: Vec<Phase>,
}

/// Why there is no such profile.
#[derive(Debug, thiserror::Error)]
pub enum ProfileError {
    #[error(
        "there is no profile `{name}`: use {}, or the path of a TOML or CSV file",
        built_in_names()
    )]
    Unknown { name: String },
    #[error("cannot read {path}")]
    Unreadable { path: PathBuf, source: std::io::Error },
    #[error("profile {name} is not what a profile looks like")]
    Syntax { name: String, source: toml::de::Error },
    #[error(transparent)]
    Trace(#[from] TraceError),
    #[error("profile {name} has no phase: add at least one [[phase]], or name a `trace`")]
    NoPhase { name: String },
    #[error("profile {name} has phases and the trace {trace}: keep one of them")]
    TwoCurves { name: String, trace: PathBuf },
    #[error("{what} of profile {name} is 0: give it some time, for example \"60s\"")]
    NoTime { name: String, what: &'static str },
    #[error("`hot-key` of profile {name} is {value}: it is a share, from 0 to 1")]
    HotKey { name: String, value: f64 },
    #[error("phase `{phase}` of profile {name} repeats nothing: `repeat` must be at least 1")]
    NoTurn { name: String, phase: String },
    #[error("phase {phase} of profile {name} has no part: add at least one [[phase.part]]")]
    NoPart { name: String, phase: String },
    #[error(
        "profile {name} has {pieces} pieces, each repetition counted, at most {PIECES_MAX} may be: \
         lower `repeat`, or thin out the trace"
    )]
    TooLong { name: String, pieces: u64 },
    #[error(
        "phase `{phase}` of profile {name} ends at {until}: phases end at rising fractions of \
         their whole, so it must be above {above} and at most 1"
    )]
    Until { name: String, phase: String, until: f64, above: f64 },
    #[error(
        "the last phase of {whole} in profile {name}, `{phase}`, ends at {until}: it must end at \
         1, the end of its whole"
    )]
    End { name: String, whole: String, phase: String, until: f64 },
    #[error(
        "the points of phase `{phase}` of profile {name} must rise from 0 to 1, and {at} comes \
         after {before}"
    )]
    Points { name: String, phase: String, at: f64, before: f64 },
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

macro_rules! built_in {
    ($($name:literal),*) => {
        [$(($name, include_str!(concat!("profiles/", $name, ".toml")))),*]
    };
}

/// Days first, then what goes wrong, then what measures.
const BUILT_IN: [(&str, &str); 14] = built_in![
    "black-friday",
    "black-friday-sink",
    "singles-day",
    "flash-sale",
    "prime-day",
    "bfcm",
    "retry-storm",
    "thundering-herd",
    "cron",
    "sawtooth",
    "staircase",
    "overload",
    "poisson",
    "steady"
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

    /// The built-in one of this name, or the one in the file of this name: a profile, or a trace.
    pub fn find(name: &str) -> Result<Profile, ProfileError> {
        if let Some((name, text)) = BUILT_IN.into_iter().find(|(built_in, _)| *built_in == name) {
            return Profile::parse(name, text);
        }
        let path = PathBuf::from(name);
        if !path.exists() {
            return Err(ProfileError::Unknown { name: name.to_owned() });
        }
        if path.extension().is_some_and(|extension| extension == "csv") {
            return Profile::of_trace(path)?.checked(name);
        }
        let mut profile = Profile::read(name, &text_of(&path)?)?;
        if let Some(trace) = profile.trace.clone() {
            if !profile.phases.is_empty() {
                return Err(ProfileError::TwoCurves { name: name.to_owned(), trace });
            }
            profile.replay(&path.parent().unwrap_or(Path::new("")).join(trace))?;
        }
        profile.checked(name)
    }

    /// Reads TOML that stands for itself; `name` is what errors call it.
    pub fn parse(name: &str, text: &str) -> Result<Profile, ProfileError> {
        Profile::read(name, text)?.checked(name)
    }

    /// The rate over a run of this length.
    pub fn curve(&self, duration: Duration) -> RateCurve {
        RateCurve::new(&self.phases, self.period.map(|it| it.0), duration)
    }

    /// The highest rate.
    pub fn peak(&self) -> f64 {
        phase::peak(&self.phases)
    }

    /// When, in a run of this length, all connections are opened anew: in order.
    pub fn reconnects(&self, duration: Duration) -> Vec<Duration> {
        let whole = self.period.map_or(duration, |period| period.0);
        let shares = phase::reconnects(&self.phases);
        if shares.is_empty() {
            return Vec::new();
        }
        let begins = (0..).map(|turn| whole.saturating_mul(turn));
        let begins = begins.take_while(|begin| *begin < duration);
        let all = begins.flat_map(|begin| shares.iter().map(move |it| begin + whole.mul_f64(*it)));
        all.filter(|at| *at < duration).collect()
    }

    /// Whether its rates are a trace's, and multiples of a base only where one is named.
    pub fn is_trace(&self) -> bool {
        self.trace.is_some()
    }

    /// The same with all rates of its trace divided by one.
    pub fn in_multiples_of(mut self, rate: f64) -> Profile {
        for phase in &mut self.phases {
            if let Shape::Points(points) = &mut phase.shape {
                points.iter_mut().for_each(|(_, multiple)| *multiple /= rate);
            }
        }
        self
    }

    /// The phases, each with the fraction of their whole at which it begins: of the run, or of the
    /// period if there is one.
    pub fn with_begins(&self) -> impl Iterator<Item = (f64, &Phase)> {
        with_begins(&self.phases)
    }

    fn read(name: &str, text: &str) -> Result<Profile, ProfileError> {
        toml::from_str(text)
            .map_err(|source| ProfileError::Syntax { name: name.to_owned(), source })
    }

    fn of_trace(path: PathBuf) -> Result<Profile, ProfileError> {
        let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        let mut profile = Profile {
            name,
            about: "a trace, from point to point".to_owned(),
            source: path.display().to_string(),
            length: None,
            period: None,
            hot_key: None,
            readers: Vec::new(),
            arrivals: None,
            trace: Some(path.clone()),
            phases: Vec::new(),
        };
        profile.replay(&path)?;
        Ok(profile)
    }

    /// Takes the curve from the trace in a file.
    fn replay(&mut self, path: &Path) -> Result<(), ProfileError> {
        let trace = Trace::parse(&path.display().to_string(), &text_of(path)?)?;
        self.length.get_or_insert(Span(trace.length));
        let shape = Shape::Points(trace.points);
        self.phases = vec![Phase { name: "trace".to_owned(), until: 1.0, reconnect: false, shape }];
        Ok(())
    }

    fn checked(self, name: &str) -> Result<Profile, ProfileError> {
        let name = || name.to_owned();
        if self.phases.is_empty() {
            return Err(ProfileError::NoPhase { name: name() });
        }
        for (what, time) in [("`length`", self.length), ("`period`", self.period)] {
            if time.is_some_and(|time| time.0.is_zero()) {
                return Err(ProfileError::NoTime { name: name(), what });
            }
        }
        if let Some(value) = self.hot_key.filter(|value| !(0.0..=1.0).contains(value)) {
            return Err(ProfileError::HotKey { name: name(), value });
        }
        let pieces = self.phases.iter().map(Phase::pieces_count).fold(0, u64::saturating_add);
        if PIECES_MAX < pieces {
            return Err(ProfileError::TooLong { name: name(), pieces });
        }
        // The rates of a trace are not multiples yet; its own reader has looked at them.
        if !self.is_trace() {
            check_list(&name(), "the run", &self.phases)?;
        }
        if self.peak() == 0.0 {
            return Err(ProfileError::Nothing { name: name() });
        }
        Ok(self)
    }
}

fn text_of(path: &Path) -> Result<String, ProfileError> {
    std::fs::read_to_string(path)
        .map_err(|source| ProfileError::Unreadable { path: path.to_owned(), source })
}

fn with_begins(phases: &[Phase]) -> impl Iterator<Item = (f64, &Phase)> {
    let begins = phases.iter().map(|phase| phase.until);
    std::iter::once(0.0).chain(begins).zip(phases)
}

/// Checks phases that together make up a whole: the run, or one turn of the phase it names.
fn check_list(name: &str, whole: &str, phases: &[Phase]) -> Result<(), ProfileError> {
    let mut above = 0.0;
    for phase in phases {
        let Phase { until, .. } = *phase;
        if !(above < until && until <= 1.0) {
            let (name, phase) = (name.to_owned(), phase.name.clone());
            return Err(ProfileError::Until { name, phase, until, above });
        }
        above = until;
        check_shape(name, phase)?;
    }
    match phases.last() {
        Some(Phase { until, .. }) if 1.0 <= *until => Ok(()),
        Some(Phase { name: phase, until, .. }) => {
            let (name, whole, phase) = (name.to_owned(), whole.to_owned(), phase.clone());
            Err(ProfileError::End { name, whole, phase, until: *until })
        }
        None => Err(ProfileError::NoPart { name: name.to_owned(), phase: whole.to_owned() }),
    }
}

fn check_shape(name: &str, phase: &Phase) -> Result<(), ProfileError> {
    match &phase.shape {
        Shape::Piece(Piece { from, to, curve }) => {
            check_multiple(name, phase, *from)?;
            check_multiple(name, phase, *to)?;
            if *curve == Curve::Exponential && (*from <= 0.0 || *to <= 0.0) {
                let (name, phase) = (name.to_owned(), phase.name.clone());
                return Err(ProfileError::Exponential { name, phase, from: *from, to: *to });
            }
            Ok(())
        }
        Shape::Repeated { turns: 0, .. } => {
            Err(ProfileError::NoTurn { name: name.to_owned(), phase: phase.name.clone() })
        }
        Shape::Repeated { parts, .. } => check_list(name, &format!("`{}`", phase.name), parts),
        Shape::Points(points) => check_points(name, phase, points),
    }
}

fn check_points(name: &str, phase: &Phase, points: &[(f64, f64)]) -> Result<(), ProfileError> {
    let refused = |at: f64, before: f64| {
        let (name, phase) = (name.to_owned(), phase.name.clone());
        Err(ProfileError::Points { name, phase, at, before })
    };
    let [(first, _), .., (last, _)] = points[..] else { return refused(f64::NAN, 0.0) };
    if first != 0.0 || last != 1.0 {
        return refused(last, first);
    }
    let rises = |pair: &&[(f64, f64)]| pair[0].0.partial_cmp(&pair[1].0) == Some(Ordering::Less);
    if let Some(pair) = points.windows(2).find(|pair| !rises(pair)) {
        return refused(pair[1].0, pair[0].0);
    }
    points.iter().try_for_each(|(_, multiple)| check_multiple(name, phase, *multiple))
}

fn check_multiple(name: &str, phase: &Phase, multiple: f64) -> Result<(), ProfileError> {
    if (0.0..=MULTIPLE_MAX).contains(&multiple) {
        return Ok(());
    }
    Err(ProfileError::Multiple { name: name.to_owned(), phase: phase.name.clone(), multiple })
}

#[cfg(test)]
mod tests;
