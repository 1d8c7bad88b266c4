//! The records of `__cluster_metadata`, each the JSON value of a Kafka record, so that any Kafka
//! tool can show them.

use std::collections::BTreeMap;

use model::{BrokerId, TopicId};
use serde::{Deserialize, Serialize};

use crate::quota::{QuotaEntity, Rate};

/// The highest version that is read. Each record is written with the first one that has it, so that
/// an earlier broker reads what it can and says what it cannot.
const VERSION: u32 = 4;

/// A change of the cluster.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum ClusterRecord {
    /// The first record of all: the cluster's identity.
    Cluster {
        /// 22 characters, as Kafka's.
        cluster_id: String,
    },
    /// A topic has been created.
    Topic {
        /// Its name.
        name: String,
        /// Its id, in hexadecimal digits.
        #[serde(with = "topic_id")]
        id: TopicId,
        /// How many partitions it has.
        partitions_count: i32,
        /// How many copies of each.
        replication_factor: i16,
        /// What is not as by default.
        configs: BTreeMap<String, String>,
    },
    /// A topic has more partitions than before.
    TopicPartitions {
        /// Its id.
        #[serde(with = "topic_id")]
        id: TopicId,
        /// How many it has now.
        partitions_count: i32,
    },
    /// A topic has other configs than before.
    TopicConfigs {
        /// Its id.
        #[serde(with = "topic_id")]
        id: TopicId,
        /// All that are not as by default.
        configs: BTreeMap<String, String>,
    },
    /// Brokers say other configs for their topics than before.
    BrokerConfigs {
        /// Which broker; none for all.
        #[serde(with = "broker_id")]
        broker: Option<BrokerId>,
        /// All that are said, by their names as brokers' configs.
        configs: BTreeMap<String, String>,
    },
    /// A topic has been deleted.
    TopicDeleted {
        /// Its id.
        #[serde(with = "topic_id")]
        id: TopicId,
    },
    /// Clients may use so much of something, or as much as they like.
    Quota {
        /// Which clients.
        entity: QuotaEntity,
        /// Of what, by Kafka's name.
        quota: String,
        /// How much; none for any.
        rate: Option<Rate>,
    },
    /// Producer ids below this have been given out.
    ProducerIds {
        /// The next one.
        next: i64,
    },
}

/// Why a record cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum RecordError {
    /// A later version of the broker has written it.
    #[error(
        "a record of version {version}, this broker reads up to {VERSION}; start the version that \
         wrote it, or a later one"
    )]
    Newer {
        /// As found.
        version: u32,
    },
    /// It is not what a broker writes.
    #[error("not a record of the cluster's metadata: {0}")]
    Damaged(#[from] serde_json::Error),
}

#[derive(Serialize)]
struct Written<'a> {
    version: u32,
    #[serde(flatten)]
    record: &'a ClusterRecord,
}

#[derive(Deserialize)]
struct Head {
    version: u32,
}

impl ClusterRecord {
    /// The record's value.
    pub fn encode(&self) -> Vec<u8> {
        serde_json::to_vec(&Written { version: self.version(), record: self })
            .expect("strings and numbers can be written")
    }

    /// The first that has it.
    fn version(&self) -> u32 {
        match self {
            ClusterRecord::Cluster { .. }
            | ClusterRecord::Topic { .. }
            | ClusterRecord::TopicDeleted { .. }
            | ClusterRecord::ProducerIds { .. } => 1,
            ClusterRecord::TopicPartitions { .. } => 2,
            ClusterRecord::TopicConfigs { .. } | ClusterRecord::BrokerConfigs { .. } => 3,
            ClusterRecord::Quota { .. } => 4,
        }
    }

    /// Reads it back.
    pub fn decode(value: &[u8]) -> Result<ClusterRecord, RecordError> {
        let Head { version } = serde_json::from_slice(value)?;
        if VERSION < version {
            return Err(RecordError::Newer { version });
        }
        Ok(serde_json::from_slice(value)?)
    }
}

mod broker_id {
    use model::BrokerId;
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    #[allow(clippy::ref_option, reason = "serde calls it so")]
    pub(super) fn serialize<S: Serializer>(
        id: &Option<BrokerId>,
        to: S,
    ) -> Result<S::Ok, S::Error> {
        id.map(|id| id.0).serialize(to)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        from: D,
    ) -> Result<Option<BrokerId>, D::Error> {
        Ok(Option::<i32>::deserialize(from)?.map(BrokerId))
    }
}

mod topic_id {
    use model::TopicId;
    use serde::{Deserialize, Deserializer, Serializer, de};

    pub(super) fn serialize<S: Serializer>(id: &TopicId, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(&id.to_hex())
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<TopicId, D::Error> {
        let hex = String::deserialize(from)?;
        TopicId::from_hex(&hex).ok_or_else(|| de::Error::custom("not a topic id"))
    }
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use super::*;

    fn records() -> Vec<ClusterRecord> {
        let id = TopicId::from_random(77);
        vec![
            ClusterRecord::Cluster { cluster_id: "MkU3OEVBNTcwNTJENDM2Qk".to_owned() },
            ClusterRecord::Topic {
                name: "orders".to_owned(),
                id,
                partitions_count: 3,
                replication_factor: 1,
                configs: [("flush.messages".to_owned(), "1".to_owned())].into(),
            },
            ClusterRecord::TopicPartitions { id, partitions_count: 7 },
            ClusterRecord::TopicConfigs {
                id,
                configs: [("retention.ms".to_owned(), "1000".to_owned())].into(),
            },
            ClusterRecord::BrokerConfigs {
                broker: None,
                configs: [("log.retention.ms".to_owned(), "2000".to_owned())].into(),
            },
            ClusterRecord::BrokerConfigs { broker: Some(BrokerId(1)), configs: BTreeMap::new() },
            ClusterRecord::TopicDeleted { id },
            ClusterRecord::ProducerIds { next: 1000 },
            ClusterRecord::Quota {
                entity: [("client-id".to_owned(), Some("c".to_owned())), ("user".to_owned(), None)]
                    .into(),
                quota: "producer_byte_rate".to_owned(),
                rate: Some(Rate::new(1024.0)),
            },
            ClusterRecord::Quota {
                entity: QuotaEntity::from([("user".to_owned(), None)]),
                quota: "request_percentage".to_owned(),
                rate: None,
            },
        ]
    }

    #[test]
    fn the_bytes_are_these_and_read_back() {
        let mut text = String::new();
        for record in records() {
            let bytes = record.encode();
            text.push_str(std::str::from_utf8(&bytes).unwrap());
            text.push('\n');
            assert_eq!(ClusterRecord::decode(&bytes).unwrap(), record);
        }
        expect![[r#"
            {"version":1,"type":"cluster","cluster_id":"MkU3OEVBNTcwNTJENDM2Qk"}
            {"version":1,"type":"topic","name":"orders","id":"0000000000004000800000000000004d","partitions_count":3,"replication_factor":1,"configs":{"flush.messages":"1"}}
            {"version":2,"type":"topic_partitions","id":"0000000000004000800000000000004d","partitions_count":7}
            {"version":3,"type":"topic_configs","id":"0000000000004000800000000000004d","configs":{"retention.ms":"1000"}}
            {"version":3,"type":"broker_configs","broker":null,"configs":{"log.retention.ms":"2000"}}
            {"version":3,"type":"broker_configs","broker":1,"configs":{}}
            {"version":1,"type":"topic_deleted","id":"0000000000004000800000000000004d"}
            {"version":1,"type":"producer_ids","next":1000}
            {"version":4,"type":"quota","entity":{"client-id":"c","user":null},"quota":"producer_byte_rate","rate":1024.0}
            {"version":4,"type":"quota","entity":{"user":null},"quota":"request_percentage","rate":null}
        "#]]
        .assert_eq(&text);
    }

    #[test]
    fn what_is_newer_or_damaged_is_told() {
        let newer = br#"{"version":5,"type":"something","new":true}"#;
        let error = ClusterRecord::decode(newer).unwrap_err();
        assert!(matches!(error, RecordError::Newer { version: 5 }), "{error}");
        for record in records() {
            let bytes = record.encode();
            for size in 0..bytes.len() {
                let error = ClusterRecord::decode(&bytes[..size]).unwrap_err();
                assert!(matches!(error, RecordError::Damaged(_)), "{error}");
            }
        }
    }
}
