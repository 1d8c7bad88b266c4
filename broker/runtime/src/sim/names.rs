//! Names on a simulated disk: its directories, and which of their entries would survive.
//!
//! Guarantees: a directory that is renamed takes along what is in it; after a loss of power each
//! entry that was not flushed is old or new by itself, but both names of a rename together (as on
//! file systems with a journal).

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::disk::{Fate, Inode};
use crate::op::DirEntry;

/// Number of a directory, whatever its name.
type DirId = u64;

const ROOT: DirId = 0;

/// What a name stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Node {
    Dir(DirId),
    File(Inode),
}

type Entries = BTreeMap<String, Node>;

#[derive(Clone, Debug, Default)]
struct Dir {
    entries: Entries,
    /// What a loss of power leaves at least.
    flushed: Entries,
    /// Old and new names of renames since the last flush.
    renames: Vec<(String, String)>,
}

/// All directories. A clone shares with it those that neither of them has changed since.
#[derive(Clone, Debug)]
pub(super) struct Names {
    dirs: BTreeMap<DirId, Arc<Dir>>,
    ids_count: DirId,
}

impl Names {
    /// An empty root directory.
    pub(super) fn new() -> Names {
        Names { dirs: BTreeMap::from([(ROOT, Arc::default())]), ids_count: ROOT }
    }

    /// What is at a path.
    pub(super) fn node(&self, path: &Path) -> io::Result<Node> {
        let mut node = Node::Dir(ROOT);
        // Cheaper than the path's components, as everything is looked up again and again.
        let names = path.to_str().ok_or(io::ErrorKind::NotFound)?.split('/');
        for name in names.filter(|name| !matches!(*name, "" | "." | "..")) {
            let Node::Dir(dir) = node else { return Err(io::ErrorKind::NotADirectory.into()) };
            let found = self.dirs[&dir].entries.get(name);
            node = *found.ok_or(io::ErrorKind::NotFound)?;
        }
        Ok(node)
    }

    /// All files, in the order of their paths.
    pub(super) fn files(&self) -> Vec<(PathBuf, Inode)> {
        let mut files = Vec::new();
        self.files_below(ROOT, Path::new("/"), &mut files);
        files
    }

    fn files_below(&self, dir: DirId, path: &Path, files: &mut Vec<(PathBuf, Inode)>) {
        for (name, node) in &self.dirs[&dir].entries {
            let path = path.join(name);
            match node {
                Node::Dir(dir) => self.files_below(*dir, &path, files),
                Node::File(inode) => files.push((path, *inode)),
            }
        }
    }

    pub(super) fn read_dir(&self, path: &Path) -> io::Result<Vec<DirEntry>> {
        let Node::Dir(dir) = self.node(path)? else {
            return Err(io::ErrorKind::NotADirectory.into());
        };
        let entries = self.dirs[&dir].entries.iter().map(|(name, node)| DirEntry {
            name: name.clone(),
            is_dir: matches!(node, Node::Dir(_)),
        });
        Ok(entries.collect())
    }

    /// Names a new file.
    pub(super) fn add_file(&mut self, path: &Path, inode: Inode) -> io::Result<()> {
        let (dir, name) = self.place(path)?;
        self.dir_mut(dir).entries.insert(name, Node::File(inode));
        Ok(())
    }

    pub(super) fn make_dir(&mut self, path: &Path) -> io::Result<()> {
        let (dir, name) = self.place(path)?;
        if self.dirs[&dir].entries.contains_key(&name) {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        self.ids_count += 1;
        let new = self.ids_count;
        self.dirs.insert(new, Arc::default());
        self.dir_mut(dir).entries.insert(name, Node::Dir(new));
        Ok(())
    }

    pub(super) fn rename(&mut self, from: &Path, to: &Path) -> io::Result<()> {
        let (new_dir, new_name) = self.place(to)?;
        let (old_dir, old_name) = self.place(from)?;
        let node =
            self.dir_mut(old_dir).entries.remove(&old_name).ok_or(io::ErrorKind::NotFound)?;
        let dir = self.dir_mut(new_dir);
        dir.entries.insert(new_name.clone(), node);
        if old_dir == new_dir {
            dir.renames.push((old_name, new_name));
        }
        Ok(())
    }

    pub(super) fn remove_file(&mut self, path: &Path) -> io::Result<()> {
        let Node::File(_) = self.node(path)? else {
            return Err(io::ErrorKind::IsADirectory.into());
        };
        let (dir, name) = self.place(path)?;
        self.dir_mut(dir).entries.remove(&name);
        Ok(())
    }

    pub(super) fn remove_dir(&mut self, path: &Path) -> io::Result<()> {
        if !self.read_dir(path)?.is_empty() {
            return Err(io::ErrorKind::DirectoryNotEmpty.into());
        }
        let (dir, name) = self.place(path)?;
        self.dir_mut(dir).entries.remove(&name);
        Ok(())
    }

    /// Takes a file's name away as if it had never been there.
    pub(super) fn forget(&mut self, path: &Path) {
        if let Ok((dir, name)) = self.place(path) {
            let dir = self.dir_mut(dir);
            dir.entries.remove(&name);
            dir.flushed.remove(&name);
        }
    }

    /// The names in one directory become durable, and those removed from it stay removed.
    pub(super) fn flush_dir(&mut self, path: &Path) {
        if let Ok(Node::Dir(dir)) = self.node(path) {
            self.dir_mut(dir).flush();
        }
    }

    pub(super) fn flush_everything(&mut self) {
        for dir in self.dirs.values_mut() {
            Arc::make_mut(dir).flush();
        }
    }

    /// Every entry that was not flushed is old or new.
    pub(super) fn lose_power(&mut self, fate: &mut Fate) {
        let mut reachable = BTreeSet::new();
        let mut to_visit = vec![ROOT];
        while let Some(id) = to_visit.pop() {
            reachable.insert(id);
            let dir = self.dir_mut(id);
            dir.lose_power(fate);
            to_visit.extend(dir.entries.values().filter_map(|node| match node {
                Node::Dir(id) => Some(*id),
                Node::File(_) => None,
            }));
        }
        self.dirs.retain(|id, _| reachable.contains(id));
    }

    /// The directory in which a path's last name is, or would be.
    fn place(&self, path: &Path) -> io::Result<(DirId, String)> {
        let name = path.file_name().and_then(OsStr::to_str).ok_or(io::ErrorKind::InvalidInput)?;
        match self.node(path.parent().unwrap_or(Path::new("/")))? {
            Node::Dir(dir) => Ok((dir, name.to_owned())),
            Node::File(_) => Err(io::ErrorKind::NotADirectory.into()),
        }
    }

    fn dir_mut(&mut self, id: DirId) -> &mut Dir {
        Arc::make_mut(self.dirs.get_mut(&id).expect("a directory that has a name exists"))
    }
}

impl Dir {
    fn flush(&mut self) {
        self.flushed = self.entries.clone();
        self.renames.clear();
    }

    fn lose_power(&mut self, fate: &mut Fate) {
        let new = std::mem::take(&mut self.entries);
        let mut survived = self.flushed.clone();
        let changed: BTreeSet<&String> = new
            .keys()
            .chain(self.flushed.keys())
            .filter(|name| new.get(*name) != self.flushed.get(*name))
            .collect();
        // What has become of the names that hang together with one, by the first of them.
        let mut decided: BTreeMap<&String, bool> = BTreeMap::new();
        for name in changed {
            let keeps = *decided.entry(self.first_of(name)).or_insert_with(|| fate.keeps());
            match new.get(name) {
                Some(node) if keeps => {
                    survived.insert(name.clone(), *node);
                }
                None if keeps => {
                    survived.remove(name);
                }
                _ => {}
            }
        }
        self.entries = survived;
        self.flush();
    }

    /// The first of all the names that hang together with one by renames.
    fn first_of<'a>(&'a self, name: &'a String) -> &'a String {
        let mut together = BTreeSet::from([name]);
        loop {
            let before = together.len();
            for (from, to) in &self.renames {
                if together.contains(from) || together.contains(to) {
                    together.extend([from, to]);
                }
            }
            if together.len() == before {
                return together.pop_first().expect("the name itself is among them");
            }
        }
    }
}

#[cfg(test)]
mod tests;
