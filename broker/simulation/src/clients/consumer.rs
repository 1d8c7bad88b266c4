//! A consumer that follows some partitions from their start, all of them with one fetch at a time.
//! Some have a fetch session, and some leave partitions out for a while.
//!
//! When the faults have ended it goes on until it has seen everything that was acknowledged.

use std::rc::Rc;
use std::time::Duration;

use model::{Offset, TopicPartition};
use runtime::{sleep, with_rng};
use wire::fetch::PartitionData;
use wire::{ErrorCode, FetchResponse};

use super::compression::ZSTD_FETCH_VERSION_MIN;
use super::fetch_session::{self, FetchSession, Heard};
use super::peer::{Peer, any_version};
use super::reader::{Patience, Wanted, answers, fetch_request, fetched};
use super::{Begun, Context};

/// From this version on answers tell where a log starts.
const VERSION_MIN: i16 = 5;
/// More than anything that there is.
const SIZE_BYTES_MAX: i32 = 1 << 20;

/// Where one partition is being read.
struct Walk {
    number: u64,
    topic: String,
    partition: TopicPartition,
    position: Offset,
    size_bytes_max: i32,
    /// It is not asked for.
    is_paused: bool,
}

struct Consumer {
    context: Rc<Context>,
    peer: Peer,
    version_min: i16,
    session: Option<FetchSession>,
    walks: Vec<Walk>,
}

/// A fetch that was answered: over which connection, and since when.
#[derive(Clone, Copy)]
struct Asked {
    connection: u64,
    begun: Begun,
}

pub(super) async fn run(context: Rc<Context>) {
    let mut consumer = Consumer::new(&context);
    if consumer.walks.is_empty() {
        return;
    }
    while !context.is_ending() {
        consumer.change_mind();
        let patience = with_rng(|rng| Patience {
            wait_ms_max: i32::try_from(rng.below(500)).expect("short"),
            size_bytes_min: 1 << rng.below(14),
            size_bytes_max: 1 << (10 + rng.below(10)),
            isolation_level: i8::from(rng.one_in(2)),
        });
        consumer.poll(patience).await;
        if with_rng(|rng| rng.one_in(3)) {
            context.pause().await;
        }
    }
    consumer.catch_up().await;
}

impl Consumer {
    fn new(context: &Rc<Context>) -> Consumer {
        let mut walks = Vec::new();
        for topic in context.topics() {
            for partition in topic.partitions() {
                if with_rng(|rng| !rng.one_in(3)) {
                    walks.push(Walk {
                        number: context.next_walk(),
                        topic: topic.name.clone(),
                        partition,
                        position: Offset(0),
                        size_bytes_max: SIZE_BYTES_MAX,
                        is_paused: false,
                    });
                }
            }
        }
        Consumer {
            context: context.clone(),
            peer: Peer::new(context),
            version_min: VERSION_MIN,
            session: with_rng(|rng| rng.one_in(2)).then(FetchSession::new),
            walks,
        }
    }

    /// Asks for other partitions, or for more or less of them.
    fn change_mind(&mut self) {
        let has_session = self.session.is_some();
        for walk in &mut self.walks {
            // In a session what stays as it is matters as well.
            if with_rng(|rng| rng.one_in(if has_session { 8 } else { 1 })) {
                walk.size_bytes_max = 1 << with_rng(|rng| 8 + rng.below(12));
            }
            if with_rng(|rng| rng.one_in(16)) {
                walk.is_paused = !walk.is_paused;
            }
        }
    }

    async fn catch_up(&mut self) {
        let patience = Patience {
            wait_ms_max: 100,
            size_bytes_min: 1,
            size_bytes_max: SIZE_BYTES_MAX,
            isolation_level: 0,
        };
        let ends = self.acknowledged_ends();
        for walk in &mut self.walks {
            walk.size_bytes_max = SIZE_BYTES_MAX;
            walk.is_paused = false;
        }
        while self.walks.iter().zip(&ends).any(|(walk, end)| walk.position < *end) {
            self.poll(patience).await;
        }
    }

    fn acknowledged_ends(&self) -> Vec<Offset> {
        let history = self.context.history.borrow();
        self.walks.iter().map(|walk| history.acknowledged_end(walk.partition)).collect()
    }

    async fn poll(&mut self, patience: Patience) {
        let asked_for = self.walks.iter().enumerate().filter(|(_, walk)| !walk.is_paused);
        let (places, wanted): (Vec<usize>, Vec<Wanted>) = asked_for
            .map(|(place, walk)| {
                let wanted = Wanted {
                    topic: walk.topic.clone(),
                    partition: walk.partition,
                    position: walk.position,
                    size_bytes_max: walk.size_bytes_max,
                };
                (place, wanted)
            })
            .unzip();
        if wanted.is_empty() {
            return self.context.pause().await;
        }
        let (request, version) = match &mut self.session {
            Some(session) => {
                let version_min = self.version_min.max(fetch_session::VERSION_MIN);
                let version = any_version::<wire::FetchRequest>(version_min);
                let is_wrong = with_rng(|rng| rng.one_in(100));
                session.request(&wanted, patience, version, is_wrong)
            }
            None => {
                let version = any_version::<wire::FetchRequest>(self.version_min);
                (fetch_request(&wanted, patience), version)
            }
        };
        let (_, connection) = self.peer.connection().await;
        let asked = Asked { connection, begun: self.context.begin() };
        let Ok(response) = self.peer.ask_at(version, &request).await else {
            self.end_session();
            return;
        };
        let has_failed = answers(&response).any(|answer| answer.error_code.is_error());
        match self.hear(&response) {
            Heard::Full => self.see_everything(&places, &response, asked),
            Heard::Changes => self.see_changes(&places, &response, asked),
            Heard::Over => {}
            Heard::Absurd(what) => {
                let absurd = format!("the answer to a fetch: {what}");
                self.peer.note_absurd(&absurd, response.error_code);
            }
        }
        if has_failed {
            sleep(Duration::from_millis(50)).await;
        }
    }

    fn hear(&mut self, response: &FetchResponse) -> Heard {
        match &mut self.session {
            Some(session) => session.hear(response),
            None if response.error_code.is_error() => Heard::Absurd("a fetch without a session"),
            None => Heard::Full,
        }
    }

    fn end_session(&mut self) {
        if let Some(session) = &mut self.session {
            session.end();
        }
    }

    /// An answer with all partitions, in the order of the request.
    fn see_everything(&mut self, places: &[usize], response: &FetchResponse, asked: Asked) {
        let told: Vec<&PartitionData> = answers(response).collect();
        assert_eq!(told.len(), places.len(), "everything is answered");
        let knows_zstd = ZSTD_FETCH_VERSION_MIN <= self.version_min;
        for (place, answer) in places.iter().zip(told) {
            let index = self.walks[*place].partition.partition;
            assert_eq!(index, answer.partition_index, "answered in order");
            self.see(*place, answer, asked, knows_zstd);
        }
    }

    /// An answer with the partitions of the session that have changed.
    fn see_changes(&mut self, places: &[usize], response: &FetchResponse, asked: Asked) {
        self.context.history.borrow_mut().incremental_count += 1;
        let knows_zstd = ZSTD_FETCH_VERSION_MIN <= self.version_min;
        let mut left_out = places.to_vec();
        for topic in &response.responses {
            for answer in &topic.partitions {
                let session = self.session.as_ref().expect("changes are those of a session");
                let partition = session.place(topic, answer);
                let is_it = |place: &usize| Some(self.walks[*place].partition) == partition;
                let Some(at) = left_out.iter().position(is_it) else {
                    let what = "a partition twice, or one that is not of the fetch session";
                    self.peer.note_absurd(what, answer.error_code);
                    continue;
                };
                self.see(left_out.remove(at), answer, asked, knows_zstd);
            }
        }
        for place in left_out {
            let session = self.session.as_ref().expect("changes are those of a session");
            match session.told(self.walks[place].partition).cloned() {
                Some(told) => self.see(place, &told, asked, knows_zstd),
                None => self.peer.note_absurd(
                    "a partition of a fetch session of which nothing is known was left out: it",
                    ErrorCode::None,
                ),
            }
        }
    }

    /// What is told of a partition now, or has not changed.
    fn see(&mut self, place: usize, answer: &PartitionData, asked: Asked, knows_zstd: bool) {
        let walk = &mut self.walks[place];
        if let Some(session) = &mut self.session {
            session.note(walk.partition, answer);
        }
        match answer.error_code {
            ErrorCode::None => {}
            // The end of a relaxed log is earlier after a loss of power.
            ErrorCode::OffsetOutOfRange => {
                note_lost_end(&self.context, &self.peer, walk);
                walk.number = self.context.next_walk();
                walk.position = Offset(0);
                return;
            }
            // It goes on as a client that knows zstd.
            ErrorCode::UnsupportedCompressionType if !knows_zstd => {
                self.version_min = ZSTD_FETCH_VERSION_MIN;
                self.end_session();
                return;
            }
            code if code.is_retriable() => return,
            code => return self.peer.note_absurd("Fetch", code),
        }
        let place = (walk.partition, walk.position);
        let numbers = (walk.number, asked.connection);
        let fetched = fetched(numbers, place, answer, asked.begun.span());
        if let Some(last) = fetched.batches.last().and_then(|batch| batch.records.last()) {
            walk.position = Offset(last.offset.0 + 1);
        }
        self.context.history.borrow_mut().fetches.push(fetched);
    }
}

fn note_lost_end(context: &Context, peer: &Peer, walk: &Walk) {
    if context.history.borrow().is_durable(walk.partition) {
        peer.note_absurd("Fetch at the end of a durable log", ErrorCode::OffsetOutOfRange);
    }
}
