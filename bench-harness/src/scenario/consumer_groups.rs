//! Loads of consumer groups, as a scenario writes them.

use std::time::Duration;

use loadgen::groups::GroupsSettings;
use serde::{Deserialize, Serialize};

use super::Promise;
use crate::units::{Rate, Span};

/// Groups whose members commit, and perhaps come and go, while records are produced beside them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ConsumerGroups {
    pub name: String,
    #[serde(default)]
    pub about: String,
    pub groups: u32,
    /// Of each group, and the partitions that each of them divides.
    pub members: u32,
    /// Of all members together, each commit of one partition.
    pub commits: Rate,
    /// How often a member leaves and comes again once the others have its partitions.
    #[serde(default = "never")]
    pub churn: Rate,
    /// Between two heartbeats of a member.
    #[serde(default = "usual_heartbeat")]
    pub heartbeat: Span,
    /// Records of 1 KiB that are produced beside them with acks=all, one by one.
    #[serde(default = "never")]
    pub produce: Rate,
    /// Of those.
    #[serde(default = "on_the_device")]
    pub durability: Promise,
    /// From when all groups are formed.
    pub warm_up: Span,
    pub duration: Span,
}

fn never() -> Rate {
    Rate(0.0)
}

fn usual_heartbeat() -> Span {
    GroupsSettings::usual("").heartbeat
}

fn on_the_device() -> Promise {
    Promise::Durable
}

impl ConsumerGroups {
    /// Against the broker at HOST:PORT, from one processor.
    pub fn settings(&self, bootstrap: &str, processor: Option<usize>) -> GroupsSettings {
        GroupsSettings {
            groups: self.groups,
            members: self.members,
            commits: self.commits,
            churn: self.churn,
            heartbeat: self.heartbeat,
            warm_up: self.warm_up,
            duration: self.duration,
            patience: Span(Duration::from_secs(120)),
            processor,
            ..GroupsSettings::usual(bootstrap)
        }
    }
}
