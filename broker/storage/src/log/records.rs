//! Reading the file `entries`: a record for each entry that a checkpoint has written.

use std::io;
use std::path::{Path, PathBuf};

use model::LogIndex;
use runtime::{AlignedBuf, File, OpenOptions};

use crate::format::entry::{Entry, RECORD_SIZE_BYTES, decode_record};

/// So many are read at least: they are small, and whoever needs one mostly needs its neighbours
/// next.
const RECORDS_COUNT: u64 = 64;

/// The records of a log, for any number of reads one after another.
pub(super) struct Records {
    path: PathBuf,
    /// Opened by the first read.
    file: Option<File>,
    /// What was read last: the number of the first record, and the bytes from it on. Those beyond
    /// the last record may have become records since.
    kept_from: u64,
    kept: AlignedBuf,
}

impl Records {
    pub(super) fn of(directory: &Path) -> Records {
        let path = directory.join("entries");
        Records { path, file: None, kept_from: 0, kept: AlignedBuf::with_capacity(0) }
    }

    /// The records `from..to`. One that is not there, or not the one that stands in this place, is
    /// an error of kind `InvalidData`.
    pub(super) async fn read(&mut self, from: u64, to: u64) -> io::Result<Vec<Entry>> {
        if let Ok(entries) = self.decode(from, to) {
            return Ok(entries);
        }
        self.fill(from, to).await?;
        self.decode(from, to).map_err(|damaged| {
            let what = format!("`entries` is damaged at record {damaged}");
            io::Error::new(io::ErrorKind::InvalidData, what)
        })
    }

    /// The first of the records `from..to` of which this is not so any more, or `to`: it is so of all
    /// before some record, and of none from there on. By bisection, one read at a time.
    pub(super) async fn partition_point(
        &mut self,
        from: u64,
        to: u64,
        is_before: impl Fn(&Entry) -> bool,
    ) -> io::Result<u64> {
        let (mut below, mut above) = (from, to);
        while below < above {
            let middle = below.midpoint(above);
            let read = self.read(middle, middle + 1).await?;
            match is_before(&read[0]) {
                true => below = middle + 1,
                false => above = middle,
            }
        }
        Ok(below)
    }

    /// Whether a record's space was given back. One that has never been written looks the same.
    pub(super) async fn is_purged(&mut self, index: u64) -> io::Result<bool> {
        self.fill(index, index + 1).await?;
        let start = index.checked_sub(self.kept_from).and_then(size_of);
        let bytes = start.and_then(|start| self.kept.get(start..)).unwrap_or_default();
        let record = bytes.get(..RECORD_SIZE_BYTES);
        Ok(record.is_some_and(|record| record.iter().all(|byte| *byte == 0)))
    }

    /// Records from what was read last, or the number of the first that is not in it.
    fn decode(&self, from: u64, to: u64) -> Result<Vec<Entry>, u64> {
        let start = from.checked_sub(self.kept_from).and_then(size_of);
        let bytes = start.and_then(|start| self.kept.get(start..)).ok_or(from)?;
        let mut records = bytes.chunks_exact(RECORD_SIZE_BYTES);
        (from..to)
            .map(|index| {
                let record = records.next().and_then(|record| record.try_into().ok());
                let entry = record.and_then(decode_record);
                entry.filter(|entry| entry.index == LogIndex(index)).ok_or(index)
            })
            .collect()
    }

    async fn fill(&mut self, from: u64, to: u64) -> io::Result<()> {
        if self.file.is_none() {
            self.file = Some(File::open(&self.path, OpenOptions::READ).await?);
        }
        let file = self.file.as_ref().expect("just opened");
        let from = from - from % RECORDS_COUNT;
        let count = (to - from).max(RECORDS_COUNT);
        let size_bytes = size_of(count).ok_or(io::ErrorKind::OutOfMemory)?;
        self.kept = file.read_up_to(from * RECORD_SIZE_BYTES as u64, size_bytes).await?;
        self.kept_from = from;
        Ok(())
    }
}

fn size_of(records_count: u64) -> Option<usize> {
    usize::try_from(records_count).ok()?.checked_mul(RECORD_SIZE_BYTES)
}
