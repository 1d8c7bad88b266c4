//! Produce requests put together and answers taken apart.

use bytes::Bytes;
use model::TopicId;
use wire::produce::{PartitionProduceData, TopicProduceData};
use wire::{ErrorCode, ProduceRequest, ProduceResponse};

use super::Worker;

/// A broker's own limit for waiting for followers.
const PRODUCE_TIMEOUT_MS: i32 = 30_000;

/// One request with these batches, gathered by topic.
pub(super) fn produce_request(
    worker: &Worker,
    batches: impl Iterator<Item = (u32, Bytes)>,
) -> ProduceRequest {
    let mut topic_data: Vec<TopicProduceData> = Vec::new();
    for (partition, records) in batches {
        let (topic, index) = worker.partitions.place(partition);
        let data = PartitionProduceData { index, records: Some(records) };
        match topic_data.iter_mut().find(|known| known.name == topic.name) {
            Some(known) => known.partition_data.push(data),
            None => topic_data
                .push(TopicProduceData { name: topic.name.clone(), partition_data: vec![data] }),
        }
    }
    let acks = worker.settings.acks.code();
    ProduceRequest { transactional_id: None, acks, timeout_ms: PRODUCE_TIMEOUT_MS, topic_data }
}

/// The partitions that an answer speaks of, and what it says.
pub(super) fn codes(worker: &Worker, response: &ProduceResponse) -> Vec<(u32, ErrorCode)> {
    let topics = response.responses.iter();
    let answers =
        topics.flat_map(|topic| topic.partition_responses.iter().map(move |it| (topic, it)));
    let named = answers.filter_map(|(topic, it)| {
        let number = worker.partitions.number(&topic.name, TopicId::ZERO, it.index)?;
        Some((number, it.error_code))
    });
    named.collect()
}

/// An iterator whose length is known although its parts do not say so.
#[derive(Clone)]
pub(super) struct Exact<I>(pub(super) I, pub(super) usize);

impl<I: Iterator> Iterator for Exact<I> {
    type Item = I::Item;

    fn next(&mut self) -> Option<I::Item> {
        self.1 = self.1.checked_sub(1)?;
        self.0.next()
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.1, Some(self.1))
    }
}

impl<I: Iterator> ExactSizeIterator for Exact<I> {}
