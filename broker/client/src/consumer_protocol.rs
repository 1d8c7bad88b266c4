//! What members of a classic group tell each other through the broker: what each wants to read, and
//! what each is to read. Kafka's consumer protocol, versions 0 to 3.
//!
//! Guarantees: later versions are read as far as they are known here; whatever the bytes are,
//! nothing panics, and no more is allocated than a small multiple of them. What is written is read
//! by Java's consumers and by librdkafka's.
//! Does not know: who reads what.

use std::collections::BTreeMap;

use bytes::{Buf, Bytes};
use model::PartitionIndex;

/// The protocol type of groups whose members speak it.
pub const CONSUMER: &str = "consumer";

/// The version that Java's consumers write; older readers stop before what they do not know.
const SUBSCRIPTION_VERSION: i16 = 3;
/// All versions of an assignment have the same fields.
const ASSIGNMENT_VERSION: i16 = 0;

/// Partitions of topics, by the topics' names.
pub type Partitions = BTreeMap<String, Vec<PartitionIndex>>;

/// What a member wants to read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Subscription {
    pub topics: Vec<String>,
    /// The assignor's own.
    pub user_data: Option<Bytes>,
    /// What it reads still, if it gives up only what others get (KIP-429).
    pub owned: Partitions,
    /// Of what it owns (KIP-792); none if it does not tell.
    pub generation: Option<i32>,
    /// Where it is (KIP-881).
    pub rack: Option<String>,
}

/// What a member is to read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Assignment {
    pub partitions: Partitions,
    /// The assignor's own.
    pub user_data: Option<Bytes>,
}

/// Why bytes are no subscription, or no assignment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProtocolError {
    #[error("{needed_bytes} bytes are needed where {remaining_bytes} are left")]
    Truncated { needed_bytes: usize, remaining_bytes: usize },
    #[error("the version is {version}: there is none below 0")]
    Version { version: i16 },
    #[error("a length is {length}: there is none below 0")]
    Length { length: i32 },
    #[error("a name is not UTF-8")]
    NotUtf8,
}

impl Subscription {
    /// Reads what a member has written, in any version.
    pub fn read(bytes: &Bytes) -> Result<Subscription, ProtocolError> {
        let mut input = Input(bytes.clone());
        let version = input.version()?;
        let mut subscription = Subscription::default();
        for _ in 0..input.count()? {
            subscription.topics.push(input.text()?);
        }
        subscription.user_data = input.nullable_bytes()?;
        if 1 <= version {
            subscription.owned = input.partitions()?;
        }
        if 2 <= version {
            subscription.generation = Some(input.i32()?).filter(|generation| 0 <= *generation);
        }
        if 3 <= version {
            subscription.rack = input.nullable_text()?;
        }
        Ok(subscription)
    }

    /// The bytes for JoinGroup.
    ///
    /// # Panics
    /// If a name is longer than Kafka's limit of 32767 bytes.
    pub fn write(&self) -> Bytes {
        let mut out = Vec::new();
        out.extend(SUBSCRIPTION_VERSION.to_be_bytes());
        put_count(&mut out, self.topics.len());
        self.topics.iter().for_each(|topic| put_text(&mut out, topic));
        put_nullable_bytes(&mut out, self.user_data.as_ref());
        put_partitions(&mut out, &self.owned);
        out.extend(self.generation.unwrap_or(-1).to_be_bytes());
        match &self.rack {
            Some(rack) => put_text(&mut out, rack),
            None => out.extend((-1_i16).to_be_bytes()),
        }
        Bytes::from(out)
    }
}

impl Assignment {
    /// Reads what a leader has written, in any version. A member that gets nothing may get no bytes
    /// at all.
    pub fn read(bytes: &Bytes) -> Result<Assignment, ProtocolError> {
        if bytes.is_empty() {
            return Ok(Assignment::default());
        }
        let mut input = Input(bytes.clone());
        input.version()?;
        let partitions = input.partitions()?;
        Ok(Assignment { partitions, user_data: input.nullable_bytes()? })
    }

    /// The bytes for SyncGroup.
    ///
    /// # Panics
    /// As [`Subscription::write`].
    pub fn write(&self) -> Bytes {
        let mut out = Vec::new();
        out.extend(ASSIGNMENT_VERSION.to_be_bytes());
        put_partitions(&mut out, &self.partitions);
        put_nullable_bytes(&mut out, self.user_data.as_ref());
        Bytes::from(out)
    }
}

/// What has not been read yet.
struct Input(Bytes);

impl Input {
    fn take(&mut self, size_bytes: usize) -> Result<Bytes, ProtocolError> {
        let remaining_bytes = self.0.remaining();
        if remaining_bytes < size_bytes {
            return Err(ProtocolError::Truncated { needed_bytes: size_bytes, remaining_bytes });
        }
        Ok(self.0.split_to(size_bytes))
    }

    fn i16(&mut self) -> Result<i16, ProtocolError> {
        Ok(self.take(2)?.get_i16())
    }

    fn i32(&mut self) -> Result<i32, ProtocolError> {
        Ok(self.take(4)?.get_i32())
    }

    fn version(&mut self) -> Result<i16, ProtocolError> {
        let version = self.i16()?;
        if version < 0 { Err(ProtocolError::Version { version }) } else { Ok(version) }
    }

    /// How many follow: nothing is reserved for them, since it may be a lie. Null is none.
    fn count(&mut self) -> Result<usize, ProtocolError> {
        match self.i32()? {
            -1 => Ok(0),
            length => usize::try_from(length).map_err(|_| ProtocolError::Length { length }),
        }
    }

    fn nullable_text(&mut self) -> Result<Option<String>, ProtocolError> {
        let length = self.i16()?;
        if length == -1 {
            return Ok(None);
        }
        let size_bytes = usize::try_from(length);
        let size_bytes = size_bytes.map_err(|_| ProtocolError::Length { length: length.into() })?;
        let text = String::from_utf8(self.take(size_bytes)?.to_vec());
        text.map(Some).map_err(|_| ProtocolError::NotUtf8)
    }

    fn text(&mut self) -> Result<String, ProtocolError> {
        self.nullable_text()?.ok_or(ProtocolError::Length { length: -1 })
    }

    fn nullable_bytes(&mut self) -> Result<Option<Bytes>, ProtocolError> {
        match self.i32()? {
            -1 => Ok(None),
            length => {
                let size_bytes = usize::try_from(length);
                self.take(size_bytes.map_err(|_| ProtocolError::Length { length })?).map(Some)
            }
        }
    }

    fn partitions(&mut self) -> Result<Partitions, ProtocolError> {
        let mut partitions = Partitions::new();
        for _ in 0..self.count()? {
            let topic = self.text()?;
            let count = self.count()?;
            let of_topic = partitions.entry(topic).or_default();
            for _ in 0..count {
                of_topic.push(PartitionIndex(self.i32()?));
            }
        }
        Ok(partitions)
    }
}

fn put_count(out: &mut Vec<u8>, count: usize) {
    let count = i32::try_from(count).expect("so many names do not fit into memory");
    out.extend(count.to_be_bytes());
}

fn put_text(out: &mut Vec<u8>, text: &str) {
    let size_bytes = i16::try_from(text.len()).expect("names are no longer than Kafka's limit");
    out.extend(size_bytes.to_be_bytes());
    out.extend(text.as_bytes());
}

fn put_nullable_bytes(out: &mut Vec<u8>, bytes: Option<&Bytes>) {
    match bytes {
        Some(bytes) => {
            put_count(out, bytes.len());
            out.extend(bytes);
        }
        None => out.extend((-1_i32).to_be_bytes()),
    }
}

fn put_partitions(out: &mut Vec<u8>, partitions: &Partitions) {
    put_count(out, partitions.len());
    for (topic, of_topic) in partitions {
        put_text(out, topic);
        put_count(out, of_topic.len());
        of_topic.iter().for_each(|partition| out.extend(partition.0.to_be_bytes()));
    }
}

#[cfg(test)]
mod tests;
