//! Entries of a partition's log, and their records in its `entries` file.

use model::record_batch::BatchHeader;
use model::{LeaderEpoch, LogIndex, Offset, ProducerEpoch, ProducerId, Timestamp};

use super::{Fields, VERSION, put};

/// One entry of a partition's log: what replication counts. At most one record batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Its place in the log, dense from 0.
    pub index: LogIndex,
    /// The epoch of the leader that appended it.
    pub leader_epoch: LeaderEpoch,
    /// The offset of the next record after it.
    pub next_offset: Offset,
    /// Bytes of its payload: of the record batch, or of the membership.
    pub size_bytes: u32,
    /// What it is.
    pub kind: EntryKind,
}

/// What an entry is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EntryKind {
    /// A record batch; the only kind with offsets and with bytes in a segment.
    Batch(BatchStamp),
    /// Says that its leader's epoch has begun.
    Blank,
    /// Who the voters are, in the payload.
    Membership,
    /// In the place of a batch that was refused after its place was given.
    Void,
    /// No record below this offset is to be read any more.
    LogStart(Offset),
}

/// What the log must know of a record batch without reading it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BatchStamp {
    /// Offset of its first record.
    pub base_offset: Offset,
    /// How many offsets it takes: its last offset is `base_offset + offsets_count - 1`.
    pub offsets_count: u32,
    /// The batch's own checksum (CRC-32C), from its header.
    pub crc: u32,
    /// The attributes of its header.
    pub attributes: i16,
    /// Time of its first record.
    pub base_timestamp: Timestamp,
    /// The latest time of a record in it.
    pub max_timestamp: Timestamp,
    /// The idempotent producer it comes from, if any.
    pub producer_id: ProducerId,
    /// The producer's epoch.
    pub producer_epoch: ProducerEpoch,
    /// The sequence number of its first record.
    pub base_sequence: i32,
}

impl BatchStamp {
    /// The stamp of a batch that is to stand at this offset.
    pub fn of(header: &BatchHeader, base_offset: Offset) -> BatchStamp {
        let offsets_count = header.last_offset_delta + 1;
        BatchStamp {
            base_offset,
            offsets_count: u32::try_from(offsets_count).expect("a batch has a record"),
            crc: header.crc,
            attributes: header.attributes,
            base_timestamp: header.base_timestamp,
            max_timestamp: header.max_timestamp,
            producer_id: header.producer_id,
            producer_epoch: header.producer_epoch,
            base_sequence: header.base_sequence,
        }
    }

    /// The offset after its last record.
    pub fn next_offset(&self) -> Offset {
        self.base_offset + i64::from(self.offsets_count)
    }
}

impl Entry {
    /// Bytes that the entry puts into a segment.
    pub fn segment_bytes(&self) -> u64 {
        match self.kind {
            EntryKind::Batch(_) => u64::from(self.size_bytes),
            _ => 0,
        }
    }

    /// Whether it is a batch of an idempotent producer.
    pub fn is_idempotent(&self) -> bool {
        self.batch().is_some_and(|stamp| 0 <= stamp.producer_id.0)
    }

    /// The batch's stamp, if it is one.
    pub fn batch(&self) -> Option<&BatchStamp> {
        match &self.kind {
            EntryKind::Batch(stamp) => Some(stamp),
            _ => None,
        }
    }
}

/// Size of an entry's record. Record `i` stands at `i` times this.
pub(crate) const RECORD_SIZE_BYTES: usize = 80;

/// The entry as a record of the `entries` file.
pub(crate) fn encode_record(entry: &Entry) -> [u8; RECORD_SIZE_BYTES] {
    let mut record = [0; RECORD_SIZE_BYTES];
    put(&mut record, 0, entry.index.0.to_le_bytes());
    put(&mut record, 8, entry.next_offset.0.to_le_bytes());
    put(&mut record, 16, entry.leader_epoch.0.to_le_bytes());
    put(&mut record, 20, entry.size_bytes.to_le_bytes());
    #[expect(clippy::cast_possible_truncation, reason = "versions are small")]
    put(&mut record, 24, [kind_number(&entry.kind), VERSION as u8]);
    match &entry.kind {
        EntryKind::Batch(stamp) => {
            put(&mut record, 26, stamp.attributes.to_le_bytes());
            put(&mut record, 28, stamp.crc.to_le_bytes());
            put(&mut record, 32, stamp.offsets_count.to_le_bytes());
            put(&mut record, 36, stamp.base_sequence.to_le_bytes());
            put(&mut record, 40, stamp.base_timestamp.0.to_le_bytes());
            put(&mut record, 48, stamp.max_timestamp.0.to_le_bytes());
            put(&mut record, 56, stamp.producer_id.0.to_le_bytes());
            put(&mut record, 64, stamp.producer_epoch.0.to_le_bytes());
        }
        EntryKind::LogStart(offset) => put(&mut record, 40, offset.0.to_le_bytes()),
        EntryKind::Blank | EntryKind::Membership | EntryKind::Void => {}
    }
    let crc = crc32fast::hash(&record[..RECORD_SIZE_BYTES - 4]);
    put(&mut record, RECORD_SIZE_BYTES - 4, crc.to_le_bytes());
    record
}

/// Reads a record back; none if its bytes are not those of a record.
pub(crate) fn decode_record(record: &[u8; RECORD_SIZE_BYTES]) -> Option<Entry> {
    let fields = Fields(record);
    let crc = crc32fast::hash(&record[..RECORD_SIZE_BYTES - 4]);
    if crc != fields.u32(RECORD_SIZE_BYTES - 4) || VERSION < u16::from(fields.u8(25)) {
        return None;
    }
    let next_offset = Offset(fields.i64(8));
    let kind = match fields.u8(24) {
        0 => {
            let offsets_count = fields.u32(32);
            EntryKind::Batch(BatchStamp {
                base_offset: Offset(next_offset.0.checked_sub(i64::from(offsets_count))?),
                offsets_count,
                crc: fields.u32(28),
                attributes: i16::from_le_bytes(fields.array(26)),
                base_timestamp: Timestamp(fields.i64(40)),
                max_timestamp: Timestamp(fields.i64(48)),
                producer_id: ProducerId(fields.i64(56)),
                producer_epoch: ProducerEpoch(i16::from_le_bytes(fields.array(64))),
                base_sequence: i32::from_le_bytes(fields.array(36)),
            })
        }
        1 => EntryKind::Blank,
        2 => EntryKind::Membership,
        3 => EntryKind::Void,
        4 => EntryKind::LogStart(Offset(fields.i64(40))),
        _ => return None,
    };
    Some(Entry {
        index: LogIndex(fields.u64(0)),
        leader_epoch: LeaderEpoch(i32::from_le_bytes(fields.array(16))),
        next_offset,
        size_bytes: fields.u32(20),
        kind,
    })
}

fn kind_number(kind: &EntryKind) -> u8 {
    match kind {
        EntryKind::Batch(_) => 0,
        EntryKind::Blank => 1,
        EntryKind::Membership => 2,
        EntryKind::Void => 3,
        EntryKind::LogStart(_) => 4,
    }
}
