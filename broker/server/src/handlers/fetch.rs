//! Fetch: batches from some partitions, waiting until there are enough.

use std::collections::BTreeMap;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::rc::Rc;
use std::task::Poll;
use std::time::Duration;

use model::{Offset, TopicId, TopicPartition};
use replication::{EpochEnd, Isolation, ReadFrom};
use runtime::sync::budget::Share;
use runtime::sync::oneshot;
use runtime::{CoreId, Instant};
use storage::{FileSlice, Slice};
use wire::fetch::{EpochEndOffset, FetchPartition, FetchableTopicResponse, PartitionData};
use wire::{ApiKey, ErrorCode, FetchRequest, FetchResponse, Records, Text};

use crate::call::{
    CoreAnswer, CoreRequest, PartitionRead, ReadCall, ReadResult, WatchCall, WatchId,
};
use crate::connection::Affinity;
use crate::core::Core;
use crate::failure::Failure;
use crate::fetch_sessions::{Begun, Remembered, TopicKey, Turn, key_of};
use crate::image::ClusterImage;

/// What a session's id never is.
const NO_SESSION: i32 = 0;
/// From here on a client understands zstd.
const ZSTD_VERSION_MIN: i16 = 10;

pub(super) struct Fetched {
    pub(super) response: FetchResponse,
    pub(super) files: Vec<FileSlice>,
    pub(super) memory: Option<Share>,
}

/// What a request asks for, by itself or through its session.
struct Asked {
    version: i16,
    isolation: Isolation,
    begun: Begun,
    /// Topics by name and id, in the order of the answer.
    topics: Vec<(Text, TopicId)>,
    wanted: Vec<Wanted>,
}

/// One partition, in the order in which they are read.
struct Wanted {
    /// Among the topics.
    topic: usize,
    asked: FetchPartition,
    place: Result<(TopicPartition, CoreId), Failure>,
    /// In the session, if there is one.
    turn: Option<Turn>,
}

type Outcomes = Vec<Result<ReadResult, Failure>>;

pub(super) async fn handle(
    core: &Rc<Core>,
    affinity: &Affinity,
    version: i16,
    request: FetchRequest,
) -> Fetched {
    let isolation = match request.isolation_level {
        0 => Isolation::ReadUncommitted,
        1 => Isolation::ReadCommitted,
        _ => return refused(ErrorCode::InvalidRequest, NO_SESSION),
    };
    let begun = match core.fetch_sessions.begin(version, &request, runtime::now()) {
        Ok(begun) => begun,
        Err(error_code) => return refused(error_code, NO_SESSION),
    };
    let asked = resolve(core, version, isolation, &request, begun);
    let wanted = &asked.wanted;
    let places = wanted.iter().flat_map(|wanted| &wanted.place);
    affinity.note(core, ApiKey::Fetch, places.map(|(_, owner)| (*owner, 1)));
    let limit = core.config.connections.fetch_bytes_max;
    let bytes_max = usize::try_from(request.max_bytes).unwrap_or(0).min(limit);
    let bytes_min = usize::try_from(request.min_bytes).unwrap_or(0).min(bytes_max);
    let wait = Duration::from_millis(u64::try_from(request.max_wait_ms).unwrap_or(0));
    let deadline = runtime::now() + wait;
    let of_partition = |wanted: &Wanted| usize::try_from(wanted.asked.partition_max_bytes);
    let wanted_bytes = wanted.iter().map(|of| of_partition(of).unwrap_or(0)).sum();
    loop {
        let mut memory = core.fetch_bytes.take(bytes_max.min(wanted_bytes)).await;
        let outcomes = read(core, wanted, bytes_max, isolation).await;
        let size_bytes: usize = outcomes.iter().flatten().map(ReadResult::size_bytes).sum();
        let has_failed = outcomes.iter().any(Result::is_err);
        let is_apart = outcomes.iter().flatten().any(|result| result.divergence.is_some());
        let is_enough = bytes_min <= size_bytes || has_failed || is_apart || wanted.is_empty();
        if is_enough || deadline <= runtime::now() || core.is_leaving() {
            memory.shrink_to(size_bytes);
            let fetched = respond(core, asked, outcomes, memory);
            affinity.note_session(fetched.response.session_id);
            return fetched;
        }
        // What was read is let go of while waiting.
        let ends = outcomes.iter().flatten().map(|result| match isolation {
            Isolation::ReadUncommitted => result.high_watermark,
            Isolation::ReadCommitted => result.last_stable,
        });
        let ends: Vec<_> = ends.collect();
        drop((outcomes, memory));
        let over = match &asked.begun {
            Begun::Incremental(visit) if visit.is_over() => {
                return refused(ErrorCode::InvalidFetchSessionEpoch, visit.id);
            }
            Begun::Incremental(visit) => Some(visit.over()),
            Begun::Full | Begun::Sessionless => None,
        };
        wait_for_more(core, wanted, &ends, isolation, deadline, over).await;
    }
}

fn refused(error_code: ErrorCode, session_id: i32) -> Fetched {
    let response = FetchResponse { error_code, session_id, ..Default::default() };
    Fetched { response, files: Vec::new(), memory: None }
}

/// Finds what is asked for.
fn resolve(
    core: &Core,
    version: i16,
    isolation: Isolation,
    request: &FetchRequest,
    begun: Begun,
) -> Asked {
    let image = core.image();
    let mut topics: Vec<(Text, TopicId)> = Vec::new();
    let mut wanted = Vec::new();
    let Begun::Incremental(visit) = &begun else {
        for topic in &request.topics {
            let key = key_of(version, &topic.topic, topic.topic_id);
            for asked in &topic.partitions {
                let place = place_of(&image, &key, asked);
                let (topic, asked) = (topics.len(), asked.clone());
                wanted.push(Wanted { topic, asked, place, turn: None });
            }
            topics.push((topic.topic.clone(), topic.topic_id));
        }
        return Asked { version, isolation, begun, topics, wanted };
    };
    let mut last: Option<TopicKey> = None;
    for (turn, key, asked) in visit.session.partitions() {
        if last.as_ref() != Some(&key) {
            topics.push(match &key {
                TopicKey::Name(name) => (name.clone(), TopicId::ZERO),
                TopicKey::Id(id) => (Text::default(), *id),
            });
        }
        let (topic, place) = (topics.len() - 1, place_of(&image, &key, &asked));
        wanted.push(Wanted { topic, asked, place, turn: Some(turn) });
        last = Some(key);
    }
    Asked { version, isolation, begun, topics, wanted }
}

fn place_of(
    image: &ClusterImage,
    topic: &TopicKey,
    asked: &FetchPartition,
) -> Result<(TopicPartition, CoreId), Failure> {
    let topic = match topic {
        TopicKey::Name(name) => image.topic(name).ok_or_else(Failure::unknown_partition)?,
        TopicKey::Id(id) => image
            .topic_by_id(*id)
            .ok_or_else(|| Failure::new(ErrorCode::UnknownTopicId, "There is no such topic."))?,
    };
    topic.partition(asked.partition).ok_or_else(Failure::unknown_partition)
}

/// Reads from all owners at once, and keeps what fits, in the order of the request. The first batch
/// of all is kept whatever its size, so that no consumer gets stuck (KIP-74).
async fn read(
    core: &Rc<Core>,
    wanted: &[Wanted],
    bytes_max: usize,
    isolation: Isolation,
) -> Outcomes {
    let mut by_owner: BTreeMap<CoreId, (Vec<usize>, Vec<PartitionRead>)> = BTreeMap::new();
    for (number, Wanted { asked, place, .. }) in wanted.iter().enumerate() {
        let Ok((partition, owner)) = place else { continue };
        let of_partition = usize::try_from(asked.partition_max_bytes).unwrap_or(0);
        let from = ReadFrom {
            leader_epoch: asked.current_leader_epoch,
            offset: asked.fetch_offset,
            bytes_max: of_partition.min(bytes_max),
            // The owner says so for the first of its partitions that has any.
            at_least_one_batch: false,
            isolation,
        };
        let (numbers, reads) = by_owner.entry(*owner).or_default();
        numbers.push(number);
        let last_epoch = asked.last_fetched_epoch;
        reads.push(PartitionRead { partition: *partition, from, last_epoch });
    }
    let calls: Vec<_> = by_owner
        .into_iter()
        .map(|(owner, (numbers, reads))| {
            let call = ReadCall { reads, bytes_max };
            (numbers, core.mesh().call(owner, CoreRequest::Read(call)))
        })
        .collect();
    let mut outcomes: Outcomes = wanted
        .iter()
        .map(|wanted| match &wanted.place {
            Ok(_) => Err(Failure::new(ErrorCode::NotLeaderOrFollower, "the broker is stopping")),
            Err(failure) => Err(failure.clone()),
        })
        .collect();
    for (numbers, call) in calls {
        if let Ok(CoreAnswer::Read(results)) = call.await {
            for (number, result) in numbers.into_iter().zip(results) {
                outcomes[number] = result;
            }
        }
    }
    let mut left_bytes = bytes_max;
    let mut is_first = true;
    for (wanted, outcome) in wanted.iter().zip(&mut outcomes) {
        let Ok(result) = outcome else { continue };
        let size_bytes = result.size_bytes();
        let of_partition = usize::try_from(wanted.asked.partition_max_bytes).unwrap_or(0);
        let fits = size_bytes <= left_bytes && size_bytes <= of_partition.max(1);
        if fits || (is_first && 0 < size_bytes) {
            left_bytes = left_bytes.saturating_sub(size_bytes);
            is_first &= size_bytes == 0;
        } else {
            result.slices.clear();
        }
    }
    outcomes
}

/// Waits until there may be more, the deadline has come, or the request is over.
async fn wait_for_more(
    core: &Rc<Core>,
    wanted: &[Wanted],
    ends: &[Offset],
    isolation: Isolation,
    deadline: Instant,
    mut over: Option<oneshot::Receiver<()>>,
) {
    let mut by_owner: BTreeMap<CoreId, Vec<(TopicPartition, Offset)>> = BTreeMap::new();
    for (wanted, end) in wanted.iter().zip(ends) {
        if let Ok((partition, owner)) = &wanted.place {
            by_owner.entry(*owner).or_default().push((*partition, *end));
        }
    }
    let (id, mut woken) = core.open_watch();
    let owners = by_owner.keys().copied().collect();
    let _registered = Registered { core: core.clone(), id, owners };
    for (owner, partitions) in by_owner {
        let call = WatchCall { id, partitions, isolation };
        // The owner's answer says no more than that it has taken note.
        drop(core.mesh().call(owner, CoreRequest::Watch(call)));
    }
    let left = deadline.since(runtime::now());
    let ended = poll_fn(|context| {
        let is_over = over.as_mut().is_some_and(|over| Pin::new(over).poll(context).is_ready());
        match is_over || Pin::new(&mut woken).poll(context).is_ready() {
            true => Poll::Ready(()),
            false => Poll::Pending,
        }
    });
    let _ = runtime::timeout(left, ended).await;
}

/// A watch that is closed when nobody waits any more, also if the connection has ended.
struct Registered {
    core: Rc<Core>,
    id: WatchId,
    owners: Vec<CoreId>,
}

impl Drop for Registered {
    fn drop(&mut self) {
        self.core.close_watch(self.id);
        for owner in &self.owners {
            drop(self.core.mesh().call(*owner, CoreRequest::Unwatch(self.id)));
        }
    }
}

fn respond(core: &Core, asked: Asked, outcomes: Outcomes, memory: Share) -> Fetched {
    let Asked { version, isolation, begun, topics, wanted } = asked;
    if let Begun::Incremental(visit) = &begun
        && visit.is_over()
    {
        return refused(ErrorCode::InvalidFetchSessionEpoch, visit.id);
    }
    let mut files = Vec::new();
    let mut remembered = Vec::new();
    let mut responses: Vec<FetchableTopicResponse> = topics
        .into_iter()
        .map(|(topic, topic_id)| FetchableTopicResponse { topic, topic_id, ..Default::default() })
        .collect();
    for (wanted, outcome) in wanted.into_iter().zip(outcomes) {
        let partition_index = wanted.asked.partition;
        let data = match outcome {
            Ok(result) if version < ZSTD_VERSION_MIN && holds_zstd(&result) => {
                failed(ErrorCode::UnsupportedCompressionType)
            }
            Ok(result) => found(result, isolation, &mut files),
            Err(failure) => failed(failure.code),
        };
        let data = PartitionData { partition_index, ..data };
        let response = &mut responses[wanted.topic];
        let is_told = match (&begun, wanted.turn) {
            (Begun::Incremental(visit), Some(turn)) => visit.session.tell(turn, &data),
            (Begun::Full, _) => {
                let topic = key_of(version, &response.topic, response.topic_id);
                remembered.push((topic, Remembered::new(wanted.asked, &data)));
                true
            }
            (Begun::Incremental(_) | Begun::Sessionless, _) => true,
        };
        if is_told {
            response.partitions.push(data);
        }
    }
    let session_id = match begun {
        Begun::Sessionless => NO_SESSION,
        Begun::Full => {
            let random = || runtime::with_rng(runtime::Rng::next_u64);
            core.fetch_sessions.create(version, remembered, runtime::now(), random)
        }
        Begun::Incremental(visit) => {
            responses.retain(|topic| !topic.partitions.is_empty());
            visit.id
        }
    };
    let response = FetchResponse { session_id, responses, ..Default::default() };
    Fetched { response, files, memory: Some(memory) }
}

fn found(result: ReadResult, isolation: Isolation, files: &mut Vec<FileSlice>) -> PartitionData {
    let mut records = Records::new();
    for slice in result.slices {
        match slice {
            Slice::Memory(bytes) => records.push_bytes(bytes),
            Slice::File(slice) => {
                records.push_external(files.len() as u64, slice.size_bytes);
                files.push(slice);
            }
        }
    }
    PartitionData {
        error_code: ErrorCode::None,
        high_watermark: result.high_watermark,
        last_stable_offset: result.last_stable,
        log_start_offset: result.log_start,
        diverging_epoch: match result.divergence {
            Some(EpochEnd { leader_epoch, end_offset }) => {
                EpochEndOffset { epoch: leader_epoch, end_offset }
            }
            None => EpochEndOffset::default(),
        },
        // Null for who does not ask; without transactions none was aborted.
        aborted_transactions: match isolation {
            Isolation::ReadUncommitted => None,
            Isolation::ReadCommitted => Some(Vec::new()),
        },
        records: Some(records),
        ..Default::default()
    }
}

fn failed(error_code: ErrorCode) -> PartitionData {
    PartitionData {
        error_code,
        high_watermark: Offset::NONE,
        last_stable_offset: Offset::NONE,
        log_start_offset: Offset::NONE,
        aborted_transactions: None,
        records: Some(Records::new()),
        ..Default::default()
    }
}

/// Whether the first batch is compressed in a way that old clients cannot read.
fn holds_zstd(result: &ReadResult) -> bool {
    use model::record_batch::{BatchHeader, Compression};
    let Some(Slice::Memory(bytes)) = result.slices.first() else { return false };
    BatchHeader::read(bytes)
        .and_then(|header| header.compression())
        .is_ok_and(|compression| compression == Compression::Zstd)
}
