//! Brokers under load, and reports that somebody else can check.
//!
//! ```text
//!  scenario or demo ─► broker (a process of its own, pinned) ◄── loadgen (in this process, pinned)
//!                        │ /proc, /proc/diskstats                  │ books, histograms
//!                        ▼                                         ▼
//!                      samples ───────────► report ◄───────── outcome
//!                                             │
//!                         report.md, report.html, *.hlog, JSON in results/
//! ```
//!
//! Guarantees: every broker that was started is stopped, whatever happens; a report names every
//! setting, the number of samples behind every percentile, and the cells that were lost.
//! Does not know: what is inside a broker. It sees processes, ports and files.

#![forbid(unsafe_code)]

pub mod units;
pub mod child;
pub mod process;
pub mod placement;
pub mod sample;
pub mod broker;
pub mod host;
pub mod results;
pub mod statistics;

pub mod plot;
pub mod report;
pub mod demo;
pub mod scenario;
pub mod matrix;
pub mod agreement;
pub mod index;

#[cfg(test)]
mod testing;
