//! Which processor takes a device's interrupts.

use std::io;
use std::path::Path;

use super::Device;

/// A device's interrupts so far, by processor.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Interrupts {
    pub counts: Vec<u64>,
}

impl Interrupts {
    pub fn read(device: &Device) -> io::Result<Interrupts> {
        let text = std::fs::read_to_string("/proc/interrupts")?;
        Ok(Interrupts { counts: counts(&text, &device.sys_path) })
    }

    /// What has come since an earlier reading.
    pub fn since(&self, earlier: &Interrupts) -> Vec<u64> {
        let pairs = self.counts.iter().zip(&earlier.counts);
        pairs.map(|(now, before)| now.saturating_sub(*before)).collect()
    }
}

/// The processor with most of them, if there are any.
pub fn busiest(counts: &[u64]) -> Option<usize> {
    let (processor, count) = counts.iter().enumerate().max_by_key(|(_, count)| **count)?;
    (0 < *count).then_some(processor)
}

/// Adds up the lines of /proc/interrupts that name the device or what it is attached to: a part of
/// its path in /sys, such as `nvme0` (in `nvme0q3`), `virtio1` or a PCI address.
pub(super) fn counts(interrupts: &str, sys_path: &Path) -> Vec<u64> {
    let mut lines = interrupts.lines();
    let processors_count = lines.next().map_or(0, |line| line.split_whitespace().count());
    let parts: Vec<&str> = sys_path
        .iter()
        .filter_map(|part| part.to_str())
        .filter(|part| part.chars().any(|c| c.is_ascii_digit()))
        .collect();
    let mut sums = vec![0; processors_count];
    for line in lines {
        let mut words = line.split_whitespace().skip(1);
        let numbers: Vec<u64> =
            words.by_ref().take(processors_count).filter_map(|word| word.parse().ok()).collect();
        let source: Vec<&str> = words.collect();
        if numbers.len() == processors_count && names_any(&source.join(" "), &parts) {
            for (sum, number) in sums.iter_mut().zip(numbers) {
                *sum += number;
            }
        }
    }
    sums
}

/// Whether one of the parts stands in the text, not followed by a further digit.
fn names_any(text: &str, parts: &[&str]) -> bool {
    parts.iter().any(|part| {
        text.match_indices(part).any(|(at, _)| {
            let after = text[at + part.len()..].chars().next();
            !after.is_some_and(|c| c.is_ascii_digit())
        })
    })
}
