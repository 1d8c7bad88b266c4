//! A profile, its base rate and its length, as far as the command line names them.

use std::time::Duration;

use super::Base;
use crate::profile::{MULTIPLE_MAX, Profile, ProfileError};
use crate::schedule::ScheduleError;
use crate::units::{Rate, Span};

/// Of who names none.
pub const BASE_USUAL: Rate = Rate(2000.0);
pub const DURATION_USUAL: Span = Span(Duration::from_secs(20));

/// What to run, with what was left out filled in.
#[derive(Clone, Debug, PartialEq)]
pub struct Choice {
    pub profile: Profile,
    pub base: Base,
    pub duration: Span,
}

/// Why there is nothing to run.
#[derive(Debug, thiserror::Error)]
pub enum ChoiceError {
    #[error(transparent)]
    Profile(#[from] ProfileError),
    #[error(transparent)]
    Schedule(#[from] ScheduleError),
    #[error(
        "the trace of profile {profile} goes up to {peak}: with --base its rates are multiples, at \
         most {MULTIPLE_MAX}; leave --base out to replay them as records per second"
    )]
    Multiple { profile: String, peak: f64 },
}

impl Choice {
    /// The rates of a trace are records per second if no base is named. The base is then their
    /// mean, so that a warm-up is as busy as the trace.
    pub fn new(
        name: &str,
        base: Option<Base>,
        duration: Option<Span>,
    ) -> Result<Choice, ChoiceError> {
        let profile = Profile::find(name)?;
        let duration = duration.or(profile.length).unwrap_or(DURATION_USUAL);
        if duration.0.is_zero() {
            return Err(ScheduleError::NoTime.into());
        }
        match base {
            None if profile.is_trace() => {
                let mean = profile.curve(duration.0).mean();
                let base = Base::Rate(Rate(mean));
                Ok(Choice { profile: profile.in_multiples_of(mean), base, duration })
            }
            Some(_) if profile.is_trace() && MULTIPLE_MAX < profile.peak() => {
                Err(ChoiceError::Multiple { peak: profile.peak(), profile: profile.name })
            }
            _ => Ok(Choice { profile, base: base.unwrap_or(Base::Rate(BASE_USUAL)), duration }),
        }
    }
}
