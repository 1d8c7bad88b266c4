//! What the broker may rely on, asked of the real machine and of the simulated one alike.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod cores;
mod files;
mod links;
mod network;
mod power;
mod tasks;

use std::future::Future;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};

use runtime::sim::{self, Disk};

/// Runs a test on both machines, each with an empty directory of its own.
#[track_caller]
fn on_both_machines<Test: Future<Output = ()> + 'static>(test: impl Fn(PathBuf) -> Test) {
    let directory = Directory::new();
    runtime::block_on(test(directory.0.clone())).unwrap();
    for seed in 0..20 {
        sim::run(seed, Disk::new(), || test(PathBuf::from("/")));
    }
}

/// A directory for one test, on a file system that takes direct I/O, removed at its end.
struct Directory(PathBuf);

impl Directory {
    fn new() -> Directory {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("contract-{}-{number}", std::process::id());
        let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
        std::fs::create_dir_all(&path).unwrap();
        Directory(path)
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
