//! What is usual: a run with none of it named.

use std::collections::BTreeMap;
use std::time::Duration;

use super::{
    Acks, Codec, Consume, FetchSettings, Load, OpenLoop, RecordSettings, Settings, TopicSettings,
};
use crate::plan::KeyDistribution;
use crate::profile::Profile;
use crate::record::{Headers, Payload};
use crate::schedule::Arrivals;
use crate::settings::{BASE_USUAL, Base, DURATION_USUAL};
use crate::units::{Size, Span};

impl Settings {
    /// This load, against the broker at HOST:PORT.
    pub fn usual(bootstrap: impl Into<String>, load: Load) -> Settings {
        Settings {
            bootstrap: vec![bootstrap.into()],
            acks: Acks::All,
            idempotent: false,
            connections: 1,
            consumers: 1,
            readers: Vec::new(),
            processors: Vec::new(),
            seed: 1,
            interval: Span(Duration::from_millis(100)),
            drain_max: Span(Duration::from_secs(10)),
            fail_if: Vec::new(),
            topics: TopicSettings::default(),
            records: RecordSettings::default(),
            fetch: FetchSettings::default(),
            load,
        }
    }
}

impl Default for TopicSettings {
    fn default() -> TopicSettings {
        TopicSettings {
            existing: None,
            count: 1,
            partitions: 4,
            replication_factor: 1,
            keep: false,
            configs: BTreeMap::new(),
        }
    }
}

impl Default for RecordSettings {
    fn default() -> RecordSettings {
        RecordSettings {
            size: Size(1024).into(),
            headers: Headers::NONE,
            payload: Payload::Random,
            codec: Codec::default(),
            keys: 10_000,
            key_distribution: KeyDistribution::Uniform,
            hot_key: 0.0,
            batch_records_max: 10_000,
            batch_size_max: Size(1_000_000),
        }
    }
}

impl Default for FetchSettings {
    fn default() -> FetchSettings {
        FetchSettings {
            when: Consume::During,
            wait_max: Span(Duration::from_millis(500)),
            size_min: Size(1),
            size_max: Size(1 << 20),
        }
    }
}

impl OpenLoop {
    /// This profile, with nothing else named.
    pub fn usual(profile: Profile) -> OpenLoop {
        OpenLoop {
            base: Base::Rate(BASE_USUAL),
            duration: DURATION_USUAL,
            warm_up: Span(Duration::from_secs(1)),
            arrivals: Arrivals::Even,
            linger: Span(Duration::from_millis(1)),
            profile,
        }
    }
}
