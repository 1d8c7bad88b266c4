//! libFuzzer on one of the targets, which the environment names.

#![no_main]

use std::sync::LazyLock;

use fuzz::Target;
use libfuzzer_sys::fuzz_target;

static TARGET: LazyLock<&Target> = LazyLock::new(|| {
    let name =
        std::env::var("HIGHWATER_FUZZ_TARGET").expect("HIGHWATER_FUZZ_TARGET names a target");
    Target::named(&name).expect("HIGHWATER_FUZZ_TARGET is a target of fuzz/src/lib.rs")
});

fuzz_target!(|input: &[u8]| TARGET.run(input));
