//! A lean Kafka client on the runtime: connections that pipeline, a cluster that knows leaders, and
//! members of groups.
//!
//! ```text
//!   Member         one of those who divide a group's partitions among themselves
//!     │
//!   Cluster        who leads what; refreshes when told that it is wrong; retries what may be retried
//!     │ one for every broker it talks to, or as many as the caller opens
//!   Connection     typed requests out, answers back in the same order, at versions both sides speak
//!     │
//!   runtime::TcpStream
//! ```
//! Beside them, `compression` for whoever makes batches or reads them, and `consumer_protocol` for
//! what members of a group tell each other.
//!
//! Guarantees: requests of one connection reach the broker in the order in which they were started;
//! nothing is sent twice unless sending it twice does no harm; every wait has a deadline; when a
//! connection dies, everybody who waits on it hears why. It speaks to any broker that speaks
//! Kafka's protocol.
//! Does not know: batching, security. Lives on: one core, like
//! everything that it hands out.

#![forbid(unsafe_code)]

mod address;
mod error;
mod connection;
pub mod consumer_protocol;
mod cluster;
mod assignor;
mod member;
pub mod partitioner;
pub mod compression;

#[cfg(test)]
mod testing;

pub use address::{Host, HostError, Resolve, resolve_literal};
pub use assignor::{Assignor, Subscriber};
pub use cluster::{
    BrokerDescription, Cluster, ClusterDescription, ClusterOptions, Committed, ConfigChange,
    ConfigEntry, ConfigSource, DeleteBefore, Fetch, FetchFrom, Fetched, GroupDescription,
    GroupFilter, GroupMember, GroupOffsets, Leader, ListedGroup, LogDir, LogDirReplica, NewTopic,
    NewTopicShape, OffsetAt, PartitionDescription, Produced, Producer, Topic, TopicDescription,
};
pub use connection::{Answer, Answered, Connection, ConnectionOptions, Written};
pub use consumer_protocol::Partitions;
pub use error::{CallError, ClusterError, ConnectError, ConnectionEnd, in_full};
pub use member::{Member, MemberOptions, Standing};
