//! The demonstration: a Black Friday in seconds for each level of acks, and everything that was
//! acknowledged verified. It is a scenario like any other, with one broker.

use std::path::PathBuf;

use loadgen::profile::{Profile, ProfileError};
use loadgen::settings::Acks;

use crate::broker::{BrokerSpec, Places};
use crate::matrix::Matrix;
use crate::scenario::{Durability, Group, GroupLoad, Open, Peak, Processors, Scenario};
use crate::units::{Rate, Size, Span};

const PROFILE: &str = "black-friday";
const LINGER: Span = Span(std::time::Duration::from_millis(1));

/// What to demonstrate.
#[derive(Clone, Debug)]
pub struct Demo {
    pub broker: BrokerSpec,
    pub places: Places,
    pub acks: Vec<Acks>,
    pub base: Rate,
    pub duration: Span,
    pub record_size: Size,
    /// Whether acknowledged means on the device: the topic's `flush.messages` is 1.
    pub is_durable: bool,
    /// By default chosen after the host.
    pub processors: Option<Processors>,
    /// Where the report goes; made by the demonstration.
    pub out: PathBuf,
    /// What is checked out.
    pub commit: String,
    /// How to do it again.
    pub command: String,
}

impl Demo {
    /// What is to be run for it.
    pub fn matrix(self) -> Result<Matrix, ProfileError> {
        let peak = Peak::Rate(Rate(self.base.0 * Profile::find(PROFILE)?.peak()));
        let open = Open { profiles: vec![PROFILE.to_owned()], peaks: vec![peak], linger: LINGER };
        let durability = if self.is_durable { Durability::Durable } else { Durability::Relaxed };
        let promise = match self.is_durable {
            true => "with acks=1 and acks=all, acknowledged means on the device",
            false => {
                "acknowledged records survive the death of the broker's process, not of the machine"
            }
        };
        let group = Group {
            about: format!("{durability} topics: {promise}", durability = durability.name()),
            acks: self.acks,
            durability: vec![durability],
            record_sizes: vec![self.record_size],
            warm_up: Span(self.duration.0.min(std::time::Duration::from_secs(1))),
            ..Group::of(PROFILE, GroupLoad::Open(open), self.duration)
        };
        let scenario = Scenario {
            name: "demo".to_owned(),
            about: format!("Black Friday on {}", self.broker.name),
            repetitions: 1,
            processors: self.processors,
            brokers: vec![self.broker],
            groups: vec![group],
            bare: None,
            idle: None,
            compaction: None,
            consumer_groups: Vec::new(),
        };
        Ok(Matrix {
            scenario,
            places: self.places,
            out: self.out,
            commit: self.commit,
            command: self.command,
            within: None,
        })
    }
}
