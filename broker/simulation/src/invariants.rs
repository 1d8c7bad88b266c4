//! What has to be true of every run, one file each, judged from what clients did and saw.
//!
//! The letters in brackets group them: P is about a partition, I about idempotence, M about topics, G
//! about groups.

mod view;
mod no_loss;
mod agreement;
mod no_phantom;
mod no_vanishing;
mod dense;
mod order;
mod walk;
mod visibility;
mod read_your_ack;
mod epochs;
mod epoch_ends;
mod times;
mod no_duplicates;
mod repeats;
mod forbidden;
mod understood;
mod producer_ids;
mod topics;
mod partitions;
mod answers;
mod told;
mod generations;
mod committed;
mod read_by_group;

#[cfg(test)]
mod testing;

use crate::history::History;

/// A rule and how to check it.
#[derive(Clone, Copy, Debug)]
pub struct Invariant {
    pub name: &'static str,
    check: fn(&History) -> Result<(), String>,
}

/// A rule that a run has broken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    pub invariant: &'static str,
    pub detail: String,
}

impl std::fmt::Display for Violation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "invariant {}: {}", self.invariant, self.detail)
    }
}

const ALL: &[Invariant] = &[
    Invariant { name: "no-loss", check: no_loss::check },
    Invariant { name: "agreement", check: agreement::check },
    Invariant { name: "no-phantom", check: no_phantom::check },
    Invariant { name: "no-vanishing", check: no_vanishing::check },
    Invariant { name: "dense", check: dense::check },
    Invariant { name: "order", check: order::check },
    Invariant { name: "walk", check: walk::check },
    Invariant { name: "visibility", check: visibility::check },
    Invariant { name: "read-your-ack", check: read_your_ack::check },
    Invariant { name: "epochs", check: epochs::check },
    Invariant { name: "epoch-ends", check: epoch_ends::check },
    Invariant { name: "times", check: times::check },
    Invariant { name: "no-duplicates", check: no_duplicates::check },
    Invariant { name: "repeats", check: repeats::check },
    Invariant { name: "forbidden", check: forbidden::check },
    Invariant { name: "understood", check: understood::check },
    Invariant { name: "producer-ids", check: producer_ids::check },
    Invariant { name: "topics", check: topics::check },
    Invariant { name: "partitions", check: partitions::check },
    Invariant { name: "answers", check: answers::check },
    Invariant { name: "told", check: told::check },
    Invariant { name: "generations", check: generations::check },
    Invariant { name: "committed", check: committed::check },
    Invariant { name: "read-by-group", check: read_by_group::check },
];

/// All that are judged from the history, in the order in which they are checked. Besides them a run
/// checks `liveness` and `start` while it goes on.
pub fn all() -> &'static [Invariant] {
    ALL
}

/// What of it the run has broken.
pub(crate) fn check_all(history: &History) -> Vec<Violation> {
    let broken = ALL.iter().filter_map(|invariant| {
        let detail = (invariant.check)(history).err()?;
        Some(Violation { invariant: invariant.name, detail })
    });
    broken.collect()
}
