//! Bugs that a simulation plants, to see that its invariants find them.
//!
//! The code above asks [`has_bug`] at the place where the bug would be. Only a simulated machine
//! can have one, and only a build with debug assertions: elsewhere the question is a constant.

#[cfg(debug_assertions)]
use crate::core::Core;
#[cfg(debug_assertions)]
use crate::driver::Driver;

/// A bug as people have made it, here or elsewhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum PlantedBug {
    /// A commit of the journal is reported as soon as it is submitted.
    AcknowledgeBeforeFlush,
    /// The journal's durable stream is written as if it were relaxed.
    SkipFlush,
    /// The memory of a commit is filled again while it is still being written.
    ReuseBuffer,
    /// What producers have appended and what is not committed yet is not looked at.
    ForgetStagedProducers,
    /// A commit that cannot be right ends the journal, whatever comes after it.
    TruncateOnAnyBadCommit,
    /// A checkpoint carries the logs' restart points, but not what is only in the journal.
    LoseCarriedTail,
    /// Readers get what is appended, committed or not.
    ServeBeyondHighWatermark,
    /// A batch that was sent again is appended again.
    AppendDuplicates,
    /// Groups answer as soon as what they say is appended.
    AnswerGroupsBeforeFlush,
}

impl PlantedBug {
    /// All of them.
    pub const ALL: [PlantedBug; 9] = [
        PlantedBug::AcknowledgeBeforeFlush,
        PlantedBug::SkipFlush,
        PlantedBug::ReuseBuffer,
        PlantedBug::ForgetStagedProducers,
        PlantedBug::TruncateOnAnyBadCommit,
        PlantedBug::LoseCarriedTail,
        PlantedBug::ServeBeyondHighWatermark,
        PlantedBug::AppendDuplicates,
        PlantedBug::AnswerGroupsBeforeFlush,
    ];

    /// As it is written on the command line.
    pub const fn name(self) -> &'static str {
        match self {
            PlantedBug::AcknowledgeBeforeFlush => "acknowledge-before-flush",
            PlantedBug::SkipFlush => "skip-flush",
            PlantedBug::ReuseBuffer => "reuse-buffer",
            PlantedBug::ForgetStagedProducers => "forget-staged-producers",
            PlantedBug::TruncateOnAnyBadCommit => "truncate-on-any-bad-commit",
            PlantedBug::LoseCarriedTail => "lose-carried-tail",
            PlantedBug::ServeBeyondHighWatermark => "serve-beyond-high-watermark",
            PlantedBug::AppendDuplicates => "append-duplicates",
            PlantedBug::AnswerGroupsBeforeFlush => "answer-groups-before-flush",
        }
    }
}

/// Whether this core's machine was given the bug.
#[cfg(debug_assertions)]
pub fn has_bug(bug: PlantedBug) -> bool {
    Core::try_current().is_some_and(|core| {
        core.with_driver(|driver| match driver {
            Driver::Uring(_) => false,
            Driver::Sim(driver) => driver.has_bug(bug),
        })
    })
}

/// Whether this core's machine was given the bug: never in this build.
#[cfg(not(debug_assertions))]
#[inline(always)]
pub const fn has_bug(_: PlantedBug) -> bool {
    false
}
