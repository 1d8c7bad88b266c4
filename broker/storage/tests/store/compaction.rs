//! Compaction against a naive model, before and after restarts.

use std::collections::BTreeMap;
use std::rc::Rc;

use model::codec::{Decoder, encode};
use model::record_batch::{
    BatchBuilder, BatchHeader, Batches, Compression, HEADER_SIZE_BYTES, NewRecord, ProducerStamp,
    Records, check_crc, with_records,
};
use model::{Offset, Timestamp};
use runtime::sim::{self, Disk};
use runtime::{File, OpenOptions, Rng, WriteMode};
use storage::{
    CompactionError, CompactionReport, CompactionRules, EntryKind, Log, LogOptions, ReadError,
    ReadRequest, Store, StoreOptions,
};

use crate::support::*;

const RULES: CompactionRules = CompactionRules { tombstones_ms: 1000, ..COMPACT_ALL };

const OPTIONS: LogOptions =
    LogOptions { segment_bytes_max: 6000, index_interval_bytes: 500, ..ALONE };

/// A record as it was appended.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Told {
    offset: i64,
    timestamp: i64,
    key: Option<Vec<u8>>,
    value: Option<Vec<u8>>,
}

/// What the log has been given, and what compaction must have made of it.
#[derive(Clone, Default)]
struct Model {
    /// Every record that was appended, with the number of its batch.
    records: Vec<(u64, Told)>,
    batches_count: u64,
    log_start: i64,
    clean_end: i64,
    /// When the tombstones of a batch may go.
    horizons: BTreeMap<u64, i64>,
    /// Tombstones that are gone.
    gone: Vec<i64>,
}

impl Model {
    fn compacted(&mut self, report: &CompactionReport, rules: &CompactionRules) {
        let clean_end = report.clean_end.0;
        assert!(self.clean_end <= clean_end, "what is clean stays clean");
        self.clean_end = clean_end;
        for (batch, told) in &self.records {
            let is_last = !self.is_superseded_below(told, clean_end);
            let is_in_reach = self.log_start <= told.offset && told.offset < clean_end;
            if told.value.is_some() || told.key.is_none() || !is_last || !is_in_reach {
                continue;
            }
            if self.gone.contains(&told.offset) {
                continue;
            }
            match self.horizons.get(batch) {
                None => {
                    self.horizons.insert(*batch, rules.now.0 + rules.tombstones_ms);
                }
                Some(horizon) if *horizon <= rules.now.0 => self.gone.push(told.offset),
                Some(_) => {}
            }
        }
    }

    fn is_superseded_below(&self, told: &Told, end: i64) -> bool {
        self.records.iter().any(|(_, later)| {
            told.offset < later.offset && later.offset < end && later.key == told.key
        })
    }

    /// Whether what is read is what may be left, and everything that must be.
    fn check(&self, found: &[Told]) {
        assert!(found.is_sorted_by(|one, next| one.offset < next.offset), "in order");
        let found: BTreeMap<i64, &Told> = found.iter().map(|told| (told.offset, told)).collect();
        for (_, told) in self.records.iter().filter(|(_, told)| self.log_start <= told.offset) {
            let offset = told.offset;
            let is_clean = offset < self.clean_end;
            let is_keyless = told.key.is_none();
            let must_be_gone = is_clean
                && (is_keyless
                    || self.is_superseded_below(told, self.clean_end)
                    || self.gone.contains(&offset));
            match found.get(&offset) {
                Some(found) => {
                    assert_eq!(*found, told);
                    assert!(!must_be_gone, "{told:?} is gone, clean end {}", self.clean_end);
                }
                None => assert!(must_be_gone, "{told:?} is there, clean end {}", self.clean_end),
            }
        }
        let known = |offset: &&i64| self.records.iter().any(|(_, told)| told.offset == **offset);
        assert_eq!(found.keys().find(|offset| !known(offset)), None, "nothing else");
    }
}

/// Appends a batch of a few records and notes them.
async fn append_some(log: &Rc<Log>, model: &mut Model, rng: &mut Rng) {
    let base_offset = log.ends().end_offset.0;
    let mut builder = BatchBuilder::new();
    for number in 0..1 + rng.below(6) {
        let key = rng.below(12).to_le_bytes();
        let key = (!rng.one_in(10)).then(|| key[..1 + rng.index(2) * 7].to_vec());
        let value = (!rng.one_in(4)).then(|| value(rng.next_u64(), 8 + rng.index(300)));
        let timestamp = rng.below(10_000).cast_signed();
        builder.push(&NewRecord {
            timestamp: Timestamp(timestamp),
            key: key.as_deref(),
            value: value.as_deref(),
            headers: &[],
        });
        let offset = base_offset + number.cast_signed();
        model.records.push((model.batches_count, Told { offset, timestamp, key, value }));
    }
    model.batches_count += 1;
    let batch = builder.finish(ProducerStamp::NONE);
    let codec = Compression::ALL[rng.index(Compression::ALL.len())];
    let records = encode(&batch[HEADER_SIZE_BYTES..], codec, None);
    let batch = bytes::Bytes::from(with_records(&batch, codec, &records).to_vec());
    let entry = append(log, log.vote().leader_epoch.0, &batch).await;
    flushed(log, entry.index.0 + 1).await;
}

/// Everything that a consumer reads from an offset on.
async fn read_all(log: &Rc<Log>, from: Offset, bytes_max: usize) -> Vec<Told> {
    let mut found = Vec::new();
    let mut offset = from;
    let up_to = log.ends().committed_offset;
    while offset < up_to {
        let request = ReadRequest { offset, bytes_max, up_to, at_least_one_batch: true };
        let bytes = concat(&read(log, &request).await.unwrap()).await;
        if bytes.is_empty() {
            break;
        }
        for batch in Batches::new(&bytes) {
            let (header, batch) = batch.unwrap();
            check_crc(batch).unwrap();
            assert!(offset < header.next_offset());
            found.extend(records_of(&header, batch).into_iter().filter(|of| from.0 <= of.offset));
            offset = header.next_offset();
        }
    }
    found
}

fn records_of(header: &BatchHeader, batch: &[u8]) -> Vec<Told> {
    let records = &batch[HEADER_SIZE_BYTES..];
    let mut decoder = Decoder::new(header.compression().unwrap(), records, u64::MAX);
    let mut bytes = vec![0; 1 << 16];
    let mut filled = 0;
    while !decoder.is_finished() {
        filled += decoder.decode(&mut bytes[filled..]).unwrap().produced_bytes;
    }
    let owned = |bytes: Option<&[u8]>| bytes.map(<[u8]>::to_vec);
    let told = |record: Result<model::record_batch::Record<'_>, _>| {
        let record = record.unwrap();
        Told {
            offset: header.base_offset.0 + i64::from(record.offset_delta),
            timestamp: record.timestamp.0,
            key: owned(record.key),
            value: owned(record.value),
        }
    };
    Records::of(header, &bytes[..filled]).map(told).collect()
}

async fn check_all(log: &Rc<Log>, model: &Model, rng: &mut Rng) {
    let log_start = log.ends().log_start;
    assert_eq!(log_start.0, model.log_start);
    let found = read_all(log, log_start, 1 + rng.index(5000)).await;
    model.check(&found);
    // From anywhere, also from where nothing is.
    let from = model.log_start + rng.below(model.records.len() as u64).cast_signed();
    let from = from.min(log.ends().end_offset.0);
    let left = read_all(log, Offset(from), 2000).await;
    let expected: Vec<_> = found.iter().filter(|told| from <= told.offset).cloned().collect();
    assert_eq!(left, expected, "from {from}");
    check_times(log, &found, rng).await;
}

async fn check_times(log: &Rc<Log>, found: &[Told], rng: &mut Rng) {
    let up_to = log.ends().committed_offset;
    for _ in 0..5 {
        let timestamp = rng.below(11_000).cast_signed();
        let at = log.find_time(Timestamp(timestamp), up_to).await.unwrap();
        let expected = found.iter().find(|told| timestamp <= told.timestamp);
        assert_eq!(
            at.map(|at| (at.offset.0, at.timestamp.0)),
            expected.map(|told| (told.offset, told.timestamp)),
            "the first with {timestamp} or later"
        );
    }
    let latest = log.find_latest_time(up_to).await.unwrap();
    let latest = latest.map(|latest| (latest.timestamp.0, -latest.offset.0));
    let expected = found.iter().map(|told| (told.timestamp, -told.offset)).max();
    assert_eq!(latest, expected, "the first of those with the latest time");
}

async fn compact(log: &Rc<Log>, model: &mut Model, rules: CompactionRules) -> bool {
    let Some(dirtiness) = log.dirtiness(&rules).await.unwrap() else { return false };
    let report = log.compact(&rules, &dirtiness).await.unwrap();
    assert!(model.clean_end < report.clean_end.0, "every compaction gets on");
    assert!(report.clean_end <= report.wanted_end);
    assert!(report.records_kept <= report.records_read);
    model.compacted(&report, &rules);
    true
}

async fn live(options: StoreOptions, seed: u64, mut model: Model) -> Model {
    let mut rng = Rng::from_seed(seed);
    let (store, corruptions) = open(&options, OPTIONS).await;
    assert!(corruptions.is_empty(), "{corruptions:?}");
    let log = opened(&store, OPTIONS).await;
    assert!(!log.is_doubtful());
    if !model.records.is_empty() {
        check_all(&log, &model, &mut rng).await;
    }
    let mut now = 100_000 * (seed & 0xff).cast_signed();
    for _ in 0..90 {
        now += rng.below(300).cast_signed();
        match rng.below(13) {
            0..=6 => append_some(&log, &mut model, &mut rng).await,
            7 => log.roll(),
            8 => store.checkpoint().await.unwrap(),
            9 if rng.one_in(4) => {
                let end = log.ends().end_offset.0;
                let start = model.log_start + rng.below(1 + end.unsigned_abs() / 8).cast_signed();
                model.log_start = start.min(end);
                log.admitted_other().await.unwrap();
                let kind = EntryKind::LogStart(Offset(model.log_start));
                let entry = log.append_other(log.vote().leader_epoch, kind, &[]);
                flushed(&log, entry.index.0 + 1).await;
            }
            9 | 10 => {
                let rules = CompactionRules { now: Timestamp(now), ..RULES };
                if compact(&log, &mut model, rules).await {
                    check_all(&log, &model, &mut rng).await;
                }
            }
            11 => store.scrub(u64::MAX, |_, error| panic!("{error}")).await,
            _ => {
                let from = Offset(model.log_start.max(log.ends().log_start.0));
                model.check(&read_all(&log, from, 3000).await);
            }
        }
    }
    // Everything that can be, so that it is seen how little is left.
    log.roll();
    store.checkpoint().await.unwrap();
    let rules = CompactionRules { now: Timestamp(now), ..RULES };
    while compact(&log, &mut model, rules).await {}
    check_all(&log, &model, &mut rng).await;
    model
}

#[test]
fn what_is_left_is_what_a_naive_compaction_leaves() {
    for seed in 0..20 * crate::crashes::thoroughness() {
        let mut disk = Disk::new();
        let mut model = Model::default();
        for life in 0..3 {
            // Sometimes there is room for a few keys only, and a pass ends before all is clean.
            let compaction_bytes_max = if seed % 3 == 0 { 0 } else { 64 << 10 };
            let options = StoreOptions {
                compaction_bytes_max,
                tail_bytes_max: if seed % 2 == 0 { 0 } else { 64 << 10 },
                ..small_options(std::path::Path::new("/"), 1)
            };
            let (so_far, life_seed) = (model, seed << 8 | life);
            (model, disk) = sim::run(life_seed, disk, || live(options, life_seed, so_far));
        }
        assert!(!model.gone.is_empty() || seed % 3 == 0, "seed {seed}: no tombstone has gone");
    }
}

/// Appends a record with a key of its own number.
async fn append_keyed(log: &Rc<Log>, key: u8, timestamp: i64) {
    let batch = keyed_batch(&[key], &value(u64::from(key), 1000), timestamp);
    let entry = append(log, log.vote().leader_epoch.0, &batch).await;
    flushed(log, entry.index.0 + 1).await;
}

async fn offsets(log: &Rc<Log>) -> Vec<i64> {
    let found = read_all(log, log.ends().log_start, 3000).await;
    found.iter().map(|told| told.offset).collect()
}

/// `min.compaction.lag.ms`, `max.compaction.lag.ms` and `min.cleanable.dirty.ratio`.
#[test]
fn it_is_time_when_the_rules_say_so() {
    lives(1, |directory, _, (): ()| async move {
        let options = small_options(&directory, 1);
        let (store, _) = open(&options, OPTIONS).await;
        let log = opened(&store, OPTIONS).await;
        let at = |now: i64| CompactionRules { now: Timestamp(now), ..RULES };
        assert_eq!(log.dirtiness(&RULES).await.unwrap(), None, "nothing is there");
        for time in [100, 200, 300] {
            append_keyed(&log, 1, time).await;
            log.roll();
        }
        assert_eq!(log.dirtiness(&RULES).await.unwrap(), None, "the base needs all of it");
        store.checkpoint().await.unwrap();
        let dirtiness = log.dirtiness(&at(1000)).await.unwrap().unwrap();
        assert!(dirtiness.ratio == 1.0 && dirtiness.is_due);

        // A segment with a record that is younger stays, and so do those after it.
        let lagging = CompactionRules { lag_min_ms: 750, ..at(1000) };
        let dirtiness = log.dirtiness(&lagging).await.unwrap().unwrap();
        let report = log.compact(&lagging, &dirtiness).await.unwrap();
        assert_eq!((report.clean_end.0, report.segments_read, report.segments_written), (2, 2, 1));
        assert_eq!(offsets(&log).await, [1, 2]);
        assert_eq!(log.dirtiness(&lagging).await.unwrap(), None);

        // Half of the bytes are dirty now, and the oldest dirty record is of 300.
        for (ratio_min, lag_max_ms, is_due) in
            [(0.4, i64::MAX, true), (0.6, i64::MAX, false), (0.6, 701, false), (0.6, 699, true)]
        {
            let rules = CompactionRules { dirty_ratio_min: ratio_min, lag_max_ms, ..at(1000) };
            let dirtiness = log.dirtiness(&rules).await.unwrap().unwrap();
            assert_eq!(dirtiness.is_due, is_due, "{rules:?}, {dirtiness:?}");
        }
    });
}

#[test]
fn damage_ends_a_compaction_and_nothing_is_lost() {
    for offset_in_file in [5_usize, 70, 900] {
        let (_, mut disk) = sim::run(1, Disk::new(), || async {
            let (store, _) = open(&small_options(std::path::Path::new("/"), 1), OPTIONS).await;
            let log = opened(&store, OPTIONS).await;
            for time in 0..4 {
                append_keyed(&log, 1, time).await;
            }
            log.roll();
            append_keyed(&log, 1, 9).await;
            store.close().await.unwrap();
        });
        let topic = partition(0).topic.to_hex();
        let segment = format!("/topics/{topic}/0/00000000000000000000.log");
        disk.flip(&segment, offset_in_file * 8 + 2);
        sim::run(2, disk, || async {
            let (store, _) = open(&small_options(std::path::Path::new("/"), 1), OPTIONS).await;
            let log = opened(&store, OPTIONS).await;
            let dirtiness = log.dirtiness(&RULES).await.unwrap().unwrap();
            let failed = log.compact(&RULES, &dirtiness).await.unwrap_err();
            assert!(
                matches!(&failed, CompactionError::Read(ReadError::Damaged { .. })),
                "{failed:?}"
            );
            append_keyed(&log, 1, 10).await;
            assert_eq!(log.dirtiness(&RULES).await.unwrap(), Some(dirtiness));
        });
    }
}

fn directory() -> String {
    format!("/topics/{}/0", partition(0).topic.to_hex())
}

async fn opened_again() -> (Rc<Store>, Rc<Log>) {
    let (store, _) = open(&small_options(std::path::Path::new("/"), 1), OPTIONS).await;
    let log = store.log(partition(0)).unwrap();
    (store, log)
}

/// K3: what the list does not name is garbage, and what it names must be there.
#[test]
fn k3_a_start_believes_the_list() {
    let ((), disk) = sim::run(1, Disk::new(), || async {
        let (store, _) = open(&small_options(std::path::Path::new("/"), 1), OPTIONS).await;
        let log = opened(&store, OPTIONS).await;
        for time in 0..8 {
            append_keyed(&log, u8::try_from(time % 2).unwrap(), time).await;
        }
        log.roll();
        append_keyed(&log, 7, 9).await;
        store.close().await.unwrap();
    });
    let appended = format!("{}/00000000000000000000.log", directory());
    let original = disk.file_bytes(&appended).unwrap();
    let (left, compacted) = sim::run(2, disk, || async {
        let (store, _) = open(&small_options(std::path::Path::new("/"), 1), OPTIONS).await;
        let log = opened(&store, OPTIONS).await;
        let dirtiness = log.dirtiness(&RULES).await.unwrap().unwrap();
        log.compact(&RULES, &dirtiness).await.unwrap();
        store.close().await.unwrap();
        offsets(&log).await
    });
    assert_eq!(left, [6, 7, 8]);

    // What a kill may have left of the segments from before, and of a compaction that was not done.
    let (stale, _) = sim::run(3, compacted.clone(), move || async move {
        for name in ["00000000000000000000.log", "00000000000000000004.9.log"] {
            let path = format!("{}/{name}", directory());
            let file = File::open(path, OpenOptions::CREATE).await.unwrap();
            let bytes = bytes::Bytes::from(original.clone());
            file.write_all_at(bytes, 0, WriteMode::Cached).await.unwrap();
        }
        let (_store, log) = opened_again().await;
        assert!(!log.is_doubtful());
        assert_eq!(offsets(&log).await, left);
        let names = runtime::read_dir(directory()).await.unwrap();
        names.iter().filter(|entry| entry.name.ends_with(".log")).count()
    });
    assert_eq!(stale, 2, "the compacted segment, and the one that takes the appends");

    let list = format!("{}/compacted", directory());
    // What is left of several segments is in one, which is not the first.
    let is_compacted = |path: &str| path.ends_with(".2.log");
    let paths = compacted.paths();
    let mut paths = paths.iter().map(|path| path.to_str().unwrap().to_owned());
    let segment = paths.find(|path| is_compacted(path)).unwrap();
    for (path, is_removed) in [(&list, true), (&list, false), (&segment, true)] {
        let mut damaged = compacted.clone();
        match is_removed {
            true => damaged.remove(path),
            false => damaged.flip(path, 8 * 20),
        }
        let (is_doubtful, _) =
            sim::run(4, damaged, || async { opened_again().await.1.is_doubtful() });
        assert!(is_doubtful, "{path}, removed: {is_removed}");
    }
}

/// What compaction writes takes at most half of the room that there is, and it changes nothing then.
#[test]
fn without_room_everything_stays_as_it_is() {
    sim::run(1, Disk::with_capacity(6 << 20), || async {
        let (store, _) = open(&small_options(std::path::Path::new("/"), 1), OPTIONS).await;
        let log = opened(&store, OPTIONS).await;
        for time in 0..40 {
            append_keyed(&log, u8::try_from(time).unwrap(), time).await;
        }
        log.roll();
        store.checkpoint().await.unwrap();
        let ballast = File::open("/ballast", OpenOptions::CREATE).await.unwrap();
        let free_bytes = runtime::space("/").await.unwrap().free_bytes;
        ballast.allocate(0, free_bytes - 10_000).await.unwrap();
        let before = offsets(&log).await;
        let dirtiness = log.dirtiness(&COMPACT_ALL).await.unwrap().unwrap();
        let failed = log.compact(&COMPACT_ALL, &dirtiness).await.unwrap_err();
        assert!(matches!(failed, CompactionError::NoSpace { .. }), "{failed}");
        assert_eq!(runtime::space("/").await.unwrap().free_bytes, 10_000);
        assert_eq!(offsets(&log).await, before);
        ballast.truncate(0).await.unwrap();
        let dirtiness = log.dirtiness(&COMPACT_ALL).await.unwrap().unwrap();
        log.compact(&COMPACT_ALL, &dirtiness).await.unwrap();
        assert_eq!(offsets(&log).await, before, "no key was there twice");
    });
}
