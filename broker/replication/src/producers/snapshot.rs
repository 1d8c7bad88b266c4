//! The applied producers as bytes, so that a restart need not read the whole log. `FORMAT.md` has
//! every byte.

use std::collections::VecDeque;

use bytes::{Buf, BufMut, Bytes, BytesMut};
use model::{Offset, ProducerEpoch, ProducerId, Timestamp};

use super::{BATCHES_COUNT, Producer, ProducerStates, Remembered};

/// The version that is written.
const VERSION: u16 = 1;
const HEADER_SIZE_BYTES: usize = 6;
const PRODUCER_SIZE_BYTES: usize = 19;
const BATCH_SIZE_BYTES: usize = 32;

/// Why a snapshot cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SnapshotError {
    /// A later version of the broker has written it.
    #[error("producer states of version {version}: this broker reads up to {VERSION}")]
    Newer {
        /// As found.
        version: u16,
    },
    /// Bytes are missing or contradict each other.
    #[error("producer states are damaged")]
    Damaged,
}

impl ProducerStates {
    /// The applied part.
    pub fn encode(&self) -> Bytes {
        let mut bytes = BytesMut::new();
        bytes.put_u16_le(VERSION);
        bytes.put_u32_le(u32::try_from(self.applied.len()).expect("memory is smaller"));
        for (id, producer) in &self.applied {
            bytes.put_i64_le(id.0);
            bytes.put_i16_le(producer.epoch.0);
            bytes.put_i64_le(producer.used_at.0);
            bytes.put_u8(u8::try_from(producer.batches.len()).expect("at most five"));
            for batch in &producer.batches {
                bytes.put_i32_le(batch.base_sequence);
                bytes.put_i32_le(batch.last_sequence);
                bytes.put_i64_le(batch.base_offset.0);
                bytes.put_i64_le(batch.next_offset.0);
                bytes.put_i64_le(batch.max_timestamp.0);
            }
        }
        bytes.freeze()
    }

    /// Reads it back, with nothing staged.
    pub fn decode(mut bytes: &[u8]) -> Result<ProducerStates, SnapshotError> {
        let needs = |bytes: &[u8], size_bytes: usize| {
            if bytes.len() < size_bytes { Err(SnapshotError::Damaged) } else { Ok(()) }
        };
        needs(bytes, HEADER_SIZE_BYTES)?;
        let version = bytes.get_u16_le();
        if version != VERSION {
            return Err(SnapshotError::Newer { version });
        }
        let count = bytes.get_u32_le();
        let mut states = ProducerStates::default();
        for _ in 0..count {
            needs(bytes, PRODUCER_SIZE_BYTES)?;
            let id = ProducerId(bytes.get_i64_le());
            let epoch = ProducerEpoch(bytes.get_i16_le());
            let used_at = Timestamp(bytes.get_i64_le());
            let batches_count = usize::from(bytes.get_u8());
            needs(bytes, batches_count * BATCH_SIZE_BYTES)?;
            if !(1..=BATCHES_COUNT).contains(&batches_count) {
                return Err(SnapshotError::Damaged);
            }
            let batches: VecDeque<Remembered> = (0..batches_count)
                .map(|_| Remembered {
                    base_sequence: bytes.get_i32_le(),
                    last_sequence: bytes.get_i32_le(),
                    base_offset: Offset(bytes.get_i64_le()),
                    next_offset: Offset(bytes.get_i64_le()),
                    max_timestamp: Timestamp(bytes.get_i64_le()),
                })
                .collect();
            states.applied.insert(id, Producer { epoch, batches, used_at });
        }
        if bytes.is_empty() { Ok(states) } else { Err(SnapshotError::Damaged) }
    }
}
