//! The log of one partition, in memory.

use bytes::{Bytes, BytesMut};
use model::record_batch::{BatchHeader, assign};
use model::{LeaderEpoch, Offset};

/// The batches of a partition.
#[derive(Debug, Default)]
pub(super) struct Log {
    /// In order, each with its base offset.
    batches: Vec<(Offset, Bytes)>,
    end: i64,
    keeps_records: bool,
}

impl Log {
    pub(super) fn new(keeps_records: bool) -> Log {
        Log { batches: Vec::new(), end: 0, keeps_records }
    }

    /// Where it begins: at its end, if it keeps nothing.
    pub(super) fn start(&self) -> Offset {
        Offset(if self.keeps_records { 0 } else { self.end })
    }

    /// Where the next record goes.
    pub(super) fn end(&self) -> Offset {
        Offset(self.end)
    }

    /// Appends a batch, and returns its base offset.
    pub(super) fn append(&mut self, header: &BatchHeader, batch: &[u8]) -> Offset {
        let base = Offset(self.end);
        self.end += i64::from(header.last_offset_delta) + 1;
        if self.keeps_records {
            let mut batch = BytesMut::from(batch);
            assign(&mut batch, base, LeaderEpoch(0));
            self.batches.push((base, batch.freeze()));
        }
        base
    }

    /// The batches from the one with `offset` on, as many as fit into `size_bytes_max` and at least
    /// one.
    pub(super) fn read(&self, offset: Offset, size_bytes_max: usize) -> &[(Offset, Bytes)] {
        let from = self.batches.partition_point(|(base, _)| *base <= offset).saturating_sub(1);
        if Offset(self.end) <= offset {
            return &[];
        }
        let mut size_bytes = 0;
        let fits = self.batches[from..].iter().take_while(|(_, batch)| {
            let is_first = size_bytes == 0;
            size_bytes += batch.len();
            is_first || size_bytes <= size_bytes_max
        });
        let count = fits.count();
        &self.batches[from..][..count]
    }
}
