//! Every decoder of what comes from outside, as a function of any bytes at all.
//!
//! Guarantees: an input that panics, or for which more is allocated than the target allows,
//! or which reads back as something else after it was written
//! again, ends the process. The same functions are run by libFuzzer (`libfuzzer/`, `run`) and by the
//! tests of this crate. Does not know: how inputs are made up, but for [`seeds`].

mod allocation;
mod targets;
pub mod seeds;

/// Bytes that may be allocated for each byte of an input, decoding and checking it, by any target
/// that does not say otherwise.
pub const ALLOCATED_PER_BYTE_MAX: usize = 64;

/// A decoder.
#[derive(Clone, Copy, Debug)]
pub struct Target {
    /// Also of its directory in `corpus/`.
    pub name: &'static str,
    /// What an execution may allocate besides: windows, buffers of a fixed size, messages.
    pub floor_bytes: usize,
    /// And for each byte of the input.
    pub per_byte_max: usize,
    decode: fn(&[u8]),
}

const KIB: usize = 1 << 10;

const fn target(name: &'static str, floor_bytes: usize, decode: fn(&[u8])) -> Target {
    Target { name, floor_bytes, per_byte_max: ALLOCATED_PER_BYTE_MAX, decode }
}

/// All of them.
pub const TARGETS: &[Target] = &[
    target("request", 4 * KIB, targets::wire::request),
    target("response", 4 * KIB, targets::wire::response),
    target("batch", 512 * KIB, targets::batch::batch),
    target("gzip", 1024 * KIB, targets::codec::gzip),
    target("snappy", 512 * KIB, targets::codec::snappy),
    target("xerial", 512 * KIB, targets::codec::xerial),
    target("lz4", 1024 * KIB, targets::codec::lz4),
    target("zstd", 512 * KIB, targets::codec::zstd),
    target("frames", 64 * KIB, targets::storage::frames),
    target("journal", 64 * KIB, targets::storage::journal),
    target("commit-header", 4 * KIB, targets::storage::commit_header),
    target("superblock", 4 * KIB, targets::storage::superblock),
    target("entries", 4 * KIB, targets::storage::entries),
    target("index", 4 * KIB, targets::storage::index),
    target("applied", 4 * KIB, targets::replication::applied),
    target("producers", 4 * KIB, targets::replication::producers),
    target("membership", 4 * KIB, targets::replication::membership),
    target("cluster", 16 * KIB, targets::cluster::records),
    // Each group is looked at as a whole when somebody joins it.
    Target { per_byte_max: 512, ..target("groups", 64 * KIB, targets::groups::records) },
    target("topic-configs", 32 * KIB, targets::cluster::topic_configs),
    // The parser of TOML, which reads what the operator has written.
    Target { per_byte_max: 512, ..target("config", 64 * KIB, targets::config::config) },
];

impl Target {
    /// The target of a name.
    pub fn named(name: &str) -> Option<&'static Target> {
        TARGETS.iter().find(|target| target.name == name)
    }

    /// Decodes an input, and checks what came of it.
    pub fn run(&self, input: &[u8]) {
        let before = allocation::allocated_bytes();
        (self.decode)(input);
        let allocated_bytes = allocation::allocated_bytes() - before;
        let allowed_bytes = self.floor_bytes + self.per_byte_max * input.len();
        assert!(
            allocated_bytes <= allowed_bytes,
            "{}: {allocated_bytes} bytes allocated for an input of {}, {allowed_bytes} are allowed",
            self.name,
            input.len(),
        );
    }
}
