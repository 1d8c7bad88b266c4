//! What the bytes of a disk say, read as `FORMAT.md` describes them and by nothing of the crate.

use std::collections::BTreeMap;
use std::path::PathBuf;

use runtime::sim::Disk;

pub(crate) const SECTOR_BYTES: usize = 512;
const BLOCK_BYTES: usize = 4096;

pub(crate) fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap())
}

pub(crate) fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(bytes[at..at + 8].try_into().unwrap())
}

/// A whole commit that a recovery would read.
#[derive(Clone, Debug)]
pub(crate) struct FoundCommit {
    pub(crate) path: PathBuf,
    pub(crate) position: usize,
    pub(crate) size_bytes: usize,
    pub(crate) is_relaxed: bool,
    pub(crate) flags: u8,
    pub(crate) generation: u64,
    pub(crate) sequence: u64,
    pub(crate) is_last: bool,
}

pub(crate) const SUPERBLOCK: &str = "/journal/0/superblock";

/// Where the newest valid slot of journal 0's superblock begins.
pub(crate) fn newest_slot(disk: &Disk) -> Option<usize> {
    let bytes = disk.file_bytes(SUPERBLOCK)?;
    [0, BLOCK_BYTES]
        .into_iter()
        .filter(|at| {
            let slot = &bytes[*at..];
            slot[..8] == *b"HWSUPERB" && u32_at(slot, 8) == crc32fast::hash(&slot[12..184])
        })
        .max_by_key(|at| u64_at(&bytes, at + 48))
}

/// The commits of journal 0 from its replay positions on, in order of stream and sequence.
pub(crate) fn live_commits(disk: &Disk) -> Vec<FoundCommit> {
    let slot = newest_slot(disk).expect("there is a superblock");
    let superblock = &disk.file_bytes(SUPERBLOCK).unwrap()[slot..];
    let replay_from = [u64_at(superblock, 80 + 8), u64_at(superblock, 120 + 8)];
    let mut commits = BTreeMap::new();
    for path in disk.paths() {
        let name = path.to_str().unwrap();
        if !name.starts_with("/journal/0/durable-") && !name.starts_with("/journal/0/relaxed-") {
            continue;
        }
        let bytes = disk.file_bytes(&path).unwrap();
        for position in (0..bytes.len()).step_by(BLOCK_BYTES) {
            let Some(commit) = commit_at(&path, &bytes, position) else { continue };
            let from = replay_from[usize::from(commit.is_relaxed)];
            if from <= commit.sequence {
                commits.insert((commit.is_relaxed, commit.sequence), commit);
            }
        }
    }
    let mut commits: Vec<FoundCommit> = commits.into_values().collect();
    for index in 0..commits.len() {
        let next = commits.get(index + 1);
        commits[index].is_last =
            next.is_none_or(|next| next.is_relaxed != commits[index].is_relaxed);
    }
    commits
}

fn commit_at(path: &std::path::Path, bytes: &[u8], position: usize) -> Option<FoundCommit> {
    let header = &bytes[position..position + 128];
    if header[..8] != *b"HWCOMMIT" || u32_at(header, 8) != crc32fast::hash(&header[12..]) {
        return None;
    }
    let size_bytes = u32_at(header, 64) as usize * BLOCK_BYTES;
    let body = bytes.get(position + 128..position + size_bytes)?;
    (u32_at(header, 72) == crc32fast::hash(body)).then(|| FoundCommit {
        path: path.to_owned(),
        position,
        size_bytes,
        is_relaxed: header[14] == 1,
        flags: header[15],
        generation: u64_at(header, 48),
        sequence: u64_at(header, 56),
        is_last: false,
    })
}

/// A copy of the disk on which a medium's error has changed a byte of this sector.
pub(crate) fn rotten(disk: &Disk, path: &std::path::Path, sector_position: usize) -> Disk {
    let mut rotten = disk.clone();
    rotten.flip(path, 8 * (sector_position + SECTOR_BYTES / 3) + 4);
    rotten
}

/// Gives the structure at this place another version, and makes its checksum right again.
pub(crate) fn set_version(
    disk: &mut Disk,
    path: &std::path::Path,
    position: usize,
    checked_bytes: usize,
    version: u16,
) {
    let mut bytes = disk.file_bytes(path).unwrap()[position..position + checked_bytes].to_vec();
    bytes[12..14].copy_from_slice(&version.to_le_bytes());
    let crc = crc32fast::hash(&bytes[12..]);
    bytes[8..12].copy_from_slice(&crc.to_le_bytes());
    disk.overwrite(path, position, &bytes);
}

/// Everything on the disk but indexes, which are caches.
pub(crate) fn contents(disk: &Disk) -> BTreeMap<PathBuf, Vec<u8>> {
    let paths = disk.paths().into_iter();
    let paths = paths.filter(|path| path.extension().is_none_or(|extension| extension != "index"));
    paths.map(|path| (path.clone(), disk.file_bytes(path).unwrap())).collect()
}
