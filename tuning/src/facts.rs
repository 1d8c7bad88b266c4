//! The facts of a host, read from /proc and /sys.

mod device;
mod interrupts;
mod mount;
mod text;

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::flush::FlushLatency;

pub use device::Device;
pub use interrupts::{Interrupts, busiest};

/// A host, and the device under one of its directories.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Facts {
    pub kernel: Kernel,
    pub processor: Processor,
    pub memory: Memory,
    pub storage: Storage,
    pub limits: Limits,
    /// Settings of the kernel that bend latencies, by their names in /proc/sys and /sys.
    pub settings: BTreeMap<String, String>,
    /// Measured, if it was asked for.
    pub flush: Option<FlushLatency>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Kernel {
    pub release: String,
    pub architecture: String,
    pub clock_source: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Processor {
    pub model: String,
    pub online_count: usize,
    /// The processors that this process may use.
    pub allowed: Vec<usize>,
    /// How their frequency is chosen; none where the host does not say.
    pub governor: Option<String>,
    /// Whether this is a virtual machine, by the processor's own flag.
    pub is_virtual: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Memory {
    pub total_bytes: u64,
    pub swap_bytes: u64,
}

/// What a directory is on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Storage {
    pub file_system: String,
    pub is_root_file_system: bool,
    /// Without those that name a path.
    pub mount_options: Vec<String>,
    /// None for what is not on one device: memory, an overlay, the network.
    pub device: Option<Device>,
    /// How many of the device's interrupts each processor took: while flush latency was measured,
    /// or else since the host was started.
    pub interrupts: Vec<u64>,
    /// The processor that takes most of them.
    pub interrupt_processor: Option<usize>,
}

/// Of this process; none is no limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limits {
    pub open_files: Option<u64>,
    pub locked_memory_bytes: Option<u64>,
}

/// Why there are no facts.
#[derive(Debug, thiserror::Error)]
pub enum FactsError {
    #[error("cannot read {path}")]
    Unreadable { path: PathBuf, source: io::Error },
}

const SETTINGS: [&str; 10] = [
    "/proc/sys/kernel/io_uring_disabled",
    "/proc/sys/kernel/sched_rt_runtime_us",
    "/proc/sys/net/core/somaxconn",
    "/proc/sys/vm/dirty_background_ratio",
    "/proc/sys/vm/dirty_expire_centisecs",
    "/proc/sys/vm/dirty_ratio",
    "/proc/sys/vm/max_map_count",
    "/proc/sys/vm/swappiness",
    "/sys/kernel/mm/transparent_hugepage/enabled",
    "/sys/devices/system/cpu/smt/active",
];

impl Facts {
    /// Reads the facts of this host, and of the device under `directory`, which must exist.
    pub fn read(directory: &Path) -> Result<Facts, FactsError> {
        let cpuinfo = text_of("/proc/cpuinfo")?;
        let meminfo = text_of("/proc/meminfo")?;
        let known = SETTINGS.into_iter().filter_map(|path| Some((path, optional_text(path)?)));
        let name = |path: &str| {
            let name = path.trim_start_matches("/proc/sys/").trim_start_matches("/sys/");
            name.replace('/', ".")
        };
        Ok(Facts {
            kernel: Kernel {
                release: text_of("/proc/sys/kernel/osrelease")?.trim().to_owned(),
                architecture: std::env::consts::ARCH.to_owned(),
                clock_source: optional_text(
                    "/sys/devices/system/clocksource/clocksource0/current_clocksource",
                ),
            },
            processor: processor(&cpuinfo),
            memory: Memory {
                total_bytes: kib_of(&meminfo, "MemTotal").unwrap_or(0) << 10,
                swap_bytes: kib_of(&meminfo, "SwapTotal").unwrap_or(0) << 10,
            },
            storage: Storage::read(directory)?,
            limits: limits(),
            settings: known.map(|(path, text)| (name(path), chosen(&text))).collect(),
            flush: None,
        })
    }

    /// Adds a measured flush latency, and who took the interrupts meanwhile.
    pub fn with_flush(mut self, flush: FlushLatency, interrupts: Vec<u64>) -> Facts {
        if interrupts.iter().any(|count| 0 < *count) {
            self.storage.interrupt_processor = busiest(&interrupts);
            self.storage.interrupts = interrupts;
        }
        self.flush = Some(flush);
        self
    }
}

impl Storage {
    fn read(directory: &Path) -> Result<Storage, FactsError> {
        let unreadable = |source| FactsError::Unreadable { path: directory.to_owned(), source };
        let directory = fs::canonicalize(directory).map_err(unreadable)?;
        let mount = mount::of(&text_of("/proc/self/mountinfo")?, &directory);
        let device = Device::under(&directory);
        let interrupts =
            device.as_ref().and_then(|device| Interrupts::read(device).ok()).unwrap_or_default();
        Ok(Storage {
            file_system: mount.as_ref().map_or("unknown", |it| &it.file_system).to_owned(),
            is_root_file_system: mount.as_ref().is_some_and(|it| it.is_root),
            mount_options: mount.map(|it| it.options).unwrap_or_default(),
            interrupt_processor: busiest(&interrupts.counts),
            interrupts: interrupts.counts,
            device,
        })
    }
}

fn processor(cpuinfo: &str) -> Processor {
    let value = |name: &str| {
        let line = cpuinfo.lines().find(|line| line.starts_with(name))?;
        Some(line.split_once(':')?.1.trim().to_owned())
    };
    let flags = value("flags").unwrap_or_default();
    Processor {
        model: value("model name").or_else(|| value("Model")).unwrap_or("unknown".to_owned()),
        online_count: cpuinfo.lines().filter(|line| line.starts_with("processor")).count(),
        allowed: runtime::host::processors(),
        governor: optional_text("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor"),
        is_virtual: flags.split_whitespace().any(|flag| flag == "hypervisor"),
    }
}

fn limits() -> Limits {
    use nix::sys::resource::{RLIM_INFINITY, Resource, getrlimit};
    let limit = |resource| {
        let soft = getrlimit(resource).map_or(RLIM_INFINITY, |(soft, _)| soft);
        (soft != RLIM_INFINITY).then_some(soft)
    };
    Limits {
        open_files: limit(Resource::RLIMIT_NOFILE),
        locked_memory_bytes: limit(Resource::RLIMIT_MEMLOCK),
    }
}

/// The value of a line of /proc/meminfo.
fn kib_of(meminfo: &str, name: &str) -> Option<u64> {
    let line = meminfo.lines().find(|line| line.split(':').next() == Some(name))?;
    line.split_whitespace().nth(1)?.parse().ok()
}

/// Of a list of choices the one in brackets: `none [mq-deadline] kyber`.
fn chosen(text: &str) -> String {
    let bracketed = text.split_once('[').and_then(|(_, rest)| rest.split_once(']'));
    bracketed.map_or(text.trim(), |(choice, _)| choice).to_owned()
}

fn text_of(path: &str) -> Result<String, FactsError> {
    let unreadable = |source| FactsError::Unreadable { path: PathBuf::from(path), source };
    fs::read_to_string(path).map_err(unreadable)
}

fn optional_text(path: impl AsRef<Path>) -> Option<String> {
    let text = fs::read_to_string(path).ok()?;
    let text = text.trim();
    (!text.is_empty()).then(|| text.to_owned())
}

#[cfg(test)]
mod tests;
