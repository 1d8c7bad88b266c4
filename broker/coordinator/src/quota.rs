//! What clients may use at most (KIP-13, KIP-546): who shares a quota, and how long whoever goes beyond
//! it has to wait.

mod meter;

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::cluster::ClusterState;
use crate::record::ClusterRecord;

pub use meter::Meter;

/// The type of an entity that is a user, as requests name it.
pub const USER: &str = "user";
/// The type of one that is a client's id.
pub const CLIENT_ID: &str = "client-id";

/// Something that is limited.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Quota {
    /// Bytes of produces in a second.
    ProducerBytes,
    /// Bytes of fetched records in a second.
    ConsumerBytes,
    /// Processor time for requests, in hundredths of one core.
    RequestTime,
}

impl Quota {
    /// All of them.
    pub const ALL: [Quota; 3] = [Quota::ProducerBytes, Quota::ConsumerBytes, Quota::RequestTime];

    /// As Kafka spells it.
    pub fn name(self) -> &'static str {
        match self {
            Quota::ProducerBytes => "producer_byte_rate",
            Quota::ConsumerBytes => "consumer_byte_rate",
            Quota::RequestTime => "request_percentage",
        }
    }

    fn of(name: &str) -> Option<Quota> {
        Quota::ALL.into_iter().find(|quota| quota.name() == name)
    }
}

/// So much in a second; more than nothing.
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Rate(f64);

/// It is a number.
impl Eq for Rate {}

impl Rate {
    #[cfg(test)]
    pub(crate) fn new(value: f64) -> Rate {
        Rate(value)
    }

    /// As it was given.
    pub fn value(self) -> f64 {
        self.0
    }
}

/// Users and clients by their names; none as a name is everybody for whom nothing else is said.
pub type QuotaEntity = BTreeMap<String, Option<String>>;

/// What somebody wants to set for an entity, or take back.
#[derive(Clone, Debug, PartialEq)]
pub struct AlterQuotas {
    /// For whom; a type may be named once.
    pub entity: Vec<(String, Option<String>)>,
    /// By Kafka's name of the quota; none takes it back.
    pub changes: Vec<(String, Option<f64>)>,
}

/// Which entities somebody asks for: the part of a type, and how it has to be named.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QuotaFilter {
    /// The type.
    pub entity_type: String,
    /// The name.
    pub matches: QuotaMatch,
}

/// How a part of an entity has to be named.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum QuotaMatch {
    /// So.
    Named(String),
    /// As everybody.
    Default,
    /// Somehow.
    Any,
}

/// Why quotas are not set, or not told.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[error("{0}")]
pub struct QuotasRefused(String);

/// Who is counted together.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Sharers {
    /// A user; none if it does not matter which.
    pub user: Option<String>,
    /// A client's id; none if it does not matter which.
    pub client: Option<String>,
}

/// An entity, and its quotas by Kafka's names.
pub type QuotasOf<'a> = (&'a QuotaEntity, &'a BTreeMap<String, Rate>);

/// All that were set.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Quotas(BTreeMap<QuotaEntity, BTreeMap<String, Rate>>);

impl Quotas {
    /// Whether nobody is limited.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Sets one, or takes it back.
    pub(crate) fn replay(&mut self, entity: &QuotaEntity, quota: &str, rate: Option<Rate>) {
        match rate {
            Some(rate) => {
                self.0.entry(entity.clone()).or_default().insert(quota.to_owned(), rate);
            }
            None => {
                if let Some(quotas) = self.0.get_mut(entity) {
                    quotas.remove(quota);
                    if quotas.is_empty() {
                        self.0.remove(entity);
                    }
                }
            }
        }
    }

    /// How much a client may use, and who uses it with it. What is said for more of what it is goes
    /// first, a name before everybody, a user before a client's id, as in Kafka.
    pub fn limit(&self, quota: Quota, user: &str, client: &str) -> Option<(Sharers, Rate)> {
        if self.0.is_empty() {
            return None;
        }
        let parts = |user: Option<Option<&str>>, client: Option<Option<&str>>| -> QuotaEntity {
            let own = |name: Option<&str>| name.map(str::to_owned);
            let user = user.map(|name| (USER.to_owned(), own(name)));
            let client = client.map(|name| (CLIENT_ID.to_owned(), own(name)));
            user.into_iter().chain(client).collect()
        };
        let (named_user, named_client) = (Some(Some(user)), Some(Some(client)));
        let everybody = Some(None);
        let in_order = [
            (named_user, named_client),
            (named_user, everybody),
            (named_user, None),
            (everybody, named_client),
            (everybody, everybody),
            (everybody, None),
            (None, named_client),
            (None, everybody),
        ];
        in_order.into_iter().find_map(|(of_user, of_client)| {
            let rate = self.0.get(&parts(of_user, of_client))?.get(quota.name())?;
            let sharers = Sharers {
                user: of_user.map(|_| user.to_owned()),
                client: of_client.map(|_| client.to_owned()),
            };
            Some((sharers, *rate))
        })
    }

    /// Those whose parts are as is asked for; `is_strict` if they may have no other parts.
    pub fn find(
        &self,
        filters: &[QuotaFilter],
        is_strict: bool,
    ) -> Result<Vec<QuotasOf<'_>>, QuotasRefused> {
        let mut types = BTreeSet::new();
        for QuotaFilter { entity_type, .. } in filters {
            check_type(entity_type)?;
            if !types.insert(entity_type) {
                let text = format!("Duplicate filter component entity type: {entity_type}");
                return Err(QuotasRefused(text));
            }
        }
        let is_met = |entity: &QuotaEntity, filter: &QuotaFilter| {
            entity.get(&filter.entity_type).is_some_and(|name| match &filter.matches {
                QuotaMatch::Named(wanted) => name.as_ref() == Some(wanted),
                QuotaMatch::Default => name.is_none(),
                QuotaMatch::Any => name.is_some(),
            })
        };
        let found = self.0.iter().filter(|(entity, _)| {
            let has_others = is_strict && filters.len() != entity.len();
            !has_others && filters.iter().all(|filter| is_met(entity, filter))
        });
        Ok(found.collect())
    }
}

fn check_type(entity_type: &str) -> Result<(), QuotasRefused> {
    match entity_type {
        USER | CLIENT_ID => Ok(()),
        "ip" => Err(QuotasRefused("quotas of addresses are not there yet".to_owned())),
        "" => Err(QuotasRefused("Unexpected empty entity type".to_owned())),
        other => Err(QuotasRefused(format!("Unsupported entity type: {other}"))),
    }
}

impl ClusterState {
    /// What was set.
    pub fn quotas(&self) -> &Quotas {
        &self.quotas
    }

    /// Whether quotas may be set so, and the records that do it.
    pub fn decide_quotas(&self, alter: &AlterQuotas) -> Result<Vec<ClusterRecord>, QuotasRefused> {
        if alter.entity.is_empty() {
            return Err(QuotasRefused("Invalid empty client quota entity".to_owned()));
        }
        let mut entity = QuotaEntity::new();
        for (entity_type, name) in &alter.entity {
            check_type(entity_type)?;
            if name.as_ref().is_some_and(String::is_empty) {
                return Err(QuotasRefused(format!("Empty {entity_type} not supported")));
            }
            if entity.insert(entity_type.clone(), name.clone()).is_some() {
                return Err(QuotasRefused(format!("Duplicate entity type: {entity_type}")));
            }
        }
        let mut records = Vec::with_capacity(alter.changes.len());
        let mut named = BTreeSet::new();
        for (name, value) in &alter.changes {
            let Some(quota) = Quota::of(name) else {
                let known = Quota::ALL.map(Quota::name).join(", ");
                let text = format!("Invalid configuration key {name}; these are there: {known}");
                return Err(QuotasRefused(text));
            };
            if !named.insert(quota) {
                return Err(QuotasRefused(format!("Duplicate quota {name}")));
            }
            let rate = value.map(|value| checked(quota, value)).transpose()?;
            if rate != self.quotas.0.get(&entity).and_then(|of| of.get(name)).copied() {
                let (entity, quota) = (entity.clone(), name.clone());
                records.push(ClusterRecord::Quota { entity, quota, rate });
            }
        }
        Ok(records)
    }
}

fn checked(quota: Quota, value: f64) -> Result<Rate, QuotasRefused> {
    let is_whole = value.fract() == 0.0;
    let is_possible = match quota {
        Quota::ProducerBytes | Quota::ConsumerBytes => is_whole && 1.0 <= value,
        Quota::RequestTime => 0.0 < value,
    };
    match is_possible && value.is_finite() {
        true => Ok(Rate(value)),
        false => {
            let allowed = match quota {
                Quota::ProducerBytes | Quota::ConsumerBytes => "a whole number from 1 on",
                Quota::RequestTime => "a number above 0",
            };
            Err(QuotasRefused(format!("{} = {value}: choose {allowed}", quota.name())))
        }
    }
}

#[cfg(test)]
mod tests;
