//! What can go wrong between a client and a cluster.
//!
//! Guarantees: an error says whether the request may have been acted upon; a broker's refusal keeps
//! the broker's own code and words.

use std::io;
use std::time::Duration;

use model::{BrokerId, PartitionIndex};
use wire::{ApiKey, DecodeError, EncodeError, ErrorCode, Versions};

use crate::address::Host;
use crate::consumer_protocol::ProtocolError;

/// Why a connection has ended. Everybody who waited on it is told the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConnectionEnd {
    /// Also what a broker does that refuses a request without an answer, such as one with acks=0.
    #[error("the broker closed the connection")]
    ClosedByBroker,
    /// By dropping its last handle.
    #[error("the connection was dropped")]
    Dropped,
    #[error("the connection failed: {0}")]
    Failed(io::ErrorKind),
    /// Answers come in order, so nothing after it could have been answered either.
    #[error("no answer to {api_key} within {waited_ms} ms")]
    TimedOut { api_key: ApiKey, waited_ms: u128 },
    #[error("the broker sent what is no answer: {0}")]
    BadFrame(DecodeError),
    #[error("answer to request {found} where {expected} is next")]
    WrongAnswer { expected: i32, found: i32 },
    #[error("answer to request {found}, but none is asked")]
    Unasked { found: i32 },
}

/// Why no connection came about.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    #[error("cannot connect to {address}")]
    Refused { address: core::net::SocketAddr, source: io::Error },
    #[error("no connection to {address} within {waited_ms} ms")]
    TimedOut { address: core::net::SocketAddr, waited_ms: u128 },
    #[error("{address} does not say which versions it speaks")]
    Negotiation { address: core::net::SocketAddr, source: CallError },
    #[error("{address} refuses ApiVersions: {code}")]
    NegotiationRefused { address: core::net::SocketAddr, code: ErrorCode },
}

/// Why a request has no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CallError {
    /// Nothing was sent.
    #[error("the broker does not speak {api_key}, of which versions {ours} are known here")]
    Unsupported { api_key: ApiKey, ours: Versions },
    /// Nothing was sent.
    #[error("{api_key}: the broker speaks versions {theirs}, {ours} are known here")]
    NoCommonVersion { api_key: ApiKey, ours: Versions, theirs: Versions },
    /// Nothing was sent.
    #[error("{in_flight_max} requests are in flight, and no more are allowed")]
    Busy { in_flight_max: usize },
    /// Nothing was sent.
    #[error("the request cannot be written: {0}")]
    Encode(EncodeError),
    /// It was acted upon, and nobody here can tell how.
    #[error("the answer cannot be read: {0}")]
    Decode(DecodeError),
    /// It may or may not have been acted upon.
    #[error(transparent)]
    Ended(#[from] ConnectionEnd),
}

/// Why the cluster did not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum ClusterError {
    #[error("no broker to ask: name at least one")]
    NoBootstrap,
    #[error("no broker can be reached, the last tried is {host}")]
    Unreachable { host: Host, source: ConnectError },
    #[error("cannot find the address of {host}")]
    Unresolved { host: Host },
    #[error("broker {broker} is not in the cluster's metadata")]
    UnknownBroker { broker: BrokerId },
    #[error("broker {broker} cannot be reached")]
    Connect { broker: BrokerId, source: ConnectError },
    #[error(transparent)]
    Call(#[from] CallError),
    /// By a broker, and trying again would not help.
    #[error("{api_key} of {what} is refused: {code}{}", with_message(.message))]
    Refused { api_key: ApiKey, what: String, code: ErrorCode, message: Option<String> },
    #[error("topic {topic} has no partition {partition}: it has {partitions_count}")]
    NoSuchPartition { topic: String, partition: PartitionIndex, partitions_count: usize },
    /// Nothing was sent.
    #[error(
        "the broker is too old for {what}: it speaks {api_key} up to version {version}, and \
         {needed_version} is needed"
    )]
    TooOld { api_key: ApiKey, what: &'static str, version: i16, needed_version: i16 },
    /// By a member that has come later under the same name, for good.
    #[error(
        "another member of group {group} has taken the place of instance {instance}: give each \
         member an instance of its own"
    )]
    Fenced { group: String, instance: String },
    #[error("{what} cannot be read")]
    Unreadable { what: String, source: ProtocolError },
    /// Of errors that may pass, the last.
    #[error("{what} did not succeed within {waited_ms} ms, the last answer was {code}")]
    TimedOut { what: String, waited_ms: u128, code: ErrorCode },
    /// An answer that leaves out what was asked for.
    #[error("the answer to {api_key} does not mention {what}")]
    Incomplete { api_key: ApiKey, what: String },
}

fn with_message(message: &Option<String>) -> String {
    message.as_ref().map(|message| format!(" ({message})")).unwrap_or_default()
}

/// An error and its causes in one line, each after a colon.
pub fn in_full(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}

/// Milliseconds, for messages.
pub(crate) fn ms(duration: Duration) -> u128 {
    duration.as_millis()
}
