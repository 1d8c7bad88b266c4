//! Fetch sessions (KIP-227) of one core: what clients fetch from again and again, so that a request
//! says only what is different from the one before, and an answer only what has changed.
//!
//! Guarantees: bounded in sessions and in their partitions; an id is never 0, and never that of
//! another core's session; who may push out whom is as in Kafka, whose consumers expect it.
//! Does not know: records, or where partitions are. Time and random numbers are arguments.

mod session;

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use model::TopicId;
use runtime::sync::oneshot;
use runtime::{CoreId, Instant};
use wire::fetch::{FetchTopic, ForgottenTopic};
use wire::{ErrorCode, FetchRequest, Text};

use crate::config::SessionLimits;

pub(crate) use session::{Remembered, Session, TopicKey, Turn};

/// The request makes a session, if there is room for one.
const EPOCH_FIRST: i32 = 0;
/// The request has none, and ends the one that it names.
const EPOCH_NONE: i32 = -1;

/// From here on topics are named by their ids (KIP-516).
const IDS_VERSION_MIN: i16 = 13;

/// What a request asks for.
#[derive(Debug)]
pub(crate) enum Begun {
    /// What it says, and nothing is remembered.
    Sessionless,
    /// What it says, and that may be remembered.
    Full,
    /// What is remembered.
    Incremental(Visit),
}

/// A request's turn in a session.
#[derive(Debug)]
pub(crate) struct Visit {
    pub(crate) id: i32,
    pub(crate) session: Rc<Session>,
    /// The session's, as long as no other request has come.
    epoch: i32,
}

impl Visit {
    /// Whether another request has come to the session since, or the session has ended.
    pub(crate) fn is_over(&self) -> bool {
        self.session.epoch() != self.epoch
    }

    /// Ready when it is over: who waits holds memory that only the session's size bounds, so no two
    /// may wait.
    pub(crate) fn over(&self) -> oneshot::Receiver<()> {
        assert!(!self.is_over(), "who is over does not wait");
        self.session.over()
    }
}

/// The sessions of a core.
#[derive(Debug)]
pub(crate) struct FetchSessions {
    core: CoreId,
    cores_count: u16,
    limits: SessionLimits,
    cache: RefCell<Cache>,
    evictions_count: Cell<u64>,
    incremental_count: Cell<u64>,
}

#[derive(Debug, Default)]
struct Cache {
    sessions: BTreeMap<i32, Cached>,
    by_use: BTreeSet<(Instant, i32)>,
    /// By size: those old enough to make room for larger ones.
    evictable: BTreeSet<(usize, i32)>,
    partitions_count: usize,
}

#[derive(Debug)]
struct Cached {
    session: Rc<Session>,
    created: Instant,
    used: Instant,
    /// As it is counted.
    partitions_count: usize,
}

impl FetchSessions {
    pub(crate) fn new(core: CoreId, cores_count: u16, limits: SessionLimits) -> FetchSessions {
        FetchSessions {
            core,
            cores_count,
            limits,
            cache: RefCell::default(),
            evictions_count: Cell::default(),
            incremental_count: Cell::default(),
        }
    }

    /// Takes up what a request says of its session.
    pub(crate) fn begin(
        &self,
        version: i16,
        request: &FetchRequest,
        now: Instant,
    ) -> Result<Begun, ErrorCode> {
        let id = request.session_id;
        if matches!(request.session_epoch, EPOCH_FIRST | EPOCH_NONE) {
            self.cache.borrow_mut().remove(id);
            let is_kept = request.session_epoch == EPOCH_FIRST;
            return Ok(if is_kept { Begun::Full } else { Begun::Sessionless });
        }
        let mut cache = self.cache.borrow_mut();
        let Some(cached) = cache.sessions.get(&id) else {
            return Err(ErrorCode::FetchSessionIdNotFound);
        };
        let session = cached.session.clone();
        if session.epoch() != request.session_epoch {
            return Err(ErrorCode::InvalidFetchSessionEpoch);
        }
        if session.has_ids() != has_ids(version) {
            return Err(ErrorCode::FetchSessionTopicIdError);
        }
        let key = |topic: &FetchTopic| key_of(version, &topic.topic, topic.topic_id);
        if !request.topics.iter().all(|topic| key(topic).is_possible()) {
            // It begins anew, and without a session.
            cache.remove(id);
            return Err(ErrorCode::FetchSessionIdNotFound);
        }
        session.update(&request.topics, &request.forgotten_topics_data);
        let partitions_count = session.partitions_count();
        if partitions_count == 0 {
            cache.remove(id);
            return Ok(Begun::Sessionless);
        }
        let more = partitions_count.saturating_sub(cached_count(&cache, id));
        let Some(victims) = self.victims(&cache, 0, more, partitions_count, id, now) else {
            // Without it the client asks for everything again.
            cache.remove(id);
            self.count_evictions(1);
            return Err(ErrorCode::FetchSessionIdNotFound);
        };
        self.evict(&mut cache, victims);
        cache.touch(id, now, &self.limits);
        session.advance();
        self.incremental_count.set(self.incremental_count.get() + 1);
        let epoch = session.epoch();
        Ok(Begun::Incremental(Visit { id, session, epoch }))
    }

    /// Remembers what a full request has asked for and was told. Returns the session's id, 0 if
    /// there is no room.
    pub(crate) fn create(
        &self,
        version: i16,
        partitions: Vec<(TopicKey, Remembered)>,
        now: Instant,
        random: impl FnMut() -> u64,
    ) -> i32 {
        if !partitions.iter().all(|(topic, _)| topic.is_possible()) {
            return 0;
        }
        let session = Session::new(has_ids(version), partitions);
        let partitions_count = session.partitions_count();
        let mut cache = self.cache.borrow_mut();
        let room = self.victims(&cache, 1, partitions_count, partitions_count, 0, now);
        let Some(victims) = room else { return 0 };
        self.evict(&mut cache, victims);
        let id = self.free_id(&cache, random);
        let session = Rc::new(session);
        let cached = Cached { session, created: now, used: now, partitions_count: 0 };
        cache.sessions.insert(id, cached);
        cache.touch(id, now, &self.limits);
        id
    }

    /// A number that says whose core the session is, so that cores need not ask each other.
    fn free_id(&self, cache: &Cache, mut random: impl FnMut() -> u64) -> i32 {
        loop {
            let number = random() % (1 << 31);
            let cores_count = u64::from(self.cores_count);
            let number = number - number % cores_count + u64::from(self.core.0);
            if let Ok(id @ 1..) = i32::try_from(number)
                && !cache.sessions.contains_key(&id)
            {
                return id;
            }
        }
    }

    /// Whom to push out so that a session of `size` partitions in all finds room for more. None if
    /// there are not enough: sessions that were not used for long go first, then smaller ones that
    /// are old enough.
    fn victims(
        &self,
        cache: &Cache,
        more_sessions: usize,
        more_partitions: usize,
        size: usize,
        own: i32,
        now: Instant,
    ) -> Option<Vec<i32>> {
        let mut sessions_count = cache.sessions.len() + more_sessions;
        let mut partitions_count = cache.partitions_count + more_partitions;
        let idle = cache
            .by_use
            .iter()
            .take_while(|(used, _)| self.limits.eviction < now.since(*used))
            .map(|(_, id)| *id);
        let is_idle = |id: &i32| self.limits.eviction < now.since(cache.sessions[id].used);
        let smaller = cache
            .evictable
            .iter()
            .take_while(|(theirs, _)| *theirs < size)
            .map(|(_, id)| *id)
            .filter(|id| !is_idle(id));
        let mut candidates = idle.chain(smaller).filter(|id| *id != own);
        let mut victims = Vec::new();
        while self.limits.count_max < sessions_count
            || self.limits.partitions_max < partitions_count
        {
            let victim = candidates.next()?;
            sessions_count -= 1;
            partitions_count -= cache.sessions[&victim].partitions_count;
            victims.push(victim);
        }
        Some(victims)
    }

    fn evict(&self, cache: &mut Cache, victims: Vec<i32>) {
        self.count_evictions(victims.len() as u64);
        for id in victims {
            cache.remove(id);
        }
    }

    fn count_evictions(&self, count: u64) {
        self.evictions_count.set(self.evictions_count.get() + count);
    }

    /// Whether there is a session of this id.
    pub(crate) fn has(&self, id: i32) -> bool {
        self.cache.borrow().sessions.contains_key(&id)
    }

    pub(crate) fn count(&self) -> usize {
        self.cache.borrow().sessions.len()
    }

    /// Of all sessions together.
    pub(crate) fn partitions_count(&self) -> usize {
        self.cache.borrow().partitions_count
    }

    /// Sessions that had to make room for others.
    pub(crate) fn evictions_count(&self) -> u64 {
        self.evictions_count.get()
    }

    /// Requests that named a session which was there.
    pub(crate) fn incremental_count(&self) -> u64 {
        self.incremental_count.get()
    }
}

impl Cache {
    fn remove(&mut self, id: i32) {
        let Some(cached) = self.sessions.remove(&id) else { return };
        self.by_use.remove(&(cached.used, id));
        self.evictable.remove(&(cached.partitions_count, id));
        self.partitions_count -= cached.partitions_count;
        cached.session.advance();
    }

    /// Notes that a session is used, and how large it is now.
    fn touch(&mut self, id: i32, now: Instant, limits: &SessionLimits) {
        let cached = self.sessions.get_mut(&id).expect("it was just found");
        self.by_use.remove(&(cached.used, id));
        self.evictable.remove(&(cached.partitions_count, id));
        self.partitions_count -= cached.partitions_count;
        cached.used = now;
        cached.partitions_count = cached.session.partitions_count();
        self.by_use.insert((now, id));
        if limits.eviction < now.since(cached.created) {
            self.evictable.insert((cached.partitions_count, id));
        }
        self.partitions_count += cached.partitions_count;
    }
}

fn cached_count(cache: &Cache, id: i32) -> usize {
    cache.sessions.get(&id).map_or(0, |cached| cached.partitions_count)
}

fn has_ids(version: i16) -> bool {
    IDS_VERSION_MIN <= version
}

/// A topic, as a request of this version names it.
pub(crate) fn key_of(version: i16, name: &Text, id: TopicId) -> TopicKey {
    TopicKey::of(has_ids(version), name, id)
}

#[cfg(test)]
mod tests;
