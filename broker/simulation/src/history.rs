//! What clients did and saw in one run, for the invariants to judge.
//!
//! Every fact has the times between which it came about. An *era* ends with each loss of the
//! broker's power: what a relaxed topic acknowledged in one era may be gone in the next.

use model::{LeaderEpoch, Offset, ProducerEpoch, ProducerId, Timestamp, TopicPartition};
use runtime::Instant;
use wire::ErrorCode;

use crate::payload::RecordId;

/// How many losses of power there were before.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Era(pub u32);

/// From the start of a request to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    pub started_at: Instant,
    pub ended_at: Instant,
    /// When it was started.
    pub era: Era,
}

/// One record as it was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SentRecord {
    pub id: RecordId,
    pub timestamp: Timestamp,
}

/// The place of a batch in its producer's numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Sequence {
    pub producer: ProducerId,
    pub epoch: ProducerEpoch,
    pub first: i32,
}

/// What has become of a batch, as its sender knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    Acknowledged {
        base_offset: Offset,
    },
    /// It was certainly not appended.
    Refused(ErrorCode),
    /// It may be in the log or not.
    Unknown,
}

/// A batch of one producer's session, with all its attempts. It is noted before the first of them:
/// whoever reads it afterwards reads what was sent, also if its sender never hears of it.
#[derive(Clone, Debug)]
pub struct Send {
    pub session: u64,
    pub partition: TopicPartition,
    pub records: Vec<SentRecord>,
    /// None without idempotence.
    pub sequence: Option<Sequence>,
    /// Unknown as long as it is under way.
    pub outcome: Outcome,
    /// Its end is [`Instant::FAR_FUTURE`] as long as it is under way. Its era is that of the last
    /// attempt, as the answer tells of that one.
    pub span: Span,
}

/// Names a [`Send`] of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SendNumber(usize);

/// An acknowledged batch that was sent once more.
#[derive(Clone, Copy, Debug)]
pub struct Repeat {
    pub partition: TopicPartition,
    pub sequence: Sequence,
    pub first_answer: Offset,
    pub answer: Result<Offset, ErrorCode>,
}

/// A batch that had to be refused.
#[derive(Clone, Debug)]
pub struct Forbidden {
    pub partition: TopicPartition,
    pub records: Vec<SentRecord>,
    pub sequence: Sequence,
    /// The code that Kafka gives.
    pub expected: ErrorCode,
    pub answer: Result<Offset, ErrorCode>,
}

/// A batch of an idempotent producer was refused as out of order although all before it was
/// acknowledged.
#[derive(Clone, Copy, Debug)]
pub struct Misunderstood {
    pub partition: TopicPartition,
    pub sequence: Sequence,
    pub code: ErrorCode,
    /// When its session began.
    pub session_era: Era,
    /// When the answer came.
    pub era: Era,
}

/// A batch as a reader has seen it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SeenBatch {
    pub base_offset: Offset,
    pub leader_epoch: LeaderEpoch,
    pub records: Vec<SeenRecord>,
}

/// A record as a reader has seen it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SeenRecord {
    pub offset: Offset,
    /// None if the bytes are no record's of this run.
    pub id: Option<RecordId>,
    pub timestamp: Timestamp,
}

/// What one fetch has shown of one partition.
#[derive(Clone, Debug)]
pub struct Fetched {
    /// Fetches of one walk go on where the one before ended.
    pub walk: u64,
    /// Counts the connections of the run.
    pub connection: u64,
    pub partition: TopicPartition,
    pub position: Offset,
    pub high_watermark: Offset,
    pub last_stable: Offset,
    pub log_start: Offset,
    pub batches: Vec<SeenBatch>,
    /// Bytes came that are no record batch, or whose checksum does not hold.
    pub is_damaged: bool,
    pub span: Span,
}

/// What was asked of ListOffsets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    End,
    Start,
    Time(Timestamp),
}

/// What ListOffsets has told.
#[derive(Clone, Copy, Debug)]
pub struct Listed {
    pub partition: TopicPartition,
    pub place: Place,
    pub offset: Offset,
    pub timestamp: Timestamp,
    pub span: Span,
}

/// A topic was made again under the name of one that was deleted.
#[derive(Clone, Debug)]
pub struct Remade {
    pub name: String,
    pub old: model::TopicId,
    /// What had been acknowledged to it.
    pub old_records: Vec<RecordId>,
    pub new: model::TopicId,
    /// What the first reader of the new one saw.
    pub seen: Vec<SeenBatch>,
}

/// A topic that gets more partitions.
#[derive(Clone, Debug)]
pub struct Growth {
    pub name: String,
    /// How many it was made with.
    pub made_count: i32,
    /// In their order, as one client asks for everything.
    pub facts: Vec<GrowthFact>,
    /// It was deleted, or was about to be.
    pub is_deleted: bool,
}

/// Names a [`Growth`] of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GrowthNumber(usize);

/// What is known of how many partitions a topic has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GrowthFact {
    /// CreatePartitions was asked for so many in all. None is a lost answer, or one that says
    /// nothing.
    Asked { count: i32, answer: Option<Result<(), ErrorCode>> },
    /// Metadata has told of so many.
    Described { count: i32 },
}

/// A partition's leader epoch as Metadata told it.
#[derive(Clone, Copy, Debug)]
pub struct ToldEpoch {
    pub partition: TopicPartition,
    pub epoch: LeaderEpoch,
    pub span: Span,
}

/// What OffsetForLeaderEpoch has told. Both are none if the epoch is not known.
#[derive(Clone, Copy, Debug)]
pub struct EpochEnd {
    pub partition: TopicPartition,
    pub asked: LeaderEpoch,
    /// The largest one with records that is not larger.
    pub epoch: LeaderEpoch,
    pub end: Offset,
    pub span: Span,
}

/// A topic that lives as long as the run.
#[derive(Clone, Debug)]
pub struct LongTopic {
    pub name: String,
    pub id: model::TopicId,
    pub partitions_count: i32,
    pub is_durable: bool,
    pub has_broker_time: bool,
}

impl LongTopic {
    /// Its partitions.
    pub fn partitions(&self) -> impl Iterator<Item = TopicPartition> + use<> {
        let topic = self.id;
        let index = move |index| TopicPartition { topic, partition: model::PartitionIndex(index) };
        (0..self.partitions_count).map(index)
    }
}

/// A member of a group was told of a generation.
#[derive(Clone, Debug)]
pub struct Joined {
    pub group: String,
    pub generation: i32,
    pub member: String,
    /// Of a static member.
    pub instance: Option<String>,
    /// Who assigns, empty if that is the broker, and by which rule.
    pub leader: String,
    pub protocol: String,
    pub span: Span,
}

/// It was told what to read in that generation.
#[derive(Clone, Debug)]
pub struct Assigned {
    pub group: String,
    pub generation: i32,
    pub member: String,
    pub instance: Option<String>,
    pub partitions: Vec<TopicPartition>,
    pub span: Span,
}

/// A group was asked how far it has come; none if it has not begun.
#[derive(Clone, Debug)]
pub struct OffsetTold {
    pub group: String,
    pub partition: TopicPartition,
    pub offset: Option<Offset>,
    pub span: Span,
}

/// A member has said how far it has come.
#[derive(Clone, Debug)]
pub struct OffsetSet {
    pub group: String,
    pub member: String,
    pub instance: Option<String>,
    pub partition: TopicPartition,
    pub offset: Offset,
    /// As what it was in a generation before, which has to be refused.
    pub is_stale: bool,
    pub outcome: Outcome,
    pub span: Span,
}

/// A member has read from one offset up to another, for its group.
#[derive(Clone, Debug)]
pub struct ReadBy {
    pub group: String,
    pub partition: TopicPartition,
    pub from: Offset,
    pub end: Offset,
    pub span: Span,
}

/// What a fresh client has read at the end, and whether the partition takes appends.
#[derive(Clone, Debug, Default)]
pub struct FinalLog {
    pub batches: Vec<SeenBatch>,
    /// Why it could not be read to its end.
    pub refused: Option<ErrorCode>,
    /// Bytes came that are no record batch, or whose checksum does not hold.
    pub is_damaged: bool,
    /// What an append was answered.
    pub append: Option<ErrorCode>,
}

/// Everything of one run.
#[derive(Clone, Debug, Default)]
pub struct History {
    pub topics: Vec<LongTopic>,
    pub sends: Vec<Send>,
    pub repeats: Vec<Repeat>,
    pub forbidden: Vec<Forbidden>,
    pub misunderstood: Vec<Misunderstood>,
    pub fetches: Vec<Fetched>,
    pub listed: Vec<Listed>,
    pub remade: Vec<Remade>,
    pub growths: Vec<Growth>,
    pub told_epochs: Vec<ToldEpoch>,
    pub epoch_ends: Vec<EpochEnd>,
    pub producer_ids: Vec<ProducerId>,
    pub joined: Vec<Joined>,
    pub assigned: Vec<Assigned>,
    pub offsets_told: Vec<OffsetTold>,
    pub offsets_set: Vec<OffsetSet>,
    pub read_by: Vec<ReadBy>,
    /// Codes that no client should ever see.
    pub absurd: Vec<String>,
    /// By partition, of long-lived topics.
    pub finals: Vec<(TopicPartition, FinalLog)>,
    /// When the broker's machine lost its power: the end of each era but the last.
    pub power_losses: Vec<Instant>,
    /// A bit of the broker's disk was turned, on purpose, before the end.
    pub has_rotted: bool,
    /// Requests that were answered, or failed.
    pub operations_count: u64,
    /// Answers in fetch sessions that told only what has changed.
    pub incremental_count: u64,
}

impl History {
    /// Notes what is about to be sent.
    pub fn begin_send(&mut self, send: Send) -> SendNumber {
        self.sends.push(send);
        SendNumber(self.sends.len() - 1)
    }

    /// Another attempt begins.
    pub fn begin_attempt(&mut self, SendNumber(number): SendNumber, era: Era) {
        self.sends[number].span.era = era;
    }

    /// Notes what has become of it.
    pub fn settle(&mut self, SendNumber(number): SendNumber, outcome: Outcome, now: Instant) {
        let send = &mut self.sends[number];
        assert!(send.span.ended_at == Instant::FAR_FUTURE, "what has become of it stays");
        send.outcome = outcome;
        send.span.ended_at = now;
    }

    /// Notes a topic that will get more partitions.
    pub fn begin_growth(&mut self, growth: Growth) -> GrowthNumber {
        self.growths.push(growth);
        GrowthNumber(self.growths.len() - 1)
    }

    /// What is known of it.
    pub fn growth(&mut self, GrowthNumber(number): GrowthNumber) -> &mut Growth {
        &mut self.growths[number]
    }

    /// Those that nobody wanted to delete, with their names.
    pub fn growths_left(&self) -> Vec<(GrowthNumber, String)> {
        let all = self.growths.iter().enumerate();
        let left = all.filter(|(_, growth)| !growth.is_deleted);
        left.map(|(number, growth)| (GrowthNumber(number), growth.name.clone())).collect()
    }

    /// Offsets that members have committed.
    pub fn committed_count(&self) -> u64 {
        let is_set = |set: &&OffsetSet| matches!(set.outcome, Outcome::Acknowledged { .. });
        self.offsets_set.iter().filter(is_set).count() as u64
    }

    /// How often a group went to the other protocol, as far as its classic members were told.
    pub fn migrations_count(&self) -> u64 {
        let all: std::collections::BTreeSet<(&str, i32, bool)> = self
            .joined
            .iter()
            .map(|it| (it.group.as_str(), it.generation, !it.leader.is_empty()))
            .collect();
        let all: Vec<_> = all.into_iter().collect();
        let is_other =
            |pair: &&[(&str, i32, bool)]| pair[0].0 == pair[1].0 && pair[0].2 != pair[1].2;
        all.windows(2).filter(is_other).count() as u64
    }

    /// Generations of groups that were told of.
    pub fn generations_count(&self) -> u64 {
        let all: std::collections::BTreeSet<(&str, i32)> =
            self.joined.iter().map(|joined| (joined.group.as_str(), joined.generation)).collect();
        all.len() as u64
    }

    /// How often a topic was given more partitions.
    pub fn grown_count(&self) -> u64 {
        let facts = self.growths.iter().flat_map(|growth| &growth.facts);
        let is_given =
            |fact: &&GrowthFact| matches!(fact, GrowthFact::Asked { answer: Some(Ok(())), .. });
        facts.filter(is_given).count() as u64
    }

    /// The topic of a partition, if it lives as long as the run.
    pub fn topic(&self, partition: TopicPartition) -> Option<&LongTopic> {
        self.topics.iter().find(|topic| topic.id == partition.topic)
    }

    /// Whether what was acknowledged survives a loss of power.
    pub fn is_durable(&self, partition: TopicPartition) -> bool {
        self.topic(partition).is_some_and(|topic| topic.is_durable)
    }

    /// The era that the run ended in.
    pub fn last_era(&self) -> Era {
        Era(u32::try_from(self.power_losses.len()).expect("few losses of power"))
    }

    /// Whether what was true of a partition in an era has to be true for the rest of the run.
    pub fn binds(&self, partition: TopicPartition, era: Era) -> bool {
        self.is_durable(partition) || era == self.last_era()
    }

    /// Where everything ends that was acknowledged and cannot be gone.
    pub fn acknowledged_end(&self, partition: TopicPartition) -> Offset {
        let of_partition = self.sends.iter().filter(|send| send.partition == partition);
        let binding = of_partition.filter(|send| self.binds(partition, send.span.era));
        let end = |send: &Send| match send.outcome {
            Outcome::Acknowledged { base_offset } => {
                let count = i64::try_from(send.records.len()).expect("a batch has few records");
                Some(Offset(base_offset.0 + count))
            }
            Outcome::Refused(_) | Outcome::Unknown => None,
        };
        binding.filter_map(end).max().unwrap_or(Offset(0))
    }

    /// What clients did with a partition and saw of it, each with the time at which it ended.
    pub fn facts_of(&self, partition: &str) -> Vec<(Instant, String)> {
        let is_of = |other: &TopicPartition| other.to_string() == partition;
        let mut facts = Vec::new();
        for send in self.sends.iter().filter(|send| is_of(&send.partition)) {
            facts.push((send.span.ended_at, format!("{send:?}")));
        }
        for fetch in self.fetches.iter().filter(|fetch| is_of(&fetch.partition)) {
            facts.push((fetch.span.ended_at, format!("{fetch:?}")));
        }
        for listed in self.listed.iter().filter(|listed| is_of(&listed.partition)) {
            facts.push((listed.span.ended_at, format!("{listed:?}")));
        }
        for told in self.told_epochs.iter().filter(|told| is_of(&told.partition)) {
            facts.push((told.span.ended_at, format!("{told:?}")));
        }
        for end in self.epoch_ends.iter().filter(|end| is_of(&end.partition)) {
            facts.push((end.span.ended_at, format!("{end:?}")));
        }
        for (_, log) in self.finals.iter().filter(|(partition, _)| is_of(partition)) {
            facts.extend(
                log.batches.iter().map(|batch| (Instant::FAR_FUTURE, format!("{batch:?}"))),
            );
        }
        facts
    }
}
