//! What is on disk. The properties stand beside the formats, in `storage::fuzzing`.

use storage::fuzzing;

pub(crate) fn frames(input: &[u8]) {
    fuzzing::frames(input);
}

pub(crate) fn journal(input: &[u8]) {
    fuzzing::journal(input);
}

pub(crate) fn commit_header(input: &[u8]) {
    fuzzing::commit_header(input);
}

pub(crate) fn superblock(input: &[u8]) {
    fuzzing::superblock(input);
}

pub(crate) fn entries(input: &[u8]) {
    fuzzing::entries(input);
}

pub(crate) fn index(input: &[u8]) {
    fuzzing::index(input);
}
