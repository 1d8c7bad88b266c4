use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use model::{Offset, PartitionIndex};
use runtime::Rng;
use wire::Records;
use wire::fetch::{EpochEndOffset, FetchPartition, PartitionData};

use super::*;

const LIMITS: SessionLimits =
    SessionLimits { count_max: 4, partitions_max: 1000, eviction: Duration::from_secs(10) };

fn at(seconds: u64) -> Instant {
    Instant::from_nanos(seconds * 1_000_000_000)
}

fn narrow(number: u64) -> i32 {
    i32::try_from(number).unwrap()
}

fn asked(partition: i32, offset: i64) -> FetchPartition {
    FetchPartition {
        partition: PartitionIndex(partition),
        fetch_offset: Offset(offset),
        ..Default::default()
    }
}

fn topic(name: &str, partitions: Vec<FetchPartition>) -> FetchTopic {
    FetchTopic { topic: Text::from(name.to_owned()), partitions, ..Default::default() }
}

fn forgotten(name: &str, partitions: &[i32]) -> ForgottenTopic {
    ForgottenTopic {
        topic: Text::from(name.to_owned()),
        partitions: partitions.iter().copied().map(PartitionIndex).collect(),
        ..Default::default()
    }
}

fn request(session_id: i32, session_epoch: i32) -> FetchRequest {
    FetchRequest { session_id, session_epoch, ..Default::default() }
}

/// Makes a session of so many partitions of one topic.
fn create(sessions: &FetchSessions, size: i32, now: Instant) -> i32 {
    let key = key_of(12, &Text::from_static("t"), TopicId::ZERO);
    let data = PartitionData::default();
    let partitions = (0..size).map(|n| (key.clone(), Remembered::new(asked(n, 0), &data)));
    let mut rng = Rng::from_seed(now.as_nanos() ^ u64::from(size.unsigned_abs()));
    sessions.create(12, partitions.collect(), now, || rng.next_u64())
}

fn visit(
    sessions: &FetchSessions,
    id: i32,
    epoch: i32,
    now: Instant,
) -> Result<Vec<(TopicKey, i32)>, ErrorCode> {
    match sessions.begin(12, &request(id, epoch), now)? {
        Begun::Incremental(visit) => {
            let partitions = visit.session.partitions().into_iter();
            Ok(partitions.map(|(_, topic, asked)| (topic, asked.partition.0)).collect())
        }
        other => panic!("it is there: {other:?}"),
    }
}

#[test]
fn ids_are_never_0_and_tell_cores_apart() {
    let mut known = BTreeSet::new();
    for core in 0..3 {
        let limits = SessionLimits { count_max: 1000, ..LIMITS };
        let sessions = FetchSessions::new(CoreId(core), 3, limits);
        // Numbers that repeat, and those at both ends.
        let mut numbers = (0..1 << 32).step_by(1 << 29).chain(0..).flat_map(|n| [n, n]);
        for _ in 0..200 {
            let id = sessions.create(12, Vec::new(), at(0), || numbers.next().unwrap());
            assert!(0 < id, "{id}");
            assert_eq!(id % 3, i32::from(core));
            assert!(known.insert(id), "{id} is given twice");
        }
    }
}

#[test]
fn a_session_is_known_by_its_id_and_its_epoch() {
    let sessions = FetchSessions::new(CoreId(0), 1, LIMITS);
    let id = create(&sessions, 2, at(0));
    assert_eq!(visit(&sessions, id + 1, 1, at(0)), Err(ErrorCode::FetchSessionIdNotFound));
    for wrong in [2, 3, -2, i32::MAX] {
        assert_eq!(visit(&sessions, id, wrong, at(0)), Err(ErrorCode::InvalidFetchSessionEpoch));
    }
    for epoch in 1..5 {
        assert_eq!(visit(&sessions, id, epoch, at(0)).unwrap().len(), 2);
    }
    let by_id = sessions.begin(13, &request(id, 5), at(0));
    assert_eq!(by_id.unwrap_err(), ErrorCode::FetchSessionTopicIdError);
    assert_eq!(visit(&sessions, id, 5, at(0)).unwrap().len(), 2);
    assert_eq!(sessions.incremental_count(), 5);
    // Beginning anew and ending both end it.
    for epoch in [0, -1] {
        let id = create(&sessions, 2, at(0));
        let begun = sessions.begin(12, &request(id, epoch), at(0)).unwrap();
        assert_eq!(matches!(begun, Begun::Full), epoch == 0);
        assert_eq!(visit(&sessions, id, 1, at(0)), Err(ErrorCode::FetchSessionIdNotFound));
    }
    assert_eq!((sessions.count(), sessions.partitions_count()), (1, 2));
    assert_eq!(sessions.evictions_count(), 0);
}

#[test]
fn after_the_highest_epoch_comes_1() {
    let session = Session::new(false, Vec::new());
    assert_eq!(session.epoch(), 1);
    session.set_epoch(i32::MAX);
    session.advance();
    assert_eq!(session.epoch(), 1);
}

#[test]
fn a_request_that_was_overtaken_is_over() {
    let sessions = FetchSessions::new(CoreId(0), 1, LIMITS);
    let id = create(&sessions, 2, at(0));
    let Begun::Incremental(first) = sessions.begin(12, &request(id, 1), at(0)).unwrap() else {
        panic!("it is there");
    };
    assert!(!first.is_over());
    let mut over = first.over();
    assert!(!over.is_ready());
    visit(&sessions, id, 2, at(0)).unwrap();
    assert!(first.is_over() && over.is_ready());
    // So is one whose session has ended.
    let Begun::Incremental(last) = sessions.begin(12, &request(id, 3), at(0)).unwrap() else {
        panic!("it is there");
    };
    let mut over = last.over();
    sessions.begin(12, &request(id, -1), at(0)).unwrap();
    assert!(last.is_over() && over.is_ready());
}

trait IsReady {
    fn is_ready(&mut self) -> bool;
}

impl IsReady for oneshot::Receiver<()> {
    fn is_ready(&mut self) -> bool {
        let mut context = std::task::Context::from_waker(std::task::Waker::noop());
        std::pin::Pin::new(self).poll(&mut context).is_ready()
    }
}

#[test]
fn names_that_no_topic_has_are_not_remembered() {
    let sessions = FetchSessions::new(CoreId(0), 1, LIMITS);
    let long = "x".repeat(250);
    let key = key_of(12, &Text::from(long.clone()), TopicId::ZERO);
    let remembered = Remembered::new(asked(0, 0), &PartitionData::default());
    assert_eq!(sessions.create(12, vec![(key, remembered)], at(0), || 5), 0);
    let id = create(&sessions, 1, at(0));
    let more = FetchRequest { topics: vec![topic(&long, vec![asked(0, 0)])], ..request(id, 1) };
    let refused = sessions.begin(12, &more, at(0)).unwrap_err();
    assert_eq!(refused, ErrorCode::FetchSessionIdNotFound);
    assert_eq!((sessions.count(), sessions.partitions_count()), (0, 0));
}

#[test]
fn a_session_without_partitions_ends() {
    let sessions = FetchSessions::new(CoreId(0), 1, LIMITS);
    let id = create(&sessions, 2, at(0));
    let request = FetchRequest {
        forgotten_topics_data: vec![forgotten("t", &[0, 1, 7]), forgotten("u", &[0])],
        ..request(id, 1)
    };
    assert!(matches!(sessions.begin(12, &request, at(0)).unwrap(), Begun::Sessionless));
    assert_eq!((sessions.count(), sessions.partitions_count()), (0, 0));
}

#[test]
fn partitions_of_all_sessions_together_are_bounded() {
    let limits = SessionLimits { partitions_max: 10, ..LIMITS };
    let sessions = FetchSessions::new(CoreId(0), 1, limits);
    assert_eq!(create(&sessions, 11, at(0)), 0);
    let first = create(&sessions, 6, at(0));
    assert!(0 < create(&sessions, 4, at(0)));
    assert_eq!(create(&sessions, 1, at(0)), 0);
    // One that grows ends when there is no room, and begins anew without a session.
    let more = FetchRequest { topics: vec![topic("u", vec![asked(0, 0)])], ..request(first, 1) };
    let refused = sessions.begin(12, &more, at(0)).unwrap_err();
    assert_eq!(refused, ErrorCode::FetchSessionIdNotFound);
    assert_eq!((sessions.count(), sessions.partitions_count()), (1, 4));
    assert_eq!(sessions.evictions_count(), 1);
    // Nobody is pushed out for nothing.
    assert_eq!(create(&sessions, 11, at(100)), 0);
    assert_eq!(sessions.count(), 1);
    // And who has not been used for long makes room for all that is needed.
    assert!(0 < create(&sessions, 3, at(5)));
    assert!(0 < create(&sessions, 10, at(100)));
    assert_eq!((sessions.count(), sessions.partitions_count()), (1, 10));
    assert_eq!(sessions.evictions_count(), 3);
}

/// Kafka's cache of sessions (`FetchSessionCache`), word for word, for consumers.
#[derive(Default)]
struct KafkaCache {
    sessions: BTreeMap<i32, KafkaCached>,
}

struct KafkaCached {
    created: u64,
    used: u64,
    size: usize,
    is_evictable: bool,
}

impl KafkaCache {
    fn maybe_create(&mut self, now: u64, size: usize) -> bool {
        self.sessions.len() < LIMITS.count_max || self.try_evict(size, now)
    }

    fn try_evict(&mut self, size: usize, now: u64) -> bool {
        let eviction = LIMITS.eviction.as_secs();
        let oldest = self.sessions.iter().min_by_key(|(id, it)| (it.used, **id));
        let Some((&id, oldest)) = oldest else { return false };
        if eviction < now - oldest.used {
            self.sessions.remove(&id);
            return true;
        }
        let evictable = self.sessions.iter().filter(|(_, it)| it.is_evictable);
        let Some((&id, smallest)) = evictable.min_by_key(|(id, it)| (it.size, **id)) else {
            return false;
        };
        if (size, 0) < (smallest.size, id) {
            return false;
        }
        self.sessions.remove(&id);
        true
    }

    fn touch(&mut self, id: i32, now: u64, size: usize) {
        let cached = self.sessions.get_mut(&id).unwrap();
        cached.used = now;
        cached.size = size;
        cached.is_evictable = LIMITS.eviction.as_secs() < now - cached.created;
    }
}

#[test]
fn who_makes_room_for_whom_is_as_in_kafka() {
    let mut evictions_count = 0;
    let mut refused_count = 0;
    for seed in 0..200 {
        let mut rng = Rng::from_seed(seed);
        let sessions = FetchSessions::new(CoreId(0), 1, LIMITS);
        let mut kafka = KafkaCache::default();
        let mut epochs: BTreeMap<i32, i32> = BTreeMap::new();
        let mut now = 0;
        for step in 0..200 {
            now += rng.below(4);
            let ids: Vec<i32> = kafka.sessions.keys().copied().collect();
            if rng.one_in(2) || ids.is_empty() {
                let size = rng.index(5);
                let id = create(&sessions, i32::try_from(size).unwrap(), at(now));
                let is_created = kafka.maybe_create(now, size);
                assert_eq!(0 < id, is_created, "seed {seed}, step {step}");
                refused_count += u64::from(!is_created);
                if is_created {
                    let cached = KafkaCached { created: now, used: now, size, is_evictable: false };
                    kafka.sessions.insert(id, cached);
                    kafka.touch(id, now, size);
                    epochs.insert(id, 1);
                }
            } else {
                let id = ids[rng.index(ids.len())];
                let epoch = epochs.get_mut(&id).unwrap();
                let more = topic("u", (0..1 + narrow(rng.below(3))).map(|n| asked(n, 0)).collect());
                let request = FetchRequest { topics: vec![more], ..request(id, *epoch) };
                let begun = sessions.begin(12, &request, at(now));
                let Ok(Begun::Incremental(visit)) = begun else { panic!("{begun:?}") };
                *epoch += 1;
                kafka.touch(id, now, visit.session.partitions_count());
            }
            let ours: Vec<i32> = sessions.cache.borrow().sessions.keys().copied().collect();
            let theirs: Vec<i32> = kafka.sessions.keys().copied().collect();
            assert_eq!(ours, theirs, "seed {seed}, step {step}");
            let count: usize = kafka.sessions.values().map(|it| it.size).sum();
            assert_eq!(sessions.partitions_count(), count);
        }
        evictions_count += sessions.evictions_count();
    }
    assert!(500 < evictions_count && 500 < refused_count, "{evictions_count} {refused_count}");
}

/// Kafka's session, a list: `FetchSession.update` and `PartitionIterator`.
#[derive(Default)]
struct KafkaSession(Vec<KafkaPartition>);

#[derive(Clone)]
struct KafkaPartition {
    topic: String,
    partition: i32,
    offset: i64,
    high_watermark: i64,
    log_start: i64,
}

impl KafkaSession {
    fn find(&mut self, topic: &str, partition: i32) -> Option<usize> {
        self.0.iter().position(|it| it.topic == topic && it.partition == partition)
    }

    fn maybe_tell(&mut self, topic: &str, partition: i32, data: &PartitionData) -> bool {
        let index = self.find(topic, partition).unwrap();
        let cached = &mut self.0[index];
        let has_records = data.records.as_ref().is_some_and(|records| !records.is_empty());
        let mut must_respond = has_records;
        if cached.high_watermark != data.high_watermark.0 {
            must_respond = true;
            cached.high_watermark = data.high_watermark.0;
        }
        if cached.log_start != data.log_start_offset.0 {
            must_respond = true;
            cached.log_start = data.log_start_offset.0;
        }
        if data.error_code.is_error() {
            cached.high_watermark = -1;
            must_respond = true;
        }
        if data.diverging_epoch.end_offset != Offset::NONE {
            must_respond = true;
        }
        if has_records {
            let cached = self.0.remove(index);
            self.0.push(cached);
        }
        must_respond
    }
}

/// What a partition may be answered with. Errors have no offsets, as in every answer.
fn any_data(rng: &mut Rng) -> PartitionData {
    if rng.one_in(6) {
        let error_code = ErrorCode::UnknownTopicOrPartition;
        let none = Offset::NONE;
        return PartitionData {
            error_code,
            high_watermark: none,
            last_stable_offset: none,
            log_start_offset: none,
            ..Default::default()
        };
    }
    let high_watermark = Offset(5 + rng.below(2).cast_signed());
    let is_apart = rng.one_in(8);
    let size_bytes = if is_apart { 0 } else { rng.index(3) };
    PartitionData {
        high_watermark,
        last_stable_offset: high_watermark,
        log_start_offset: Offset(rng.below(2).cast_signed()),
        diverging_epoch: match is_apart {
            true => EpochEndOffset { end_offset: Offset(1), ..Default::default() },
            false => EpochEndOffset::default(),
        },
        records: Some(Records::from(Bytes::from(vec![0; size_bytes]))),
        ..Default::default()
    }
}

#[test]
fn what_is_told_and_in_which_order_is_as_in_kafka() {
    const TOPICS: [&str; 3] = ["a", "b", "c"];
    let mut told_counts = [0, 0];
    for seed in 0..100 {
        let mut rng = Rng::from_seed(seed);
        let session = Session::new(false, Vec::new());
        let mut kafka = KafkaSession::default();
        for step in 0..60 {
            let some_partitions = |rng: &mut Rng| {
                let name = TOPICS[rng.index(TOPICS.len())];
                let count = rng.below(3);
                (name, (0..count).map(|_| narrow(rng.below(4))).collect::<Vec<_>>())
            };
            let (name, added) = some_partitions(&mut rng);
            let offset = rng.below(100).cast_signed();
            for &partition in &added {
                match kafka.find(name, partition) {
                    Some(known) => kafka.0[known].offset = offset,
                    None => kafka.0.push(KafkaPartition {
                        topic: name.to_owned(),
                        partition,
                        offset,
                        high_watermark: -1,
                        log_start: -1,
                    }),
                }
            }
            let (gone, removed) = some_partitions(&mut rng);
            let removed = if rng.one_in(3) { removed } else { Vec::new() };
            kafka.0.retain(|it| it.topic != gone || !removed.contains(&it.partition));
            let added = added.iter().map(|partition| asked(*partition, offset)).collect();
            session.update(&[topic(name, added)], &[forgotten(gone, &removed)]);

            let ours = session.partitions();
            let shown = |key: &TopicKey| match key {
                TopicKey::Name(name) => name.to_string(),
                TopicKey::Id(_) => panic!("it has names"),
            };
            let expected: Vec<_> =
                kafka.0.iter().map(|it| (it.topic.clone(), it.partition, it.offset)).collect();
            let found: Vec<_> = ours
                .iter()
                .map(|(_, key, asked)| (shown(key), asked.partition.0, asked.fetch_offset.0))
                .collect();
            assert_eq!(found, expected, "seed {seed}, step {step}");
            for (turn, key, asked) in ours {
                let data = any_data(&mut rng);
                let is_told = session.tell(turn, &data);
                let expected = kafka.maybe_tell(&shown(&key), asked.partition.0, &data);
                assert_eq!(is_told, expected, "seed {seed}, step {step}: {data:?}");
                told_counts[usize::from(is_told)] += 1;
            }
        }
    }
    assert!(told_counts.iter().all(|count| 1000 < *count), "{told_counts:?}");
}
