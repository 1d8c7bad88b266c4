//! The block device under a directory.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::{chosen, optional_text};

/// A disk, as the kernel sees it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Device {
    /// The kernel's name, such as `nvme0n1`.
    pub name: String,
    pub model: Option<String>,
    pub size_bytes: Option<u64>,
    pub is_rotational: Option<bool>,
    /// `write back` needs flushes, `write through` does not.
    pub write_cache: Option<String>,
    /// Whether a single write can ask for durability; otherwise it is a write and a flush.
    pub has_fua: Option<bool>,
    pub scheduler: Option<String>,
    pub logical_block_bytes: Option<u64>,
    pub physical_block_bytes: Option<u64>,
    pub hardware_queues_count: Option<usize>,
    pub requests_max: Option<u64>,
    pub read_ahead_kib: Option<u64>,
    /// Write-back throttling's goal; 0 is off.
    pub write_back_throttle_us: Option<u64>,
    /// Where it is in /sys. Not for publishing: it may have a serial number in it.
    #[serde(skip)]
    pub(crate) sys_path: PathBuf,
}

impl Device {
    /// The whole disk that a directory is on; none if the kernel names none.
    pub fn under(directory: &Path) -> Option<Device> {
        let number = fs::metadata(directory).ok()?.dev();
        let (major, minor) = (nix::sys::stat::major(number), nix::sys::stat::minor(number));
        let link = format!("/sys/dev/block/{major}:{minor}");
        let mut path = fs::canonicalize(link).ok()?;
        if path.join("partition").exists() {
            path = path.parent()?.to_owned();
        }
        Device::at(path)
    }

    pub(super) fn at(sys_path: PathBuf) -> Option<Device> {
        let name = sys_path.file_name()?.to_str()?.to_owned();
        let text = |file: &str| optional_text(sys_path.join(file));
        let number = |file: &str| text(file)?.parse::<u64>().ok();
        let flag = |file: &str| number(file).map(|number| number != 0);
        let queues = fs::read_dir(sys_path.join("mq")).ok().map(Iterator::count);
        Some(Device {
            name,
            model: text("device/model"),
            // In sectors of 512 bytes, whatever the device's are.
            size_bytes: number("size").map(|sectors| sectors * 512),
            is_rotational: flag("queue/rotational"),
            write_cache: text("queue/write_cache"),
            has_fua: flag("queue/fua"),
            scheduler: text("queue/scheduler").map(|text| chosen(&text)),
            logical_block_bytes: number("queue/logical_block_size"),
            physical_block_bytes: number("queue/physical_block_size"),
            hardware_queues_count: queues,
            requests_max: number("queue/nr_requests"),
            read_ahead_kib: number("queue/read_ahead_kb"),
            write_back_throttle_us: number("queue/wbt_lat_usec"),
            sys_path,
        })
    }
}
