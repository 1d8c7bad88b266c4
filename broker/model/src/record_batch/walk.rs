//! The records of a batch, compressed or not, one after another through a small window.
//!
//! ```text
//! compressed records ─► Decoder ─► window of 64 KiB ─► offset, time, key or not of each record
//! ```
//! Keys, values and headers are stepped over without being gathered, so that a record may be much
//! larger than the window. The walk stops when its caller's budget is used up and goes on with the
//! next: a piece of 64 KiB takes some 100 microseconds.
//!
//! Guarantees: what ends with [`Step::End`] was whole; it has the declared number of records, and
//! nothing more; faults are those of [`Records`](super::Records). Takes the window and what
//! the decoder takes ([`codec`](crate::codec)). Does not know: what is allowed in a record.

use super::{
    BatchError, BatchHeader, Compression, HEADER_SIZE_BYTES, RecordFault, varint, whole_batch,
};
use crate::Timestamp;
use crate::codec::{CodecError, Decoder};

const WINDOW_BYTES: usize = 64 << 10;
/// What a call of the decoder costs at least, however little it yields.
const CALL_COST_BYTES: usize = 1 << 10;
/// Attributes, timestamp delta, offset delta and the length of the key.
const HEAD_BYTES_MAX: usize = 1 + 10 + 5 + 5;
const LENGTH_BYTES_MAX: usize = 5;

/// What a walk tells of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WalkedRecord {
    /// Its offset, counted from the batch's base offset.
    pub offset_delta: i32,
    /// The producer's, or when the batch was appended if its timestamp type says so.
    pub timestamp: Timestamp,
    /// Whether it has a key.
    pub has_key: bool,
}

/// Where a walk has come to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// At the end of a record.
    Record(WalkedRecord),
    /// The budget is used up. There is more.
    Paused,
    /// All records have been told, and nothing follows them.
    End,
}

/// The records of one batch, in order. After an error it must not go on.
#[derive(Debug)]
pub struct RecordsWalk<'a> {
    decoder: Decoder<'a>,
    window: Vec<u8>,
    /// What was decoded and not read is between.
    begin: usize,
    end: usize,

    base_timestamp: Timestamp,
    log_append_time: Option<Timestamp>,
    records_count: i32,
    next_index: i32,

    part: Part,
    /// To step over before the part.
    skip_bytes: usize,
    /// Of the record, with what is to be stepped over.
    body_bytes: usize,
    headers_left: usize,
    record: WalkedRecord,
}

/// What is read next.
#[derive(Clone, Copy, Debug)]
enum Part {
    RecordLength,
    /// Everything up to the length of the key.
    Head,
    ValueLength,
    HeadersCount,
    HeaderKeyLength,
    HeaderValueLength,
    RecordEnd,
}

impl<'a> RecordsWalk<'a> {
    /// Of the batch that `bytes` begin with, of whose records at most so many bytes may come. Does
    /// not check the CRC.
    pub fn new(bytes: &'a [u8], limit_bytes: u64) -> Result<RecordsWalk<'a>, BatchError> {
        let header = BatchHeader::read(bytes)?;
        let batch = whole_batch(&header, bytes)?;
        let (compression, records) = (header.compression()?, &batch[HEADER_SIZE_BYTES..]);
        let window_bytes = match compression {
            // It is known how much comes: most batches are smaller than the window.
            Compression::None => WINDOW_BYTES.min(records.len()),
            Compression::Gzip | Compression::Snappy | Compression::Lz4 | Compression::Zstd => {
                WINDOW_BYTES
            }
        };
        Ok(RecordsWalk {
            decoder: Decoder::new(compression, records, limit_bytes),
            window: vec![0; window_bytes],
            begin: 0,
            end: 0,
            base_timestamp: header.base_timestamp,
            log_append_time: header.log_append_time(),
            records_count: header.records_count,
            next_index: 0,
            part: Part::RecordLength,
            skip_bytes: 0,
            body_bytes: 0,
            headers_left: 0,
            record: WalkedRecord { offset_delta: 0, timestamp: Timestamp::NONE, has_key: false },
        })
    }

    /// What has come of the records, as they are uncompressed.
    pub fn decoded_bytes(&self) -> u64 {
        self.decoder.produced_bytes()
    }

    /// Goes on to the end of the next record, for as long as the budget lasts. Bytes of the input
    /// and of what comes out of it are taken off the budget.
    pub fn step(&mut self, budget_bytes: &mut usize) -> Result<Step, BatchError> {
        loop {
            if matches!(self.part, Part::RecordLength) && self.records_count <= self.next_index {
                return self.finish(budget_bytes);
            }
            if !self.skip(budget_bytes)? {
                return Ok(Step::Paused);
            }
            let needed_bytes = match self.part {
                Part::RecordLength => LENGTH_BYTES_MAX,
                Part::Head => HEAD_BYTES_MAX.min(self.body_bytes),
                _ => LENGTH_BYTES_MAX.min(self.body_bytes),
            };
            if !self.gather(needed_bytes, budget_bytes)? {
                return Ok(Step::Paused);
            }
            let index = self.next_index;
            let at_end = self.read().map_err(|fault| BatchError::Record { index, fault })?;
            if at_end {
                self.next_index += 1;
                return Ok(Step::Record(self.record));
            }
        }
    }

    /// Reads the part, which is in the window as far as there is one. True at a record's end.
    fn read(&mut self) -> Result<bool, RecordFault> {
        if matches!(self.part, Part::RecordLength) {
            let length = self.read_number(usize::MAX, varint::read_i32)?;
            self.body_bytes = not_negative(length)?;
            self.part = Part::Head;
            return Ok(false);
        }
        let before = self.begin;
        match self.part {
            Part::RecordLength => unreachable!("read above"),
            Part::Head => self.read_head()?,
            Part::ValueLength => {
                self.read_nullable()?;
                self.part = Part::HeadersCount;
            }
            Part::HeadersCount => {
                let count = self.read_number(self.body_bytes, varint::read_i32)?;
                let available_bytes = self.body_bytes - (self.begin - before);
                self.headers_left = usize::try_from(count)
                    .ok()
                    .filter(|count| *count <= available_bytes)
                    .ok_or(RecordFault::HeadersCount { count, available_bytes })?;
                self.part = self.next_header();
            }
            Part::HeaderKeyLength => {
                let length = self.read_number(self.body_bytes, varint::read_i32)?;
                self.skip_bytes = not_negative(length)?;
                self.part = Part::HeaderValueLength;
            }
            Part::HeaderValueLength => {
                self.read_nullable()?;
                self.headers_left -= 1;
                self.part = self.next_header();
            }
            Part::RecordEnd => {
                if 0 < self.body_bytes {
                    return Err(RecordFault::TrailingBytes { extra_bytes: self.body_bytes });
                }
                self.part = Part::RecordLength;
                return Ok(true);
            }
        }
        self.body_bytes -= self.begin - before;
        if self.body_bytes < self.skip_bytes {
            return Err(RecordFault::Truncated {
                needed_bytes: self.skip_bytes,
                available_bytes: self.body_bytes,
            });
        }
        Ok(false)
    }

    fn read_head(&mut self) -> Result<(), RecordFault> {
        if self.body_bytes.min(self.end - self.begin) == 0 {
            return Err(RecordFault::Truncated { needed_bytes: 1, available_bytes: 0 });
        }
        // The attributes, which nobody uses.
        self.begin += 1;
        let body_end = self.begin - 1 + self.body_bytes;
        let timestamp_delta = self.read_number(body_end - self.begin, varint::read_i64)?;
        let offset_delta = self.read_number(body_end - self.begin, varint::read_i32)?;
        let key_length = self.read_number(body_end - self.begin, varint::read_i32)?;
        // Wraps, as reading elsewhere does.
        let created = Timestamp(self.base_timestamp.0.wrapping_add(timestamp_delta));
        self.record = WalkedRecord {
            offset_delta,
            timestamp: self.log_append_time.unwrap_or(created),
            has_key: 0 <= key_length,
        };
        self.skip_bytes = usize::try_from(key_length).unwrap_or(0);
        self.part = Part::ValueLength;
        Ok(())
    }

    /// Notes what is to be stepped over. Every negative length is null.
    fn read_nullable(&mut self) -> Result<(), RecordFault> {
        let length = self.read_number(self.body_bytes, varint::read_i32)?;
        self.skip_bytes = usize::try_from(length).unwrap_or(0);
        Ok(())
    }

    fn next_header(&self) -> Part {
        if self.headers_left == 0 { Part::RecordEnd } else { Part::HeaderKeyLength }
    }

    /// Reads a number off the window, within so many bytes.
    fn read_number<N>(
        &mut self,
        within_bytes: usize,
        read: impl FnOnce(&mut &[u8]) -> Result<N, RecordFault>,
    ) -> Result<N, RecordFault> {
        let available = &self.window[self.begin..self.end];
        let mut rest = &available[..available.len().min(within_bytes)];
        let before = rest.len();
        let number = read(&mut rest)?;
        self.begin += before - rest.len();
        Ok(number)
    }

    /// Steps over what is to be stepped over. False if the budget does not last.
    fn skip(&mut self, budget_bytes: &mut usize) -> Result<bool, BatchError> {
        while 0 < self.skip_bytes {
            let now = self.skip_bytes.min(self.end - self.begin);
            self.begin += now;
            self.skip_bytes -= now;
            self.body_bytes -= now;
            if self.skip_bytes == 0 {
                break;
            }
            if self.decoder.is_finished() {
                let needed_bytes = self.skip_bytes;
                let fault = RecordFault::Truncated { needed_bytes, available_bytes: 0 };
                return Err(BatchError::Record { index: self.next_index, fault });
            }
            if !self.decode(budget_bytes)? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Decodes until so many bytes are in the window, or no more come. False if the budget does not
    /// last.
    fn gather(&mut self, bytes: usize, budget_bytes: &mut usize) -> Result<bool, BatchError> {
        while self.end - self.begin < bytes && !self.decoder.is_finished() {
            if !self.decode(budget_bytes)? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Decodes once, behind what is in the window. False if nothing is left of the budget.
    fn decode(&mut self, budget_bytes: &mut usize) -> Result<bool, CodecError> {
        if *budget_bytes == 0 {
            return Ok(false);
        }
        // Little is left, if anything: less than the largest part.
        self.window.copy_within(self.begin..self.end, 0);
        self.end -= std::mem::take(&mut self.begin);
        let decoded = self.decoder.decode(&mut self.window[self.end..])?;
        self.end += decoded.produced_bytes;
        let cost_bytes = decoded.consumed_bytes + decoded.produced_bytes;
        *budget_bytes = budget_bytes.saturating_sub(cost_bytes.max(CALL_COST_BYTES));
        Ok(true)
    }

    /// After the last record: everything has been decoded, and nothing is left.
    fn finish(&mut self, budget_bytes: &mut usize) -> Result<Step, BatchError> {
        if !self.gather(1, budget_bytes)? {
            return Ok(Step::Paused);
        }
        match self.end - self.begin {
            0 => Ok(Step::End),
            extra_bytes => {
                let records_count = self.records_count;
                Err(BatchError::TrailingRecords { records_count, extra_bytes })
            }
        }
    }
}

fn not_negative(length: i32) -> Result<usize, RecordFault> {
    usize::try_from(length).map_err(|_| RecordFault::NegativeLength { length })
}

#[cfg(test)]
mod tests;
