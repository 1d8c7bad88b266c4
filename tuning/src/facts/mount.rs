//! The mount that a directory is on, from /proc/self/mountinfo.

use std::path::{Path, PathBuf};

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Mount {
    pub(super) file_system: String,
    pub(super) is_root: bool,
    pub(super) options: Vec<String>,
}

/// The innermost mount that holds a path.
pub(super) fn of(mountinfo: &str, path: &Path) -> Option<Mount> {
    let mounts = mountinfo.lines().filter_map(parse);
    // Of mounts over each other the last is the one that is seen.
    let (_, mount) = mounts
        .filter(|(point, _)| path.starts_with(point))
        .max_by_key(|(point, _)| point.components().count())?;
    Some(mount)
}

/// `36 35 98:0 /mnt1 /mnt2 rw,noatime master:1 - ext3 /dev/root rw,errors=continue`: see
/// proc_pid_mountinfo(5).
fn parse(line: &str) -> Option<(PathBuf, Mount)> {
    let (before, after) = line.split_once(" - ")?;
    let mut before = before.split_whitespace().skip(4);
    let point = PathBuf::from(before.next()?.replace("\\040", " "));
    let mut after = after.split_whitespace();
    let file_system = after.next()?.to_owned();
    let _source = after.next()?;
    let mut options: Vec<String> = Vec::new();
    for option in before.next()?.split(',').chain(after.next().unwrap_or("").split(',')) {
        // A value that is a path says more about the host than about the file system.
        let option = match option.split_once('=') {
            Some((name, value)) if value.contains('/') => name,
            _ => option,
        };
        if !option.is_empty() && !options.iter().any(|known| known == option) {
            options.push(option.to_owned());
        }
    }
    let is_root = point == Path::new("/");
    Some((point, Mount { file_system, is_root, options }))
}
