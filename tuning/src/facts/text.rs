//! Facts as people read them.

use std::fmt;

use super::{Device, Facts};

impl Facts {
    /// Names and values, in the order in which they matter.
    pub fn rows(&self) -> Vec<(String, String)> {
        let Facts { kernel, processor, memory, storage, limits, settings, flush } = self;
        let mut rows = Vec::new();
        let mut row = |name: &str, value: String| rows.push((name.to_owned(), value));
        row("kernel", format!("Linux {} {}", kernel.release, kernel.architecture));
        row(
            "processor",
            format!(
                "{}, {} online, {} usable{}",
                processor.model,
                processor.online_count,
                processor.allowed.len(),
                if processor.is_virtual { ", a virtual machine" } else { "" }
            ),
        );
        row("frequency governor", or_unknown(processor.governor.as_ref()));
        row("clock source", or_unknown(kernel.clock_source.as_ref()));
        row("memory", format!("{} GiB", gib(memory.total_bytes)));
        row("swap", format!("{} GiB", gib(memory.swap_bytes)));
        row("file system", storage.file_system.clone());
        row("mount options", storage.mount_options.join(","));
        match &storage.device {
            Some(device) => device_rows(device, &mut row),
            None => row("device", "none that the kernel names".to_owned()),
        }
        if let Some(interrupt_processor) = storage.interrupt_processor {
            let total: u64 = storage.interrupts.iter().sum();
            let share = storage.interrupts[interrupt_processor] as f64 / total as f64 * 100.0;
            let value = format!("processor {interrupt_processor} takes {share:.0} % of them");
            row("device interrupts", value);
        }
        let limit = |limit: Option<u64>| limit.map_or("unlimited".to_owned(), |it| it.to_string());
        row("open files", limit(limits.open_files));
        row("locked memory", format!("{} bytes", limit(limits.locked_memory_bytes)));
        for (name, value) in settings {
            row(name, value.clone());
        }
        if let Some(flush) = flush {
            row("flush latency", flush.to_string());
            row("flush method", flush.method.clone());
        }
        rows
    }
}

fn device_rows(device: &Device, row: &mut impl FnMut(&str, String)) {
    let model = device.model.as_ref().map(|model| format!(" ({model})")).unwrap_or_default();
    let size = device.size_bytes.map(|it| format!(", {} GiB", gib(it))).unwrap_or_default();
    let kind = match device.is_rotational {
        Some(true) => ", rotational as the kernel has it",
        Some(false) | None => "",
    };
    row("device", format!("{}{model}{size}{kind}", device.name));
    row("write cache", or_unknown(device.write_cache.as_ref()));
    let fua = device.has_fua.map(|has| if has { "yes" } else { "no: a write and a flush" });
    row("forced unit access", or_unknown(fua.as_ref()));
    row("scheduler", or_unknown(device.scheduler.as_ref()));
    let blocks = match (device.logical_block_bytes, device.physical_block_bytes) {
        (Some(logical), Some(physical)) => format!("{logical} logical, {physical} physical"),
        _ => "unknown".to_owned(),
    };
    row("block bytes", blocks);
    row("hardware queues", or_unknown(device.hardware_queues_count.as_ref()));
    row("read-ahead KiB", or_unknown(device.read_ahead_kib.as_ref()));
    row("write-back throttle µs", or_unknown(device.write_back_throttle_us.as_ref()));
}

fn or_unknown<T: fmt::Display>(value: Option<&T>) -> String {
    value.map_or("unknown".to_owned(), T::to_string)
}

fn gib(bytes: u64) -> String {
    format!("{:.1}", bytes as f64 / (1_u64 << 30) as f64)
}

/// A table of two columns.
impl fmt::Display for Facts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rows = self.rows();
        let width = rows.iter().map(|(name, _)| name.chars().count()).max().unwrap_or(0);
        for (name, value) in rows {
            writeln!(f, "{name:width$}  {value}")?;
        }
        Ok(())
    }
}
