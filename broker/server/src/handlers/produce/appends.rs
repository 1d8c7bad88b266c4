//! A request's batches on their way to the owners of their partitions.
//!
//! Guarantees: an owner gets the batches in the order in which they were added; what was taken for
//! a batch is given back when its owner has answered, whenever the answer can be sent. Does not
//! know: what is in a batch.

use std::collections::BTreeMap;

use model::{Timestamp, TopicPartition};
use replication::Batch;
use runtime::sync::budget::Share;
use runtime::{CallFuture, CoreId, Dropped, JoinHandle};
use wire::ErrorCode;

use crate::call::{AckWait, AppendCall, AppendOutcome, CoreAnswer, CoreRequest};
use crate::core::Core;
use crate::failure::Failure;

/// What becomes of one partition's batch.
pub(super) struct Part {
    pub(super) topic: usize,
    pub(super) index: usize,
    pub(super) log_append_time: Option<Timestamp>,
}

/// For one owner.
#[derive(Default)]
struct Gathered {
    parts: Vec<Part>,
    batches: Vec<(TopicPartition, Batch)>,
    memory: Vec<Share>,
}

pub(super) struct Appends {
    wait: AckWait,
    gathered: BTreeMap<CoreId, Gathered>,
    handed_over: Vec<HandedOver>,
    /// Batches by owner.
    counts: BTreeMap<CoreId, usize>,
}

/// Batches that their owner has.
pub(super) struct HandedOver {
    parts: Vec<Part>,
    call: Call,
}

enum Call {
    Plain(CallFuture<CoreAnswer>),
    /// Waited for by a task that has the batches' memory.
    WithMemory(JoinHandle<Result<CoreAnswer, Dropped>>),
}

impl Appends {
    pub(super) fn new(wait: AckWait) -> Appends {
        Appends {
            wait,
            gathered: BTreeMap::new(),
            handed_over: Vec::new(),
            counts: BTreeMap::new(),
        }
    }

    pub(super) fn add(
        &mut self,
        owner: CoreId,
        part: Part,
        batch: (TopicPartition, Batch),
        memory: Option<Share>,
    ) {
        let gathered = self.gathered.entry(owner).or_default();
        gathered.parts.push(part);
        gathered.batches.push(batch);
        gathered.memory.extend(memory);
        *self.counts.entry(owner).or_default() += 1;
    }

    /// How many batches each owner gets.
    pub(super) fn counts(&self) -> impl ExactSizeIterator<Item = (CoreId, usize)> {
        self.counts.iter().map(|(owner, count)| (*owner, *count))
    }

    /// A part of the core's memory for batches that are compressed anew. Who waits for it holds none
    /// of it: what has been gathered goes to its owners first, who give it back.
    pub(super) async fn memory(&mut self, core: &Core, batch_bytes_max: usize) -> Share {
        match core.recompressed_bytes.try_take(batch_bytes_max) {
            Some(share) => share,
            None => {
                self.hand_over(core);
                core.recompressed_bytes.take(batch_bytes_max).await
            }
        }
    }

    fn hand_over(&mut self, core: &Core) {
        for (owner, Gathered { parts, batches, memory }) in std::mem::take(&mut self.gathered) {
            let call = AppendCall { batches, wait: self.wait };
            let call = core.mesh().call(owner, CoreRequest::Append(call));
            let call = match memory.is_empty() {
                true => Call::Plain(call),
                false => Call::WithMemory(runtime::spawn(async move {
                    let answer = call.await;
                    drop(memory);
                    answer
                })),
            };
            self.handed_over.push(HandedOver { parts, call });
        }
    }

    /// Hands everything over.
    pub(super) fn finish(mut self, core: &Core) -> Vec<HandedOver> {
        self.hand_over(core);
        self.handed_over
    }
}

impl HandedOver {
    /// What has become of each batch.
    pub(super) async fn outcomes(
        self,
    ) -> impl Iterator<Item = (Part, Result<AppendOutcome, Failure>)> {
        let HandedOver { parts, call } = self;
        let answer = match call {
            Call::Plain(call) => call.await,
            Call::WithMemory(task) => task.await,
        };
        let outcomes = match answer {
            Ok(CoreAnswer::Appended(outcomes)) => outcomes,
            Ok(other) => unreachable!("not an answer to this: {other:?}"),
            Err(Dropped) => parts.iter().map(|_| Err(stopping())).collect(),
        };
        assert_eq!(parts.len(), outcomes.len(), "an outcome for every batch");
        parts.into_iter().zip(outcomes)
    }
}

fn stopping() -> Failure {
    Failure::new(ErrorCode::NotLeaderOrFollower, "the broker is stopping")
}
