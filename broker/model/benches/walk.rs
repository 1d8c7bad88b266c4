//! How fast the records of a batch are walked, and encoded, by codec: `cargo bench -p model --bench
//! walk`.
//!
//! Throughput is of what comes out; the ratio that is printed first gives that of what went in.
//! Estimate: the decoders are the cost (gzip some 400 MB/s, lz4 and snappy about 1 GB/s, zstd in
//! between), stepping over the records some 20 ns each, and for small batches the memory of the
//! decoder.

#![allow(clippy::unwrap_used, reason = "a measurement that cannot go on has failed")]
#![allow(clippy::print_stdout, reason = "the result goes to whoever asked for it")]

use std::hint::black_box;
use std::time::{Duration, Instant};

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use model::Timestamp;
use model::codec::{Encoder, encode};
use model::record_batch::{
    BatchBuilder, Compression, HEADER_SIZE_BYTES, NewRecord, ProducerStamp, RecordsWalk, Step,
    with_records,
};

/// Uncompressed: as the Java client batches by default, and as librdkafka may.
const BATCH_SIZES_BYTES: [usize; 2] = [16 << 10, 1 << 20];
const ENCODED_PIECE_BYTES: usize = 16 << 10;
/// With their levels.
const ENCODED: [(Compression, &[i32]); 4] = [
    (Compression::Gzip, &[1, 6, 9]),
    (Compression::Snappy, &[0]),
    (Compression::Lz4, &[0]),
    (Compression::Zstd, &[-5, 1, 3, 5, 6, 9, 12, 15, 19, 22]),
];

/// Orders as JSON of some 200 bytes, which compress as such things do.
fn batch_of(size_bytes: usize) -> Vec<u8> {
    let mut builder = BatchBuilder::new();
    let mut state = 1_u32;
    let mut random = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        state >> 8
    };
    while builder.size_bytes() < size_bytes {
        let key = format!("{:08}", random() % 100_000);
        let value = format!(
            "{{\"order\":\"{:06x}{:06x}\",\"customer\":{key},\"items\":[{{\"sku\":\"A-{:05}\",\
             \"count\":{},\"cents\":{}}}],\"currency\":\"EUR\",\"state\":\"placed\",\
             \"address\":{{\"street\":\"Main Street {}\",\"city\":\"Springfield\"}}}}",
            random(),
            random(),
            random() % 5000,
            random() % 9,
            random() % 100_000,
            random() % 300
        );
        builder.push(&NewRecord {
            timestamp: Timestamp(1_700_000_000_000 + i64::from(random() % 1000)),
            key: Some(key.as_bytes()),
            value: Some(value.as_bytes()),
            headers: &[],
        });
    }
    builder.finish(ProducerStamp::NONE)
}

fn walk(batch: &[u8]) -> i32 {
    let mut walk = RecordsWalk::new(batch, u64::MAX).unwrap();
    let (mut records_count, mut budget_bytes) = (0, usize::MAX);
    loop {
        match walk.step(&mut budget_bytes).unwrap() {
            Step::Record(_) => records_count += 1,
            Step::Paused => budget_bytes = usize::MAX,
            Step::End => return records_count,
        }
    }
}

fn walks(criterion: &mut Criterion) {
    for size_bytes in BATCH_SIZES_BYTES {
        let batch = batch_of(size_bytes);
        let mut group = criterion.benchmark_group(format!("walk-{}-KiB", size_bytes >> 10));
        for compression in Compression::ALL {
            let records = encode(&batch[HEADER_SIZE_BYTES..], compression, None);
            let compressed = with_records(&batch, compression, &records);
            let ratio = batch.len() as f64 / compressed.len() as f64;
            println!("{}: {} records, {ratio:.2}:1", compression.name(), walk(&compressed));
            group.throughput(Throughput::Bytes(batch.len() as u64));
            let id = BenchmarkId::from_parameter(compression.name());
            group.bench_with_input(id, &compressed, |bencher, batch| bencher.iter(|| walk(batch)));
        }
        group.finish();
    }
}

/// In pieces, as a broker does it. Returns the longest time of a piece, and the most memory.
fn encode_in_pieces(
    records: &[u8],
    (compression, level): (Compression, Option<i32>),
) -> (Duration, usize) {
    let (mut longest, mut memory_bytes) = (Duration::ZERO, 0);
    let mut encoder = Encoder::new(compression, level, records.len(), Vec::new());
    for piece in records.chunks(ENCODED_PIECE_BYTES) {
        let begun = Instant::now();
        encoder.encode(piece);
        longest = longest.max(begun.elapsed());
        memory_bytes = memory_bytes.max(encoder.memory_bytes());
    }
    black_box(encoder.finish(&[]));
    (longest, memory_bytes)
}

fn encodes(criterion: &mut Criterion) {
    let batch = batch_of(1 << 20);
    let records = &batch[HEADER_SIZE_BYTES..];
    let mut group = criterion.benchmark_group("encode-1024-KiB");
    group.sample_size(10);
    for (compression, levels) in ENCODED {
        for level in levels {
            let how = (compression, Some(*level));
            // The least of some, as the machine has other things to do.
            let longest = (0..5).map(|_| encode_in_pieces(records, how)).min().unwrap();
            println!("{} {level}: longest piece and memory: {longest:?}", compression.name());
            group.throughput(Throughput::Bytes(records.len() as u64));
            let id = BenchmarkId::new(compression.name(), level);
            group.bench_with_input(id, &how, |bencher, how| {
                bencher.iter(|| encode_in_pieces(records, *how));
            });
        }
    }
    group.finish();
}

criterion_group!(benches, walks, encodes);
criterion_main!(benches);
