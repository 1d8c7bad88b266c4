//! Writes a segment in one go, around the page cache.

use std::rc::Rc;

use bytes::Bytes;
use model::Timestamp;
use model::record_batch::BatchHeader;
use runtime::{AlignedBuf, BLOCK_SIZE_BYTES, File, OpenOptions, WriteMode};

use super::super::Log;
use super::super::segment::{Segment, SegmentName};
use super::super::tail::Ordinal;
use super::super::whole_file;
use crate::error::CompactionError;
use crate::format::index::Index;

/// Written at a time.
const PIECE_BYTES: usize = 256 << 10;

/// A segment being written.
pub(super) struct SegmentWriter {
    log: Rc<Log>,
    name: SegmentName,
    bytes_max: u64,
    /// Created with the first batch.
    file: Option<File>,
    buf: AlignedBuf,
    written_bytes: u64,
    index: Index,
    /// The checksum of each block that was written.
    sums: Vec<u8>,
}

impl SegmentWriter {
    pub(super) fn new(log: Rc<Log>, name: SegmentName, bytes_max: u64) -> SegmentWriter {
        let buf = AlignedBuf::with_capacity(0);
        SegmentWriter {
            log,
            name,
            bytes_max,
            file: None,
            buf,
            written_bytes: 0,
            index: Index::default(),
            sums: Vec::new(),
        }
    }

    /// What was appended so far.
    pub(super) fn size_bytes(&self) -> u64 {
        self.written_bytes + self.buf.len() as u64
    }

    /// Appends a batch, or what is left of one with this header.
    pub(super) async fn append(
        &mut self,
        header: &BatchHeader,
        mut bytes: &[u8],
        max_timestamp: Timestamp,
    ) -> Result<(), CompactionError> {
        let interval_bytes = self.log.options.get().index_interval_bytes;
        let position = self.size_bytes();
        if self.bytes_max < position + bytes.len() as u64 {
            let full = std::io::ErrorKind::StorageFull.into();
            return Err(self.log.compaction_failed("write a compacted segment in", full));
        }
        self.index.note(header.base_offset, position, max_timestamp, interval_bytes);
        while !bytes.is_empty() {
            let room = PIECE_BYTES - self.buf.len();
            let (now, later) = bytes.split_at(room.min(bytes.len()));
            self.buf.extend_from_slice(now);
            bytes = later;
            if self.buf.len() == PIECE_BYTES {
                self.write().await?;
            }
        }
        Ok(())
    }

    async fn write(&mut self) -> Result<(), CompactionError> {
        const ACTION: &str = "write a compacted segment in";
        let log = self.log.clone();
        let failed = |source| log.compaction_failed(ACTION, source);
        if self.file.is_none() {
            let options = OpenOptions::CREATE.direct(log.shared.options.is_direct).background();
            let path = self.name.log_path(&log.directory);
            let file = File::open(path, options).await.map_err(failed)?;
            // There may be something of an earlier attempt.
            file.truncate(0).await.map_err(failed)?;
            self.file = Some(file);
        }
        let file = self.file.as_ref().expect("just opened");
        let mut buf = std::mem::replace(&mut self.buf, AlignedBuf::with_capacity(0));
        let size_bytes = buf.len() as u64;
        buf.pad_to_block();
        for block in buf.chunks_exact(BLOCK_SIZE_BYTES) {
            self.sums.extend_from_slice(&crc32fast::hash(block).to_le_bytes());
        }
        let written = file.write_all_at(buf.freeze(), self.written_bytes, WriteMode::Cached).await;
        written.map_err(failed)?;
        self.written_bytes += size_bytes;
        Ok(())
    }

    /// Flushes what was written; none if that is nothing. Its number is the next after `replaced`.
    pub(super) async fn finish(
        mut self,
        replaced: Ordinal,
    ) -> Result<Option<Segment>, CompactionError> {
        if !self.buf.is_empty() {
            self.write().await?;
        }
        let Some(file) = self.file.take() else { return Ok(None) };
        let log = &self.log;
        let size_bytes = self.written_bytes;
        let sums = Bytes::from(self.sums);
        let flushed: std::io::Result<()> = async {
            file.truncate(size_bytes).await?;
            file.sync_data().await?;
            let sums_path = self.name.sums_path(&log.directory);
            whole_file::write_flushed(&sums_path, sums).await
        }
        .await;
        flushed.map_err(|source| log.compaction_failed("flush a compacted segment in", source))?;
        log.shared.metrics.checkpoint_flushes.add(2);
        log.keep_index(self.name, self.index.encode(self.name.base_offset, size_bytes)).await;
        Ok(Some(Segment::compacted(replaced + 1, self.name, size_bytes, self.index)))
    }
}
