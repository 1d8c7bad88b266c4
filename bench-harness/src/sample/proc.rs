//! Numbers out of /proc.

use std::fs::{self, File};
use std::io::Read;

use nix::time::{ClockId, clock_getcpuclockid, clock_gettime};
use nix::unistd::Pid;
use serde::{Deserialize, Serialize};

/// The kernel tells times in hundredths of a second, whatever its timer does (USER_HZ).
const NS_PER_TICK: u64 = 10_000_000;
/// Most files here are smaller, and are then read at once.
const FILE_BYTES_USUAL: usize = 8 << 10;

/// What a file of /proc says now; none if it is gone.
pub(super) fn text(path: &str) -> Option<String> {
    let mut text = String::with_capacity(FILE_BYTES_USUAL);
    // Not `fs::read_to_string`, which asks for the size: it is zero of all of them.
    File::open(path).ok()?.read_to_string(&mut text).ok()?;
    Some(text)
}

/// Processor time of all threads of a process, those that have ended included.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ThreadTimes {
    first_ns: Option<u64>,
    last_ns: u64,
}

impl ThreadTimes {
    /// Reads the scheduler's account of the process: its clock of processor time, which is one
    /// system call however many threads there are.
    pub fn update(&mut self, pid: u32) {
        let Some(now_ns) = process_clock_ns(pid) else { return };
        self.first_ns.get_or_insert(now_ns);
        self.last_ns = now_ns;
    }

    /// Time that was used since the first reading; stays as it was once the process has ended.
    pub fn total_ns(&self) -> u64 {
        self.last_ns.saturating_sub(self.first_ns.unwrap_or(0))
    }
}

fn process_clock_ns(pid: u32) -> Option<u64> {
    let clock = clock_getcpuclockid(Pid::from_raw(i32::try_from(pid).ok()?)).ok()?;
    ns_of(clock)
}

/// Nanoseconds of a clock.
pub(super) fn ns_of(clock: ClockId) -> Option<u64> {
    let now = clock_gettime(clock).ok()?;
    Some(now.tv_sec().cast_unsigned() * 1_000_000_000 + now.tv_nsec().cast_unsigned())
}

/// How a process has divided its processor time since it was started, to a hundredth of a second.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProcessTimes {
    pub user_ns: u64,
    pub kernel_ns: u64,
}

impl ProcessTimes {
    pub fn read(pid: u32) -> Option<ProcessTimes> {
        ProcessTimes::parse(&text(&format!("/proc/{pid}/stat"))?)
    }

    /// The fields utime and stime of /proc/PID/stat, see proc_pid_stat(5).
    pub(super) fn parse(stat: &str) -> Option<ProcessTimes> {
        // The name of the program, in brackets, may hold anything.
        let (_, after_name) = stat.rsplit_once(')')?;
        let mut ticks = after_name.split_whitespace().skip(11).map(str::parse::<u64>);
        let (user, kernel) = (ticks.next()?.ok()?, ticks.next()?.ok()?);
        Some(ProcessTimes { user_ns: user * NS_PER_TICK, kernel_ns: kernel * NS_PER_TICK })
    }
}

/// What a process has in memory, in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProcessMemory {
    pub resident_bytes: u64,
    /// Of those, what belongs to no file: heap and stacks.
    pub anonymous_bytes: u64,
    /// Of those, mapped files: programs, and logs if they are mapped.
    pub file_bytes: u64,
}

impl ProcessMemory {
    pub fn read(pid: u32) -> Option<ProcessMemory> {
        ProcessMemory::parse(&text(&format!("/proc/{pid}/status"))?)
    }

    pub(super) fn parse(status: &str) -> Option<ProcessMemory> {
        Some(ProcessMemory {
            resident_bytes: kib(status, "VmRSS:")?,
            anonymous_bytes: kib(status, "RssAnon:").unwrap_or(0),
            file_bytes: kib(status, "RssFile:").unwrap_or(0),
        })
    }
}

/// What the host keeps of its files in memory, in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PageCache {
    pub cached_bytes: u64,
    /// Of those, changed and not yet on their way to a disk.
    pub dirty_bytes: u64,
    /// On their way to a disk.
    pub writeback_bytes: u64,
}

impl PageCache {
    pub fn read() -> Option<PageCache> {
        PageCache::parse(&text("/proc/meminfo")?)
    }

    pub(super) fn parse(meminfo: &str) -> Option<PageCache> {
        Some(PageCache {
            cached_bytes: kib(meminfo, "Cached:")?,
            dirty_bytes: kib(meminfo, "Dirty:")?,
            writeback_bytes: kib(meminfo, "Writeback:")?,
        })
    }
}

/// The value of a line, whose unit is KiB though it says kB, in bytes.
fn kib(text: &str, name: &str) -> Option<u64> {
    Some(value(text, name)? << 10)
}

/// The value of the line that begins with a name.
fn value(text: &str, name: &str) -> Option<u64> {
    let rest = text.lines().find_map(|line| line.strip_prefix(name))?;
    rest.split_whitespace().next()?.parse().ok()
}

/// How often the threads of a process have made way for others.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SwitchCounters {
    /// Because they had to wait for something.
    pub voluntary: u64,
    /// Because their time was up, or something else was more urgent.
    pub involuntary: u64,
}

impl SwitchCounters {
    /// Of the threads that run now; one file for each.
    pub fn read(pid: u32) -> Option<SwitchCounters> {
        let threads = fs::read_dir(format!("/proc/{pid}/task")).ok()?;
        let counters = threads.filter_map(|thread| {
            let path = thread.ok()?.path().join("status");
            SwitchCounters::parse(&text(path.to_str()?)?)
        });
        counters.reduce(|sum, thread| SwitchCounters {
            voluntary: sum.voluntary + thread.voluntary,
            involuntary: sum.involuntary + thread.involuntary,
        })
    }

    pub(super) fn parse(status: &str) -> Option<SwitchCounters> {
        Some(SwitchCounters {
            voluntary: value(status, "voluntary_ctxt_switches:")?,
            involuntary: value(status, "nonvoluntary_ctxt_switches:")?,
        })
    }

    pub fn since(self, earlier: SwitchCounters) -> SwitchCounters {
        SwitchCounters {
            voluntary: self.voluntary.saturating_sub(earlier.voluntary),
            involuntary: self.involuntary.saturating_sub(earlier.involuntary),
        }
    }
}

/// The control group (version 2) of a process, if it does not share it with this one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ControlGroup {
    memory: String,
}

impl ControlGroup {
    /// None where the process has no group of its own, or the group no account of memory.
    pub fn of(pid: u32) -> Option<ControlGroup> {
        let (theirs, ours) = (text(&format!("/proc/{pid}/cgroup"))?, text("/proc/self/cgroup")?);
        let group = ControlGroup::parse(&text("/proc/mounts")?, &theirs, &ours)?;
        group.memory_bytes().map(|_| group)
    }

    /// Where control groups are mounted, and the groups of the process and of this one.
    pub(super) fn parse(mounts: &str, theirs: &str, ours: &str) -> Option<ControlGroup> {
        let path = |text: &str| {
            let path = text.lines().find_map(|line| line.strip_prefix("0::"))?;
            Some(path.trim_end_matches('/').to_owned())
        };
        let path_of_process = path(theirs).filter(|path| !path.is_empty())?;
        if Some(&path_of_process) == path(ours).as_ref() {
            return None;
        }
        let mut mounts = mounts.lines().map(|line| line.split(' ').skip(1));
        let mounted_at = mounts.find_map(|mut words| {
            let (place, kind) = (words.next()?, words.next()?);
            (kind == "cgroup2").then_some(place)
        })?;
        Some(ControlGroup { memory: format!("{mounted_at}{path_of_process}/memory.current") })
    }

    /// All memory that the kernel counts for the group: of processes, of files they have read and
    /// written, and its own on their behalf.
    pub fn memory_bytes(&self) -> Option<u64> {
        text(&self.memory)?.trim().parse().ok()
    }
}

/// What a disk has done since the host was started. Times are sums over all requests, which may
/// overlap.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DiskCounters {
    pub reads: u64,
    pub read_bytes: u64,
    pub read_ms: u64,
    pub writes: u64,
    pub written_bytes: u64,
    pub write_ms: u64,
    /// Flush requests completed (Linux 5.5).
    pub flushes: u64,
    pub flush_ms: u64,
    /// Time with at least one request.
    pub busy_ms: u64,
}

impl DiskCounters {
    pub fn read(disk: &str) -> Option<DiskCounters> {
        DiskCounters::parse(&text("/proc/diskstats")?, disk)
    }

    /// See Documentation/admin-guide/iostats.rst of the kernel.
    pub(super) fn parse(diskstats: &str, disk: &str) -> Option<DiskCounters> {
        let line = diskstats.lines().find(|line| line.split_whitespace().nth(2) == Some(disk))?;
        let numbers: Vec<u64> =
            line.split_whitespace().skip(3).map(|word| word.parse().unwrap_or(0)).collect();
        Some(DiskCounters {
            reads: *numbers.first()?,
            // In sectors of 512 bytes, whatever the disk's are.
            read_bytes: numbers.get(2)? * 512,
            read_ms: *numbers.get(3)?,
            writes: *numbers.get(4)?,
            written_bytes: numbers.get(6)? * 512,
            write_ms: *numbers.get(7)?,
            flushes: *numbers.get(15)?,
            flush_ms: *numbers.get(16)?,
            busy_ms: *numbers.get(9)?,
        })
    }

    pub fn since(self, earlier: DiskCounters) -> DiskCounters {
        DiskCounters {
            reads: self.reads.saturating_sub(earlier.reads),
            read_bytes: self.read_bytes.saturating_sub(earlier.read_bytes),
            read_ms: self.read_ms.saturating_sub(earlier.read_ms),
            writes: self.writes.saturating_sub(earlier.writes),
            written_bytes: self.written_bytes.saturating_sub(earlier.written_bytes),
            write_ms: self.write_ms.saturating_sub(earlier.write_ms),
            flushes: self.flushes.saturating_sub(earlier.flushes),
            flush_ms: self.flush_ms.saturating_sub(earlier.flush_ms),
            busy_ms: self.busy_ms.saturating_sub(earlier.busy_ms),
        }
    }

    /// How long a write took on average, its wait in the queue included; none without writes.
    pub fn write_ms_mean(self) -> Option<f64> {
        mean(self.write_ms, self.writes)
    }

    /// How long a flush took on average; none without flushes. The kernel merges flushes that
    /// arrive while one is under way.
    pub fn flush_ms_mean(self) -> Option<f64> {
        mean(self.flush_ms, self.flushes)
    }
}

fn mean(sum: u64, count: u64) -> Option<f64> {
    (0 < count).then(|| sum as f64 / count as f64)
}

/// How the host's processors spent their time since it was started, in the kernel's ticks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct HostCpu {
    pub total: u64,
    pub idle: u64,
    pub steal: u64,
}

impl HostCpu {
    pub fn read() -> Option<HostCpu> {
        HostCpu::parse(&text("/proc/stat")?)
    }

    pub(super) fn parse(stat: &str) -> Option<HostCpu> {
        let line = stat.lines().find(|line| line.starts_with("cpu "))?;
        let numbers = cpu_columns(line)?;
        let [_, _, _, idle, waiting, _, _, steal] = numbers;
        Some(HostCpu { total: numbers.iter().sum(), idle: idle + waiting, steal })
    }

    pub fn since(self, earlier: HostCpu) -> HostCpu {
        HostCpu {
            total: self.total.saturating_sub(earlier.total),
            idle: self.idle.saturating_sub(earlier.idle),
            steal: self.steal.saturating_sub(earlier.steal),
        }
    }

    pub fn busy_share(self) -> f64 {
        share(self.total.saturating_sub(self.idle + self.steal), self.total)
    }

    pub fn steal_share(self) -> f64 {
        share(self.steal, self.total)
    }
}

/// How one of the host's processors spent its time since the host was started, in the kernel's
/// ticks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProcessorTimes {
    /// By the kernel's number.
    pub processor: usize,
    pub total: u64,
    /// In programs, those of low priority and guests included.
    pub user: u64,
    /// In the kernel: for programs, and for interrupts.
    pub kernel: u64,
    /// Not had, because the hypervisor ran something else.
    pub steal: u64,
}

impl ProcessorTimes {
    /// One for each line `cpu0`, `cpu1`, ... of /proc/stat.
    pub(super) fn parse_all(stat: &str) -> Vec<ProcessorTimes> {
        // They stand together at the beginning; below is much that is not for us.
        let lines = stat.lines().take_while(|line| line.starts_with("cpu"));
        let processors = lines.filter_map(|line| {
            let processor = line.split(' ').next()?.strip_prefix("cpu")?.parse().ok()?;
            let numbers = cpu_columns(line)?;
            let [user, nice, system, _, _, interrupts, soft_interrupts, steal] = numbers;
            Some(ProcessorTimes {
                processor,
                total: numbers.iter().sum(),
                user: user + nice,
                kernel: system + interrupts + soft_interrupts,
                steal,
            })
        });
        processors.collect()
    }

    pub fn since(self, earlier: ProcessorTimes) -> ProcessorTimes {
        ProcessorTimes {
            processor: self.processor,
            total: self.total.saturating_sub(earlier.total),
            user: self.user.saturating_sub(earlier.user),
            kernel: self.kernel.saturating_sub(earlier.kernel),
            steal: self.steal.saturating_sub(earlier.steal),
        }
    }

    pub fn user_share(self) -> f64 {
        share(self.user, self.total)
    }

    pub fn kernel_share(self) -> f64 {
        share(self.kernel, self.total)
    }

    pub fn steal_share(self) -> f64 {
        share(self.steal, self.total)
    }
}

/// A line `cpu`: user, nice, system, idle, iowait, irq, softirq, steal; the rest is counted in
/// those.
fn cpu_columns(line: &str) -> Option<[u64; 8]> {
    let numbers = line.split_whitespace().skip(1).take(8).filter_map(|it| it.parse().ok());
    numbers.collect::<Vec<u64>>().try_into().ok()
}

fn share(part: u64, total: u64) -> f64 {
    if total == 0 { 0.0 } else { part as f64 / total as f64 }
}
