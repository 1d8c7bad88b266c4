//! One session: its partitions, in the order in which they are read.
//!
//! Guarantees: a partition that was answered with records goes to the end, so that those before it
//! are read first the next time.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;

use model::{Offset, PartitionIndex, TopicId};
use runtime::sync::oneshot;
use wire::Text;
use wire::fetch::{EpochEndOffset, FetchPartition, PartitionData};

use super::{EPOCH_FIRST, FetchTopic, ForgottenTopic};

/// How a session's clients name topics.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum TopicKey {
    Name(Text),
    Id(TopicId),
}

impl TopicKey {
    pub(super) fn of(has_ids: bool, name: &Text, id: TopicId) -> TopicKey {
        if has_ids { TopicKey::Id(id) } else { TopicKey::Name(name.clone()) }
    }

    /// Whether there could be such a topic. Other names are not remembered: they may be long.
    pub(super) fn is_possible(&self) -> bool {
        match self {
            TopicKey::Name(name) => coordinator::check_topic_name(name).is_ok(),
            TopicKey::Id(_) => true,
        }
    }

    /// In memory of its own: a session outlives the request.
    fn detached(&self) -> TopicKey {
        match self {
            TopicKey::Name(name) => TopicKey::Name(name.detached()),
            TopicKey::Id(id) => TopicKey::Id(*id),
        }
    }
}

/// What was asked of a partition last, and told of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Remembered {
    pub(crate) asked: FetchPartition,
    told: Told,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Told {
    high_watermark: Offset,
    last_stable: Offset,
    log_start: Offset,
}

impl Told {
    /// Different from everything that can be told.
    const NOTHING: Told =
        Told { high_watermark: Offset::NONE, last_stable: Offset::NONE, log_start: Offset::NONE };

    fn of(data: &PartitionData) -> Told {
        if data.error_code.is_error() {
            // When the error is over, the partition is told again.
            return Told::NOTHING;
        }
        Told {
            high_watermark: data.high_watermark,
            last_stable: data.last_stable_offset,
            log_start: data.log_start_offset,
        }
    }
}

impl Remembered {
    pub(crate) fn new(asked: FetchPartition, data: &PartitionData) -> Remembered {
        Remembered { asked, told: Told::of(data) }
    }
}

/// When a partition of a session is read: lower ones first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Turn(u64);

#[derive(Debug)]
pub(crate) struct Session {
    has_ids: bool,
    epoch: Cell<i32>,
    partitions: RefCell<Partitions>,
    /// The request that waits for records, if one does. Dropped when it is over.
    waiting: RefCell<Option<oneshot::Sender<()>>>,
}

#[derive(Debug, Default)]
struct Partitions {
    by_turn: BTreeMap<Turn, (TopicKey, Remembered)>,
    turns: BTreeMap<(TopicKey, PartitionIndex), Turn>,
    next_turn: u64,
}

impl Partitions {
    /// Puts a partition at the end.
    fn push(&mut self, topic: TopicKey, remembered: Remembered) {
        let turn = Turn(self.next_turn);
        self.next_turn += 1;
        self.turns.insert((topic.clone(), remembered.asked.partition), turn);
        self.by_turn.insert(turn, (topic, remembered));
    }

    fn find(&mut self, topic: &TopicKey, partition: PartitionIndex) -> Option<&mut Remembered> {
        let turn = self.turns.get(&(topic.clone(), partition))?;
        self.by_turn.get_mut(turn).map(|(_, remembered)| remembered)
    }

    fn remove(&mut self, topic: &TopicKey, partition: PartitionIndex) {
        if let Some(turn) = self.turns.remove(&(topic.clone(), partition)) {
            self.by_turn.remove(&turn);
        }
    }

    /// Asks for partitions of a topic from now on, or otherwise than before.
    fn ask(&mut self, topic: &TopicKey, asked: impl Iterator<Item = Remembered>) {
        // Once for all partitions of the topic.
        let mut detached = None;
        for new in asked {
            match self.find(topic, new.asked.partition) {
                Some(known) => known.asked = new.asked,
                None => {
                    let topic = detached.get_or_insert_with(|| topic.detached()).clone();
                    self.push(topic, new);
                }
            }
        }
    }
}

impl Session {
    pub(super) fn new(has_ids: bool, asked: Vec<(TopicKey, Remembered)>) -> Session {
        let mut partitions = Partitions::default();
        let mut asked = asked.into_iter().peekable();
        while let Some((topic, first)) = asked.next() {
            let of_topic = std::iter::from_fn(|| asked.next_if(|(next, _)| *next == topic));
            let rest: Vec<Remembered> = of_topic.map(|(_, remembered)| remembered).collect();
            partitions.ask(&topic, std::iter::once(first).chain(rest));
        }
        let session = Session {
            has_ids,
            epoch: Cell::new(EPOCH_FIRST),
            partitions: RefCell::new(partitions),
            waiting: RefCell::default(),
        };
        session.advance();
        session
    }

    pub(super) fn has_ids(&self) -> bool {
        self.has_ids
    }

    /// What the next request must have.
    pub(super) fn epoch(&self) -> i32 {
        self.epoch.get()
    }

    /// The requests before are over. After the highest epoch comes 1: 0 would begin anew.
    pub(super) fn advance(&self) {
        drop(self.waiting.take());
        self.epoch.set(self.epoch.get().checked_add(1).unwrap_or(EPOCH_FIRST + 1));
    }

    #[cfg(test)]
    pub(super) fn set_epoch(&self, epoch: i32) {
        self.epoch.set(epoch);
    }

    /// Ready when the request that asks is over.
    pub(super) fn over(&self) -> oneshot::Receiver<()> {
        let (sender, receiver) = oneshot::channel();
        drop(self.waiting.replace(Some(sender)));
        receiver
    }

    pub(super) fn partitions_count(&self) -> usize {
        self.partitions.borrow().by_turn.len()
    }

    /// What a request changes.
    pub(super) fn update(&self, topics: &[FetchTopic], forgotten: &[ForgottenTopic]) {
        let mut partitions = self.partitions.borrow_mut();
        for topic in topics {
            let key = TopicKey::of(self.has_ids, &topic.topic, topic.topic_id);
            let asked = topic.partitions.iter();
            partitions.ask(
                &key,
                asked.map(|asked| Remembered { asked: asked.clone(), told: Told::NOTHING }),
            );
        }
        for topic in forgotten {
            let key = TopicKey::of(self.has_ids, &topic.topic, topic.topic_id);
            for partition in &topic.partitions {
                partitions.remove(&key, *partition);
            }
        }
    }

    /// What is to be read, in this order.
    pub(crate) fn partitions(&self) -> Vec<(Turn, TopicKey, FetchPartition)> {
        let partitions = self.partitions.borrow();
        let all = partitions.by_turn.iter();
        all.map(|(turn, (topic, it))| (*turn, topic.clone(), it.asked.clone())).collect()
    }

    /// Whether the client has to be told this of a partition, which it then has been. Not after
    /// another request has changed the session.
    pub(crate) fn tell(&self, turn: Turn, data: &PartitionData) -> bool {
        let mut partitions = self.partitions.borrow_mut();
        let (topic, remembered) =
            partitions.by_turn.get_mut(&turn).expect("no request came between");
        let has_records = data.records.as_ref().is_some_and(|records| !records.is_empty());
        let told = Told::of(data);
        let is_news = has_records
            || told != remembered.told
            || data.error_code.is_error()
            || data.diverging_epoch != EpochEndOffset::default();
        remembered.told = told;
        if has_records {
            let (topic, remembered) = (topic.clone(), remembered.clone());
            partitions.by_turn.remove(&turn);
            partitions.push(topic, remembered);
        }
        is_news
    }
}
