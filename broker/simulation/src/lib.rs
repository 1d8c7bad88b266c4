//! A whole broker under clients and faults, on simulated machines, from one number.
//!
//! ```text
//!   Plan ◄── seed            what this run is like: cores, topics, clients, which faults
//!     │
//!   run ──► Simulation       machine 0 has the broker, the others have clients
//!     │        ▲
//!     │     nemesis          kills, also of clients, losses of power, cuts, errors of the disk, rot
//!     ▼
//!   History ──► invariants   what clients did and saw; each invariant is one file
//! ```
//!
//! A run has faults for at least half a virtual minute. Then they end, and everything that was
//! begun has to be finished in good time; a fresh client reads everything, and the invariants are
//! checked. The same seed gives the same run.
//!
//! Does not know: anything of the broker's inside. It starts and ends it, and talks to it as clients
//! do.

#![forbid(unsafe_code)]

mod payload;
mod history;
mod plan;
mod clients;
mod broker;
mod client_machine;
mod nemesis;
mod run;
mod invariants;

pub use history::History;
pub use invariants::{Invariant, Violation, all as all_invariants};
pub use plan::{Plan, Profile};
pub use run::{Counts, Options, Report, run};
