//! Tests that read the sources, and hold what a compiler cannot: which crate may use which, where
//! the outside world may be touched, what threads may share, how long a file may grow.
//!
//! Each module is one rule: what it holds, its exceptions with their reasons, and a canary, which
//! plants a violation and sees it found. `STYLE.md` says why.

#![forbid(unsafe_code)]

#[cfg(test)]
mod sources;

#[cfg(test)]
mod layers;
#[cfg(test)]
mod outside_world;
#[cfg(test)]
mod sharing;
#[cfg(test)]
mod unsafe_code;
#[cfg(test)]
mod module_docs;
#[cfg(test)]
mod length;
#[cfg(test)]
mod leftovers;
#[cfg(test)]
mod protocol;
#[cfg(test)]
mod dependencies;
#[cfg(test)]
mod compatibility;
