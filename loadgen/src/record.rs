//! What is in a record, so that whoever reads it can tell where it belongs and whether it is whole.
//!
//! ```text
//! value:  0          4      8         12    16          24              32
//!         │ checksum │ run  │ worker  │ key │ sequence  │ intended time │ payload
//! key:    eight hexadecimal digits of the key's number
//! ```
//! Numbers are little-endian; the checksum is CRC-32C of everything after it. The intended time is
//! in nanoseconds on the host's monotonic clock, so end-to-end times hold within one host.
//!
//! Guarantees: what was changed on its way is told from what is another run's. Does not know:
//! batches, and what was sent.

mod headers;
mod template;

use serde::{Deserialize, Serialize};

pub use headers::Headers;
pub use template::{Stamp, Template};

/// Bytes of a value before its payload, and so the smallest record.
pub const VALUE_SIZE_BYTES_MIN: usize = 32;
pub const KEY_SIZE_BYTES: usize = 8;

/// What records are filled with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Payload {
    /// Nothing that could be compressed.
    #[default]
    Random,
    /// Words and numbers, as in logs and JSON: zstd makes a third of them.
    Text,
    /// One byte again and again: next to nothing is left of them.
    Zeros,
}

/// The numbers at the front of a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Value {
    /// Tells the records of this run from all others in the topic.
    pub run: u32,
    pub worker: u32,
    pub key: u32,
    pub sequence: u64,
    pub intended_ns: u64,
}

/// Why a value is none of ours, or no longer what was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Damage {
    TooShort,
    Checksum,
    /// The record's key is not the one in its value.
    Key,
    /// Its headers are not those that all records of the run have.
    Headers,
}

impl Value {
    /// Writes the numbers, and the checksum over them and the payload behind them.
    pub fn write(&self, value: &mut [u8]) {
        value[4..8].copy_from_slice(&self.run.to_le_bytes());
        value[8..12].copy_from_slice(&self.worker.to_le_bytes());
        value[12..16].copy_from_slice(&self.key.to_le_bytes());
        value[16..24].copy_from_slice(&self.sequence.to_le_bytes());
        value[24..32].copy_from_slice(&self.intended_ns.to_le_bytes());
        let checksum = crc_fast::crc32_iscsi(&value[4..]);
        value[..4].copy_from_slice(&checksum.to_le_bytes());
    }

    /// Reads a record's value and checks it, also against the record's key.
    pub fn read(key: Option<&[u8]>, value: Option<&[u8]>) -> Result<Value, Damage> {
        let value = value.filter(|value| VALUE_SIZE_BYTES_MIN <= value.len());
        let value = value.ok_or(Damage::TooShort)?;
        if crc_fast::crc32_iscsi(&value[4..]).to_le_bytes() != value[..4] {
            return Err(Damage::Checksum);
        }
        let read = Value {
            run: u32::from_le_bytes(array(value, 4)),
            worker: u32::from_le_bytes(array(value, 8)),
            key: u32::from_le_bytes(array(value, 12)),
            sequence: u64::from_le_bytes(array(value, 16)),
            intended_ns: u64::from_le_bytes(array(value, 24)),
        };
        if key != Some(&key_bytes(read.key)[..]) {
            return Err(Damage::Key);
        }
        Ok(read)
    }
}

/// A key as it stands in records.
pub fn key_bytes(key: u32) -> [u8; KEY_SIZE_BYTES] {
    const DIGITS: [u8; 16] = *b"0123456789abcdef";
    let mut bytes = [0; KEY_SIZE_BYTES];
    for (index, byte) in bytes.iter_mut().rev().enumerate() {
        *byte = DIGITS[(key >> (4 * index) & 0xf) as usize];
    }
    bytes
}

fn array<const N: usize>(bytes: &[u8], position: usize) -> [u8; N] {
    *bytes[position..].first_chunk().expect("within the smallest value")
}

#[cfg(test)]
mod tests;
