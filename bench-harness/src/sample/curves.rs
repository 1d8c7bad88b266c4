//! What was used over time: points of seconds since the beginning of a span, and a value.
//!
//! Guarantees: a count over time is a difference of two readings, shown at the middle between them
//! and drawn as a gap (not a number) where there is nothing to divide by; a level is what one
//! reading says. Both only of readings within the span.

use super::{ProcessorTimes, Sample, Samples};

/// A hundredth of a second is the least that the kernel tells of a processor's time; over less than
/// this the shares would be nothing but steps.
const TICKS_APART_NS: u64 = 200_000_000;
/// The kernel tells how long requests took in whole milliseconds of all of them together; over less
/// than this the means of short ones would be nothing but steps.
const LATENCIES_APART_NS: u64 = 500_000_000;
/// Each two readings that follow each other.
const NEXT: u64 = 1;

/// Shares of one processor's time.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ProcessorCurves {
    /// By the kernel's number.
    pub processor: usize,
    pub user: Vec<(f64, f64)>,
    pub kernel: Vec<(f64, f64)>,
    pub steal: Vec<(f64, f64)>,
}

/// Two readings of the same thing.
struct Step<T> {
    middle_s: f64,
    seconds: f64,
    before: T,
    after: T,
}

/// Everything that is watched, over time.
impl Samples {
    /// Share of one processor that the process used, between each two readings.
    pub fn cpu_curve(&self, from_ns: u64, to_ns: u64) -> Vec<(f64, f64)> {
        self.rate(from_ns, to_ns, NEXT, |it| Some(it.cpu_ns as f64 / 1e9))
    }

    /// How each of the host's processors spent its time; what is missing to one was idle.
    pub fn processor_curves(&self, from_ns: u64, to_ns: u64) -> Vec<ProcessorCurves> {
        let processors = self.samples.first().map_or(&[][..], |it| &it.processors);
        let curves = processors.iter().map(|first| {
            let processor = first.processor;
            let steps = self.steps(from_ns, to_ns, TICKS_APART_NS, |it| it.processor(processor));
            let shares = |share: fn(ProcessorTimes) -> f64| {
                let points = steps.iter();
                points.map(|step| (step.middle_s, share(step.after.since(step.before)))).collect()
            };
            ProcessorCurves {
                processor,
                user: shares(ProcessorTimes::user_share),
                kernel: shares(ProcessorTimes::kernel_share),
                steal: shares(ProcessorTimes::steal_share),
            }
        });
        curves.collect()
    }

    /// How often per second the process's threads gave way, to wait or to others.
    pub fn switches_curve(&self, from_ns: u64, to_ns: u64) -> Vec<(f64, f64)> {
        self.rate(from_ns, to_ns, NEXT, |it| {
            let switches = it.switches?;
            Some((switches.voluntary + switches.involuntary) as f64)
        })
    }

    /// What the process has in memory, in bytes; nothing once it has ended.
    pub fn resident_curve(&self, from_ns: u64, to_ns: u64) -> Vec<(f64, f64)> {
        self.level(from_ns, to_ns, |it| Some(it.resident_bytes).filter(|bytes| 0 < *bytes))
    }

    /// What the kernel counts for the process's control group, in bytes; empty without one.
    pub fn group_curve(&self, from_ns: u64, to_ns: u64) -> Vec<(f64, f64)> {
        self.level(from_ns, to_ns, |it| it.group_bytes)
    }

    /// What the host keeps of files in memory and has still to write, in bytes.
    pub fn dirty_curve(&self, from_ns: u64, to_ns: u64) -> Vec<(f64, f64)> {
        self.level(from_ns, to_ns, |it| Some(it.page_cache.dirty_bytes))
    }

    /// Bytes read from the disk per second.
    pub fn read_bytes_curve(&self, from_ns: u64, to_ns: u64) -> Vec<(f64, f64)> {
        self.rate(from_ns, to_ns, NEXT, |it| Some(it.disk.read_bytes as f64))
    }

    /// Bytes written to the disk per second.
    pub fn written_bytes_curve(&self, from_ns: u64, to_ns: u64) -> Vec<(f64, f64)> {
        self.rate(from_ns, to_ns, NEXT, |it| Some(it.disk.written_bytes as f64))
    }

    /// Flushes of the disk per second.
    pub fn flushes_curve(&self, from_ns: u64, to_ns: u64) -> Vec<(f64, f64)> {
        self.rate(from_ns, to_ns, NEXT, |it| Some(it.disk.flushes as f64))
    }

    /// How long a flush of the disk took on average, in ms; a gap where there was none.
    pub fn flush_latency_curve(&self, from_ns: u64, to_ns: u64) -> Vec<(f64, f64)> {
        let steps = self.steps(from_ns, to_ns, LATENCIES_APART_NS, |it| Some(it.disk));
        points(steps, |step| step.after.since(step.before).flush_ms_mean().unwrap_or(f64::NAN))
    }

    /// What a reading says; readings without it are left out.
    fn level(
        &self,
        from_ns: u64,
        to_ns: u64,
        read: impl Fn(&Sample) -> Option<u64>,
    ) -> Vec<(f64, f64)> {
        let within = self.samples.iter().filter(|it| from_ns <= it.at_ns && it.at_ns <= to_ns);
        let seconds = |sample: &Sample| (sample.at_ns - from_ns) as f64 / 1e9;
        within.filter_map(|it| Some((seconds(it), read(it)? as f64))).collect()
    }

    /// By how much something has grown, per second.
    fn rate(
        &self,
        from_ns: u64,
        to_ns: u64,
        apart_ns: u64,
        read: impl Fn(&Sample) -> Option<f64>,
    ) -> Vec<(f64, f64)> {
        let steps = self.steps(from_ns, to_ns, apart_ns, read);
        points(steps, |step| (step.after - step.before).max(0.0) / step.seconds)
    }

    /// Pairs of readings that have something, at least this far apart; the later of each is within
    /// the span.
    fn steps<T: Copy>(
        &self,
        from_ns: u64,
        to_ns: u64,
        apart_ns: u64,
        read: impl Fn(&Sample) -> Option<T>,
    ) -> Vec<Step<T>> {
        let mut steps = Vec::new();
        let mut last: Option<(u64, T)> = None;
        for sample in &self.samples {
            let Some(after) = read(sample) else { continue };
            if to_ns < sample.at_ns {
                break;
            }
            let (before_ns, before) = *last.get_or_insert((sample.at_ns, after));
            if sample.at_ns < from_ns {
                last = Some((sample.at_ns, after));
                continue;
            }
            if sample.at_ns < before_ns + apart_ns {
                continue;
            }
            let middle_ns = before_ns.midpoint(sample.at_ns) as f64;
            steps.push(Step {
                middle_s: (middle_ns - from_ns as f64) / 1e9,
                seconds: (sample.at_ns - before_ns) as f64 / 1e9,
                before,
                after,
            });
            last = Some((sample.at_ns, after));
        }
        steps
    }
}

fn points<T>(steps: Vec<Step<T>>, value: impl Fn(&Step<T>) -> f64) -> Vec<(f64, f64)> {
    steps.iter().map(|step| (step.middle_s, value(step))).collect()
}
