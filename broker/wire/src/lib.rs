//! Kafka's requests and responses as bytes.
//!
//! Guarantees: no I/O, no clock, no unsafe code; nothing panics on any bytes received; records are
//! never copied. Does not know: topics, logs, connections, or what any request means.
//!
//! # How a schema reads
//!
//! Every file in `messages/` holds the schema of one API in a language that says what Kafka's own
//! JSON schemas say, field by field and in the same order:
//!
//! ```text
//! message MetadataRequest: key 3, versions 0-12, flexible 9+ {
//!     topics: Option<Vec<MetadataRequestTopic>> [0+, nullable 1+];
//!     allow_auto_topic_creation: bool [4+] = true;
//!     include_cluster_authorized_operations: bool [8-10];
//!     include_topic_authorized_operations: bool [8+];
//! }
//! ```
//!
//! That is: a name and a type; in brackets the versions that have the field, then in this order and
//! each optional `nullable` with the versions in which it may be null, `tag` with its number if it
//! is a tagged field (KIP-482), `ignorable`; then a default that is not the type's. The types are
//! Rust's and `model`'s. What may be null is an `Option`; note that its default is Kafka's and so
//! an *empty* string or array, unless the schema says `= None`. A struct that may be null has a
//! byte before it that says whether it is.
//!
//! It becomes a plain struct with a `Default`, written and read at any of its versions:
//! - A field that a version lacks reads as its default.
//! - Writing a version that lacks a field is an error if the field does not hold its default,
//!   unless it is `ignorable`: then it is left out.
//! - Unknown tagged fields are skipped, in headers too.
//!
//! # How to add an API
//!
//! Write its schema into a new file in `messages/`, name it in `messages.rs`, and add a line to the
//! table `apis!` in `api.rs`. The lists in `messages/tests.rs` and in
//! `messages/tests/kafka_protocol.rs` must then have it too, or their tests fail; they hold it
//! against another implementation, cut it off at every length, and so on.
//!
//! # Memory
//!
//! A decoded message shares the memory of its frame: texts and records are slices of it. What is
//! allocated besides is bounded by the bytes received, whatever they claim: an array reserves for
//! the elements that the bytes left can hold at their smallest, but of more than 32 KiB only 16 at
//! first and the rest once that much was real. In all, decoding allocates at most 64 bytes for each
//! byte of the frame (`tests/allocation.rs`); the worst are listed groups of empty strings, 3 bytes
//! each, 128 in memory. The size of a frame is for the receiver to limit; see [`frame_size_bytes`].
//!
//! An encoded message is a [`Frame`]: a list of pieces. Records are passed through as they are, in
//! memory ([`Piece::Bytes`]) or not ([`Piece::External`], for bytes that the sender will take from
//! a file). Everything else is in one buffer.

#![forbid(unsafe_code)]

mod versions;
mod error;
mod error_code;
mod input;
mod output;
mod value;
mod schema;
mod messages;
mod api;
mod header;
mod frame;

#[cfg(test)]
mod testing;

pub use api::{ApiKey, Request, RequestMessage, Response, ResponseMessage};
pub use error::{DecodeError, DecodeFault, EncodeError, EncodeFault, FieldError};
pub use error_code::ErrorCode;
pub use frame::{
    decode_request, decode_response, encode_request, encode_response, frame_size_bytes,
};
pub use header::{RequestHeader, RequestPrefix};
pub use messages::*;
pub use output::{FRAME_PREFIX_SIZE_BYTES, Frame, Piece};
pub use schema::Message;
pub use value::{Float64, Records, Text};
pub use versions::Versions;
