//! A client's side of a fetch session (KIP-227), as the Java client keeps it: the first request asks
//! for everything, the next ones say what is different, and the answers tell what has changed.
//!
//! Guarantees: what is left out of an answer is told as it was before. After an error or a lost
//! answer everything is asked for again, and the old session ended.

use std::collections::BTreeMap;

use model::TopicPartition;
use wire::fetch::{FetchableTopicResponse, ForgottenTopic, PartitionData};
use wire::{ErrorCode, FetchRequest, FetchResponse, Text};

use super::reader::{Patience, Wanted, fetch_request};

/// The smallest version of Fetch that knows sessions.
pub(super) const VERSION_MIN: i16 = 7;
const NO_SESSION: i32 = 0;
/// Of a request that asks for everything.
const EPOCH_FIRST: i32 = 0;

#[derive(Clone, Debug)]
struct Known {
    wanted: Wanted,
    /// Without records. None if nothing was told, or an error.
    told: Option<PartitionData>,
}

#[derive(Debug)]
pub(super) struct FetchSession {
    id: i32,
    /// Of the next request.
    epoch: i32,
    /// Topics have to be named in one way for as long as the session lasts.
    version: i16,
    partitions: BTreeMap<TopicPartition, Known>,
    /// The request says another epoch than the next one.
    is_wrong: bool,
}

/// What an answer says of a session.
#[derive(Debug)]
pub(super) enum Heard {
    /// Everything of it is to be looked at.
    Full,
    /// The partitions that it names have changed, and no others.
    Changes,
    /// The session is over, as may happen.
    Over,
    /// The broker does what it must not.
    Absurd(&'static str),
}

impl FetchSession {
    pub(super) fn new() -> FetchSession {
        let partitions = BTreeMap::new();
        FetchSession { id: NO_SESSION, epoch: EPOCH_FIRST, version: 0, partitions, is_wrong: false }
    }

    /// The next request, for these partitions and no others, and its version: the given one if a
    /// session begins. Another request may say a wrong epoch on purpose.
    pub(super) fn request(
        &mut self,
        wanted: &[Wanted],
        patience: Patience,
        version: i16,
        is_wrong: bool,
    ) -> (FetchRequest, i16) {
        if self.epoch == EPOCH_FIRST {
            self.version = version;
            self.partitions.clear();
        }
        let is_news = |want: &&Wanted| {
            self.partitions.get(&want.partition).is_none_or(|known| known.wanted != **want)
        };
        let news: Vec<Wanted> = wanted.iter().filter(is_news).cloned().collect();
        let forgotten = self.forget_others(wanted);
        for want in &news {
            let told = self.told(want.partition).cloned();
            self.partitions.insert(want.partition, Known { wanted: want.clone(), told });
        }
        self.is_wrong = is_wrong && self.epoch != EPOCH_FIRST;
        let request = FetchRequest {
            session_id: self.id,
            session_epoch: self.epoch + i32::from(self.is_wrong),
            forgotten_topics_data: forgotten,
            ..fetch_request(&news, patience)
        };
        (request, self.version)
    }

    fn forget_others(&mut self, wanted: &[Wanted]) -> Vec<ForgottenTopic> {
        let is_wanted =
            |partition: &TopicPartition| wanted.iter().any(|want| want.partition == *partition);
        let (kept, forgotten) = std::mem::take(&mut self.partitions)
            .into_iter()
            .partition(|(partition, _)| is_wanted(partition));
        self.partitions = kept;
        let forgotten: BTreeMap<TopicPartition, Known> = forgotten;
        let topic = |(partition, known): (TopicPartition, Known)| ForgottenTopic {
            topic: Text::from(known.wanted.topic),
            topic_id: partition.topic,
            partitions: vec![partition.partition],
        };
        forgotten.into_iter().map(topic).collect()
    }

    /// Takes up an answer to the last request.
    pub(super) fn hear(&mut self, response: &FetchResponse) -> Heard {
        let was_first = self.epoch == EPOCH_FIRST;
        match response.error_code {
            ErrorCode::None if self.is_wrong => {
                self.end();
                return Heard::Absurd("a wrong epoch of a fetch session");
            }
            ErrorCode::None => {}
            ErrorCode::FetchSessionIdNotFound if !was_first => {
                self.forget_id();
                return Heard::Over;
            }
            ErrorCode::InvalidFetchSessionEpoch if self.is_wrong => {
                self.end();
                return Heard::Over;
            }
            _ => {
                self.end();
                return Heard::Absurd("a fetch session");
            }
        }
        if !was_first && response.session_id != self.id {
            self.end();
            return Heard::Absurd("a fetch session with another id");
        }
        self.id = response.session_id;
        // Without room for a session everything is asked for the next time as well.
        self.epoch = match self.id {
            NO_SESSION => EPOCH_FIRST,
            _ => self.epoch + 1,
        };
        if was_first { Heard::Full } else { Heard::Changes }
    }

    /// The partition of the session that a part of an answer is about.
    pub(super) fn place(
        &self,
        topic: &FetchableTopicResponse,
        data: &PartitionData,
    ) -> Option<TopicPartition> {
        let is_it = |(partition, known): &(&TopicPartition, &Known)| {
            let is_topic = *topic.topic == *known.wanted.topic || topic.topic_id == partition.topic;
            is_topic && partition.partition == data.partition_index
        };
        self.partitions.iter().find(is_it).map(|(partition, _)| *partition)
    }

    /// Notes what was told of a partition.
    pub(super) fn note(&mut self, partition: TopicPartition, data: &PartitionData) {
        let told = PartitionData { records: None, ..data.clone() };
        let known = self.partitions.get_mut(&partition).expect("it was asked for");
        known.told = (!data.error_code.is_error()).then_some(told);
    }

    /// What was told of a partition last, which is so still if an answer leaves it out.
    pub(super) fn told(&self, partition: TopicPartition) -> Option<&PartitionData> {
        self.partitions.get(&partition).and_then(|known| known.told.as_ref())
    }

    /// The next request ends the session and begins another one.
    pub(super) fn end(&mut self) {
        self.epoch = EPOCH_FIRST;
    }

    fn forget_id(&mut self) {
        self.id = NO_SESSION;
        self.end();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clients::reader::partition_of;
    use model::{Offset, TopicId};

    fn wanted(index: i32, position: i64) -> Wanted {
        Wanted {
            topic: "some".to_owned(),
            partition: partition_of(TopicId::from_bytes([1; 16]), index),
            position: Offset(position),
            size_bytes_max: 100,
        }
    }

    /// Which session and epoch the next request says, what it asks for, and what it forgets.
    fn next(session: &mut FetchSession, wanted: &[Wanted]) -> (i32, i32, Vec<i64>, Vec<i32>) {
        let (request, version) = session.request(wanted, Patience::NONE, 13, false);
        assert_eq!(version, 13);
        let asked = request.topics.iter().flat_map(|topic| &topic.partitions);
        let forgotten = request.forgotten_topics_data.iter().flat_map(|topic| &topic.partitions);
        (
            request.session_id,
            request.session_epoch,
            asked.map(|asked| asked.fetch_offset.0).collect(),
            forgotten.map(|index| index.0).collect(),
        )
    }

    fn answer(session_id: i32, error_code: ErrorCode) -> FetchResponse {
        FetchResponse { session_id, error_code, ..Default::default() }
    }

    #[test]
    fn a_request_says_what_is_different_from_the_one_before() {
        let mut session = FetchSession::new();
        let both = [wanted(0, 10), wanted(1, 20)];
        assert_eq!(next(&mut session, &both), (0, 0, vec![10, 20], vec![]));
        assert!(matches!(session.hear(&answer(7, ErrorCode::None)), Heard::Full));
        assert_eq!(next(&mut session, &[wanted(0, 10), wanted(1, 21)]), (7, 1, vec![21], vec![]));
        assert!(matches!(session.hear(&answer(7, ErrorCode::None)), Heard::Changes));
        assert_eq!(next(&mut session, &[wanted(1, 21)]), (7, 2, vec![], vec![0]));
        assert!(matches!(session.hear(&answer(7, ErrorCode::None)), Heard::Changes));
        assert_eq!(next(&mut session, &both), (7, 3, vec![10, 20], vec![]));
    }

    #[test]
    fn after_an_error_or_a_lost_answer_everything_is_asked_for_again() {
        let all = [wanted(0, 10)];
        let mut session = FetchSession::new();
        next(&mut session, &all);
        session.hear(&answer(7, ErrorCode::None));
        session.end();
        assert_eq!(next(&mut session, &all), (7, 0, vec![10], vec![]));
        session.hear(&answer(8, ErrorCode::None));
        next(&mut session, &all);
        let heard = session.hear(&answer(0, ErrorCode::FetchSessionIdNotFound));
        assert!(matches!(heard, Heard::Over));
        assert_eq!(next(&mut session, &all), (0, 0, vec![10], vec![]));
        // There is no room for a session.
        session.hear(&answer(0, ErrorCode::None));
        assert_eq!(next(&mut session, &all), (0, 0, vec![10], vec![]));
        session.hear(&answer(9, ErrorCode::None));
        next(&mut session, &all);
        let heard = session.hear(&answer(9, ErrorCode::InvalidFetchSessionEpoch));
        assert!(matches!(heard, Heard::Absurd(_)), "the epoch was right");
        session.hear(&answer(10, ErrorCode::None));
        let (request, _) = session.request(&all, Patience::NONE, 13, true);
        assert_ne!(request.session_epoch, 1);
        let heard = session.hear(&answer(10, ErrorCode::InvalidFetchSessionEpoch));
        assert!(matches!(heard, Heard::Over));
    }

    #[test]
    fn what_was_told_is_known_until_an_error_or_until_it_is_forgotten() {
        let mut session = FetchSession::new();
        let (first, second) = (wanted(0, 10), wanted(1, 20));
        next(&mut session, &[first.clone(), second.clone()]);
        session.hear(&answer(7, ErrorCode::None));
        let told = PartitionData { high_watermark: Offset(12), ..Default::default() };
        session.note(first.partition, &told);
        session.note(second.partition, &told);
        next(&mut session, &[wanted(0, 12), second.clone()]);
        session.hear(&answer(7, ErrorCode::None));
        assert_eq!(session.told(first.partition), Some(&told));
        let failed = PartitionData { error_code: ErrorCode::KafkaStorageError, ..told };
        session.note(first.partition, &failed);
        assert_eq!(session.told(first.partition), None);
        next(&mut session, &[first]);
        assert_eq!(session.told(second.partition), None);
    }
}
