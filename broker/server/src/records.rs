//! The broker's own records: into batches, and out of a log at a start.

use bytes::Bytes;
use model::record_batch::{BatchBuilder, BatchHeader, Batches, ProducerStamp, Record, Records};
use model::{LeaderEpoch, Offset};
use replication::{Batch, Isolation, ReadFrom, Replica};
use storage::{ReadOutcome, Slice};

/// Read at a time.
const READ_BYTES: usize = 4 << 20;

/// A batch that can be appended.
pub(crate) fn batch_of(builder: BatchBuilder) -> Batch {
    let bytes = Bytes::from(builder.finish(ProducerStamp::NONE));
    let header = BatchHeader::read(&bytes).expect("the builder writes what is valid");
    Batch { header, bytes }
}

/// Gives every record of a log, in order and with its offset, up to the high watermark. An error is
/// what `take` says, or why the log cannot be read.
pub(crate) async fn read_all<E: From<Unreadable>>(
    replica: &Replica,
    mut take: impl FnMut(Offset, &Record<'_>) -> Result<(), E>,
) -> Result<(), E> {
    let mut offset = replica.progress().log_start;
    let end = replica.progress().high_watermark;
    while offset < end {
        let bytes = read_from(replica, offset).await?;
        if bytes.is_empty() {
            // Compaction has left nothing up to the end.
            return Ok(());
        }
        let before = offset;
        for batch in Batches::new(&bytes) {
            let (header, batch) = batch.map_err(|error| unreadable(&error))?;
            for record in Records::read(batch).map_err(|error| unreadable(&error))? {
                let record = record.map_err(|error| unreadable(&error))?;
                take(header.base_offset + i64::from(record.offset_delta), &record)?;
            }
            offset = header.next_offset();
        }
        if offset <= before {
            return Err(Unreadable(format!("nothing is at offset {offset}")).into());
        }
    }
    Ok(())
}

/// Why a log of the broker's own cannot be read.
#[derive(Debug)]
pub(crate) struct Unreadable(pub(crate) String);

fn unreadable(error: &dyn std::fmt::Display) -> Unreadable {
    Unreadable(error.to_string())
}

async fn read_from(replica: &Replica, offset: Offset) -> Result<Vec<u8>, Unreadable> {
    let from = ReadFrom {
        leader_epoch: LeaderEpoch::NONE,
        offset,
        bytes_max: READ_BYTES,
        at_least_one_batch: true,
        isolation: Isolation::ReadUncommitted,
    };
    let slices = match replica.read(&from).map_err(|error| unreadable(&error))? {
        ReadOutcome::Ready(slices) => slices,
        ReadOutcome::Cold(cold) => cold.run().await.map_err(|error| unreadable(&error))?,
    };
    let mut bytes = Vec::new();
    for slice in slices {
        match slice {
            Slice::Memory(piece) => bytes.extend_from_slice(&piece),
            Slice::File(slice) => {
                let read = slice.file.read_exact_at(slice.position, slice.size_bytes).await;
                bytes.extend_from_slice(&read.map_err(|error| unreadable(&error))?);
            }
        }
    }
    Ok(bytes)
}
