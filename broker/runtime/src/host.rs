//! What the process knows about the machine it runs on.

use std::io;

use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::time::{ClockId, clock_gettime};

use crate::time::Instant;

/// The processors this process may run on, in order.
pub fn processors() -> Vec<usize> {
    let ids = core_affinity::get_core_ids().unwrap_or_default();
    if ids.is_empty() { vec![0] } else { ids.into_iter().map(|id| id.id).collect() }
}

/// Processor time that the calling thread has used.
pub fn thread_cpu_time() -> Instant {
    let used = clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID).expect("every Linux has this clock");
    Instant::from_nanos(used.tv_sec() as u64 * 1_000_000_000 + used.tv_nsec() as u64)
}

/// Raises the number of files and sockets that this process may have open to what it may raise it
/// to. Returns that number.
pub fn raise_open_files_limit() -> io::Result<u64> {
    let (_, hard) = getrlimit(Resource::RLIMIT_NOFILE)?;
    setrlimit(Resource::RLIMIT_NOFILE, hard, hard)?;
    Ok(hard)
}

/// Random bits from the kernel.
pub fn random_seed() -> io::Result<u64> {
    let mut bytes = [0; 8];
    io::Read::read_exact(&mut std::fs::File::open("/dev/urandom")?, &mut bytes)?;
    Ok(u64::from_le_bytes(bytes))
}

/// The id of this boot of the kernel: a different one means that the page cache is a new one.
pub fn boot_id() -> io::Result<[u8; 16]> {
    let text = std::fs::read_to_string("/proc/sys/kernel/random/boot_id")?;
    let hex: String = text.chars().filter(char::is_ascii_hexdigit).collect();
    u128::from_str_radix(&hex, 16)
        .map(u128::to_be_bytes)
        .map_err(|_| io::Error::new(io::ErrorKind::InvalidData, "boot_id is not a uuid"))
}
