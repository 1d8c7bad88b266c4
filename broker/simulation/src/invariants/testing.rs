//! Small histories, written like stories, to show what each invariant finds and what it does not.

use expect_test::Expect;
use model::{LeaderEpoch, Offset, PartitionIndex, ProducerEpoch, ProducerId, Timestamp};
use model::{TopicId, TopicPartition};
use runtime::Instant;
use wire::ErrorCode;

use crate::history::{
    Assigned, EpochEnd, Era, Fetched, FinalLog, Forbidden, Growth, GrowthFact, History, Joined,
    Listed, LongTopic, Misunderstood, OffsetSet, OffsetTold, Outcome, Place, ReadBy, Remade,
    Repeat, SeenBatch, SeenRecord, Send, SentRecord, Sequence, Span, ToldEpoch,
};
use crate::payload::RecordId;

/// A history in the making. One thing happens after the other, a second each. There is one
/// durable topic and one relaxed; the record with number n has time n.
#[derive(Clone)]
pub(super) struct Story {
    pub(super) history: History,
    seconds: u64,
}

/// Snapshots whether the invariant holds.
#[track_caller]
pub(super) fn check(
    invariant: fn(&History) -> Result<(), String>,
    story: &Story,
    expected: Expect,
) {
    expected.assert_eq(if invariant(&story.history).is_ok() { "ok" } else { "broken" });
}

impl Story {
    pub(super) fn new() -> Story {
        let topic = |name: &str, is_durable| LongTopic {
            name: name.to_owned(),
            id: partition(name).topic,
            partitions_count: 1,
            is_durable,
            has_broker_time: false,
        };
        let topics = vec![topic("durable", true), topic("relaxed", false)];
        Story { history: History { topics, ..History::default() }, seconds: 0 }
    }

    fn span(&mut self) -> Span {
        self.seconds += 1;
        Span {
            started_at: Instant::from_nanos(self.seconds * 1_000_000_000),
            ended_at: Instant::from_nanos(self.seconds * 1_000_000_000 + 500_000_000),
            era: self.history.last_era(),
        }
    }

    fn send(
        mut self,
        topic: &str,
        ids: &[u64],
        sequence: Option<Sequence>,
        outcome: Outcome,
    ) -> Story {
        let span = self.span();
        self.history.sends.push(Send {
            session: 1,
            partition: partition(topic),
            records: sent(ids),
            sequence,
            outcome,
            span,
        });
        self
    }

    pub(super) fn ack(self, topic: &str, offset: i64, ids: &[u64]) -> Story {
        self.send(topic, ids, None, Outcome::Acknowledged { base_offset: Offset(offset) })
    }

    pub(super) fn numbered(self, topic: &str, first: i32, offset: i64, ids: &[u64]) -> Story {
        let outcome = Outcome::Acknowledged { base_offset: Offset(offset) };
        self.send(topic, ids, Some(sequence(first)), outcome)
    }

    pub(super) fn unknown(self, topic: &str, ids: &[u64]) -> Story {
        self.send(topic, ids, None, Outcome::Unknown)
    }

    /// Nobody has heard of it until the run ended.
    pub(super) fn under_way(self, topic: &str, ids: &[u64]) -> Story {
        let mut story = self.unknown(topic, ids);
        story.history.sends.last_mut().unwrap().span.ended_at = Instant::FAR_FUTURE;
        story
    }

    pub(super) fn refused(self, topic: &str, ids: &[u64]) -> Story {
        self.send(topic, ids, None, Outcome::Refused(ErrorCode::CorruptMessage))
    }

    /// One batch for each record.
    pub(super) fn fetch(mut self, topic: &str, position: i64, ids: &[u64]) -> Story {
        let end = Offset(position + i64::try_from(ids.len()).unwrap());
        let span = self.span();
        self.history.fetches.push(Fetched {
            walk: 1,
            connection: 1,
            partition: partition(topic),
            position: Offset(position),
            high_watermark: end,
            last_stable: end,
            log_start: Offset(0),
            batches: batches(position, ids),
            is_damaged: false,
            span,
        });
        self
    }

    /// Of batches of this leader epoch.
    pub(super) fn fetch_of(self, topic: &str, position: i64, epoch: i32, ids: &[u64]) -> Story {
        let mut story = self.fetch(topic, position, ids);
        for batch in &mut story.history.fetches.last_mut().unwrap().batches {
            batch.leader_epoch = LeaderEpoch(epoch);
        }
        story
    }

    pub(super) fn end(mut self, topic: &str, ids: &[u64]) -> Story {
        let append = Some(ErrorCode::None);
        let log = FinalLog { batches: batches(0, ids), append, ..FinalLog::default() };
        self.history.finals.push((partition(topic), log));
        self
    }

    pub(super) fn refused_end(self, topic: &str, ids: &[u64]) -> Story {
        let mut story = self.end(topic, ids);
        let (_, log) = story.history.finals.last_mut().unwrap();
        log.append = Some(ErrorCode::KafkaStorageError);
        story
    }

    pub(super) fn power_loss(mut self) -> Story {
        let at = self.span().started_at;
        self.history.power_losses.push(at);
        self
    }

    pub(super) fn rot(mut self) -> Story {
        self.history.has_rotted = true;
        self
    }

    fn list(mut self, topic: &str, place: Place, offset: i64, time: i64) -> Story {
        let span = self.span();
        let (offset, timestamp) = (Offset(offset), Timestamp(time));
        let listed = Listed { partition: partition(topic), place, offset, timestamp, span };
        self.history.listed.push(listed);
        self
    }

    pub(super) fn list_end(self, topic: &str, offset: i64) -> Story {
        self.list(topic, Place::End, offset, -1)
    }

    pub(super) fn list_time(self, topic: &str, time: i64, offset: i64, found: i64) -> Story {
        self.list(topic, Place::Time(Timestamp(time)), offset, found)
    }

    pub(super) fn told(mut self, topic: &str, epoch: i32) -> Story {
        let (partition, span) = (partition(topic), self.span());
        let epoch = LeaderEpoch(epoch);
        self.history.told_epochs.push(ToldEpoch { partition, epoch, span });
        self
    }

    pub(super) fn epoch_end(mut self, topic: &str, asked: i32, epoch: i32, end: i64) -> Story {
        let (partition, span) = (partition(topic), self.span());
        let (asked, epoch, end) = (LeaderEpoch(asked), LeaderEpoch(epoch), Offset(end));
        self.history.epoch_ends.push(EpochEnd { partition, asked, epoch, end, span });
        self
    }

    pub(super) fn repeat(mut self, first: i64, answer: Result<Offset, ErrorCode>) -> Story {
        let partition = partition("durable");
        let (sequence, first_answer) = (sequence(0), Offset(first));
        self.history.repeats.push(Repeat { partition, sequence, first_answer, answer });
        self
    }

    pub(super) fn forbidden(mut self, ids: &[u64], answer: Result<Offset, ErrorCode>) -> Story {
        self.history.forbidden.push(Forbidden {
            partition: partition("durable"),
            records: sent(ids),
            sequence: sequence(7),
            expected: ErrorCode::InvalidProducerEpoch,
            answer,
        });
        self
    }

    pub(super) fn misunderstood(mut self, topic: &str, eras: u32) -> Story {
        self.history.misunderstood.push(Misunderstood {
            partition: partition(topic),
            sequence: sequence(7),
            code: ErrorCode::OutOfOrderSequenceNumber,
            session_era: Era(0),
            era: Era(eras),
        });
        self
    }

    pub(super) fn joined(self, member: &str, generation: i32) -> Story {
        self.joined_with(None, member, generation)
    }

    pub(super) fn joined_as(self, instance: &str, member: &str, generation: i32) -> Story {
        self.joined_with(Some(instance), member, generation)
    }

    /// The last who joined was told so.
    pub(super) fn led_by(mut self, leader: &str, protocol: &str) -> Story {
        let joined = self.history.joined.last_mut().expect("somebody has joined");
        (joined.leader, joined.protocol) = (leader.to_owned(), protocol.to_owned());
        self
    }

    fn joined_with(mut self, instance: Option<&str>, member: &str, generation: i32) -> Story {
        let (group, member) = ("g".to_owned(), member.to_owned());
        let (instance, span) = (instance.map(str::to_owned), self.span());
        let (leader, protocol) = ("a".to_owned(), "p".to_owned());
        self.history.joined.push(Joined {
            group,
            generation,
            member,
            instance,
            leader,
            protocol,
            span,
        });
        self
    }

    /// The only partition of the durable topic.
    pub(super) fn assigned(mut self, member: &str, generation: i32) -> Story {
        let span = self.span();
        self.history.assigned.push(Assigned {
            group: "g".to_owned(),
            generation,
            member: member.to_owned(),
            instance: None,
            partitions: vec![partition("durable")],
            span,
        });
        self
    }

    fn set_with(
        mut self,
        instance: Option<&str>,
        member: &str,
        offset: i64,
        (outcome, is_stale): (Outcome, bool),
    ) -> Story {
        let span = self.span();
        self.history.offsets_set.push(OffsetSet {
            group: "g".to_owned(),
            member: member.to_owned(),
            instance: instance.map(str::to_owned),
            partition: partition("durable"),
            offset: Offset(offset),
            is_stale,
            outcome,
            span,
        });
        self
    }

    pub(super) fn set(self, member: &str, offset: i64) -> Story {
        self.set_with(None, member, offset, (acknowledged(offset), false))
    }

    pub(super) fn set_as(self, instance: &str, member: &str, offset: i64) -> Story {
        self.set_with(Some(instance), member, offset, (acknowledged(offset), false))
    }

    pub(super) fn lost_set(self, member: &str, offset: i64) -> Story {
        self.set_with(None, member, offset, (Outcome::Unknown, false))
    }

    pub(super) fn stale_set(self, member: &str, offset: i64) -> Story {
        self.set_with(None, member, offset, (acknowledged(offset), true))
    }

    pub(super) fn told_offset(mut self, offset: Option<i64>) -> Story {
        let (partition, offset, span) = (partition("durable"), offset.map(Offset), self.span());
        let group = "g".to_owned();
        self.history.offsets_told.push(OffsetTold { group, partition, offset, span });
        self
    }

    pub(super) fn read_by(mut self, from: i64, end: i64) -> Story {
        let (partition, span) = (partition("durable"), self.span());
        let (group, from, end) = ("g".to_owned(), Offset(from), Offset(end));
        self.history.read_by.push(ReadBy { group, partition, from, end, span });
        self
    }

    pub(super) fn growth(mut self, made_count: i32, facts: &[GrowthFact]) -> Story {
        let (name, facts) = ("growing".to_owned(), facts.to_vec());
        self.history.growths.push(Growth { name, made_count, facts, is_deleted: false });
        self
    }

    pub(super) fn remade(mut self, old: u8, records: &[u64], new: u8, seen: &[u64]) -> Story {
        self.history.remade.push(Remade {
            name: "passing".to_owned(),
            old: TopicId::from_bytes([old; 16]),
            old_records: records.iter().copied().map(RecordId).collect(),
            new: TopicId::from_bytes([new; 16]),
            seen: batches(0, seen),
        });
        self
    }
}

fn acknowledged(offset: i64) -> Outcome {
    Outcome::Acknowledged { base_offset: Offset(offset) }
}

fn partition(topic: &str) -> TopicPartition {
    let number = u8::try_from(topic.len()).unwrap() + topic.as_bytes()[0];
    TopicPartition { topic: TopicId::from_bytes([number; 16]), partition: PartitionIndex(0) }
}

fn sequence(first: i32) -> Sequence {
    Sequence { producer: ProducerId(1), epoch: ProducerEpoch(0), first }
}

fn sent(ids: &[u64]) -> Vec<SentRecord> {
    let record = |id: &u64| SentRecord { id: RecordId(*id), timestamp: time_of(*id) };
    ids.iter().map(record).collect()
}

fn batches(base: i64, ids: &[u64]) -> Vec<SeenBatch> {
    let batch = |(offset, id): (i64, &u64)| {
        let offset = Offset(offset);
        let record = SeenRecord { offset, id: Some(RecordId(*id)), timestamp: time_of(*id) };
        SeenBatch { base_offset: offset, leader_epoch: LeaderEpoch(1), records: vec![record] }
    };
    (base..).zip(ids).map(batch).collect()
}

fn time_of(id: u64) -> Timestamp {
    Timestamp(i64::try_from(id).unwrap())
}
