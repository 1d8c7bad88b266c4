//! A simulated disk with a file system: what was written, and what of it would survive.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::names::{Names, Node};
use super::pages::Pages;
use crate::buffer::BLOCK_SIZE_BYTES;
use crate::op::OpenOptions;
use crate::rng::Rng;

/// The unit that is written whole or not at all.
const SECTOR_SIZE_BYTES: usize = 512;
type Sector = [u8; SECTOR_SIZE_BYTES];

/// Number of a file's content, whatever its name.
pub(super) type Inode = u64;

/// Decides, for each thing that a crash leaves uncertain, whether it has happened. The things come
/// in an order that depends only on the run.
#[derive(Clone, Debug)]
pub struct Fate {
    rule: Rule,
    asked_count: u64,
}

#[derive(Clone, Debug)]
enum Rule {
    Nothing,
    Everything,
    Only(u64),
    AllBut(u64),
    First(u64),
    Subset(u64),
    Random(Rng, u64),
}

impl Fate {
    /// Nothing uncertain has happened.
    pub fn nothing() -> Fate {
        Rule::Nothing.into()
    }

    /// Everything has happened.
    pub fn everything() -> Fate {
        Rule::Everything.into()
    }

    /// Only the `n`th thing has happened.
    pub fn only(n: u64) -> Fate {
        Rule::Only(n).into()
    }

    /// Everything but the `n`th thing has happened.
    pub fn all_but(n: u64) -> Fate {
        Rule::AllBut(n).into()
    }

    /// The first `n` things have happened.
    pub fn first(n: u64) -> Fate {
        Rule::First(n).into()
    }

    /// The things whose bit is set have happened; from the 64th on none.
    pub fn subset(bits: u64) -> Fate {
        Rule::Subset(bits).into()
    }

    /// Each thing has happened with a probability that the seed chooses, too.
    pub fn random(seed: u64) -> Fate {
        let mut rng = Rng::from_seed(seed);
        let of_16 = 1 + rng.below(15);
        Rule::Random(rng, of_16).into()
    }

    /// How many things there were to decide.
    pub fn asked_count(&self) -> u64 {
        self.asked_count
    }

    pub(super) fn keeps(&mut self) -> bool {
        let number = self.asked_count;
        self.asked_count += 1;
        match &mut self.rule {
            Rule::Nothing => false,
            Rule::Everything => true,
            Rule::Only(n) => number == *n,
            Rule::AllBut(n) => number != *n,
            Rule::First(n) => number < *n,
            Rule::Subset(bits) => number < 64 && *bits >> number & 1 == 1,
            Rule::Random(rng, of_16) => rng.below(16) < *of_16,
        }
    }
}

impl From<Rule> for Fate {
    fn from(rule: Rule) -> Fate {
        Fate { rule, asked_count: 0 }
    }
}

#[derive(Clone, Debug, Default)]
struct Content {
    /// What reads see.
    bytes: Pages,
    /// What a loss of power leaves at least.
    flushed: Pages,
    /// By sector: the versions written since the last flush, with the number of their write.
    unflushed: BTreeMap<u64, Vec<(u64, Box<Sector>)>>,
    /// The size has changed since the last flush, by the write of this number.
    resized: Option<u64>,
    last_write: u64,
    /// Blocks that take no space.
    punched: BTreeSet<u64>,
}

/// The disk of one machine. A clone shares with it what neither of them has changed since.
#[derive(Clone, Debug)]
pub struct Disk {
    names: Names,
    contents: BTreeMap<Inode, Arc<Content>>,
    inodes_count: u64,
    capacity_bytes: u64,
}

impl Default for Disk {
    fn default() -> Disk {
        Disk::new()
    }
}

impl Disk {
    /// An empty disk with a root directory and no end.
    pub fn new() -> Disk {
        Disk::with_capacity(u64::MAX)
    }

    /// An empty disk that is full when its files have this size together.
    pub fn with_capacity(capacity_bytes: u64) -> Disk {
        Disk { names: Names::new(), contents: BTreeMap::new(), inodes_count: 0, capacity_bytes }
    }

    /// Changes the disk's size.
    pub fn set_capacity(&mut self, capacity_bytes: u64) {
        self.capacity_bytes = capacity_bytes;
    }

    /// The paths of all files.
    pub fn paths(&self) -> Vec<PathBuf> {
        self.names.files().into_iter().map(|(path, _)| path).collect()
    }

    /// A file's bytes, as its readers see them.
    pub fn file_bytes(&self, path: impl AsRef<Path>) -> Option<Vec<u8>> {
        match self.names.node(path.as_ref()).ok()? {
            Node::File(inode) => Some(self.contents[&inode].bytes.to_vec()),
            Node::Dir(_) => None,
        }
    }

    /// Replaces bytes of a file behind everybody's back, as a medium does that rots.
    pub fn overwrite(&mut self, path: impl AsRef<Path>, position: usize, bytes: &[u8]) {
        let content = self.content_at(path.as_ref());
        for image in [&mut content.bytes, &mut content.flushed] {
            if position + bytes.len() <= image.size_bytes() {
                image.write(position, bytes);
            }
        }
        for sector in position / SECTOR_SIZE_BYTES..=(position + bytes.len()) / SECTOR_SIZE_BYTES {
            content.unflushed.remove(&(sector as u64));
        }
    }

    /// Turns one bit of a file behind everybody's back, as a medium does that rots.
    pub fn flip(&mut self, path: impl AsRef<Path>, bit: usize) {
        let path = path.as_ref();
        let mut byte = [0];
        self.content_at(path).bytes.read(bit / 8, &mut byte);
        self.overwrite(path, bit / 8, &[byte[0] ^ 1 << (bit % 8)]);
    }

    /// Takes a file away behind everybody's back.
    pub fn remove(&mut self, path: impl AsRef<Path>) {
        self.names.forget(path.as_ref());
    }

    /// Cuts a file behind everybody's back.
    pub fn cut(&mut self, path: impl AsRef<Path>, size_bytes: usize) {
        let content = self.content_at(path.as_ref());
        content.bytes.truncate(size_bytes);
        content.flushed.truncate(size_bytes);
    }

    /// Everything becomes durable, as by sync(1).
    pub fn flush_everything(&mut self) {
        self.names.flush_everything();
        for content in self.contents.values_mut().filter(|content| content.is_unflushed()) {
            Arc::make_mut(content).flush(u64::MAX);
        }
    }

    pub(super) fn open(&mut self, path: &Path, options: OpenOptions) -> io::Result<Option<Inode>> {
        match self.names.node(path) {
            Ok(_) if options.create_new => Err(io::ErrorKind::AlreadyExists.into()),
            Ok(Node::File(_)) if options.directory => Err(io::ErrorKind::NotADirectory.into()),
            Ok(Node::File(inode)) => Ok(Some(inode)),
            Ok(Node::Dir(_)) if options.directory => Ok(None),
            Ok(Node::Dir(_)) => Err(io::ErrorKind::IsADirectory.into()),
            Err(error)
                if error.kind() == io::ErrorKind::NotFound
                    && (options.create || options.create_new) =>
            {
                self.names.add_file(path, self.inodes_count + 1)?;
                self.inodes_count += 1;
                self.contents.insert(self.inodes_count, Arc::default());
                Ok(Some(self.inodes_count))
            }
            Err(error) => Err(error),
        }
    }

    pub(super) fn read(&self, inode: Inode, position: u64, into: &mut [u8]) -> usize {
        let bytes = &self.contents[&inode].bytes;
        let end = bytes.size_bytes();
        let start = usize::try_from(position).map_or(end, |start| start.min(end));
        let size_bytes = into.len().min(end - start);
        bytes.read(start, &mut into[..size_bytes]);
        size_bytes
    }

    pub(super) fn write(
        &mut self,
        inode: Inode,
        position: u64,
        data: &[u8],
        durable: bool,
    ) -> io::Result<()> {
        let end = position + data.len() as u64;
        let growth = end.saturating_sub(self.size_bytes(inode));
        if self.free_bytes() < growth {
            return Err(io::ErrorKind::StorageFull.into());
        }
        let content = self.content(inode);
        content.write(position, data, &mut || true);
        if durable {
            // Like a write with FUA: nothing but its own sectors.
            let sectors = sectors_of(position, data.len());
            content.flush_sectors(sectors, u64::MAX);
            content.flush_size(index(end));
        }
        Ok(())
    }

    pub(super) fn write_some_sectors(
        &mut self,
        inode: Inode,
        position: u64,
        data: &[u8],
        mut keeps: impl FnMut() -> bool,
    ) {
        self.content(inode).write(position, data, &mut keeps);
    }

    pub(super) fn last_write(&self, inode: Inode) -> u64 {
        self.contents[&inode].last_write
    }

    pub(super) fn flush(&mut self, inode: Inode, up_to: u64) {
        // A file that was only read stays shared with the disk's copies.
        if self.contents[&inode].has_changes_to_flush() {
            self.content(inode).flush(up_to);
        }
    }

    /// A flush has failed: the kernel takes the pages for clean, the device does not have them.
    pub(super) fn forget_unflushed(&mut self, inode: Inode, up_to: u64) {
        for versions in self.content(inode).unflushed.values_mut() {
            versions.retain(|(number, _)| up_to < *number);
        }
    }

    pub(super) fn size_bytes(&self, inode: Inode) -> u64 {
        self.contents[&inode].bytes.size_bytes() as u64
    }

    pub(super) fn allocate(&mut self, inode: Inode, end: u64) -> io::Result<()> {
        let growth = end.saturating_sub(self.size_bytes(inode));
        if self.free_bytes() < growth {
            return Err(io::ErrorKind::StorageFull.into());
        }
        if 0 < growth {
            self.content(inode).resize(end);
        }
        Ok(())
    }

    /// Whole blocks become zeros that take no space, for good: were they to come back with a loss of
    /// power, so would the space that others have by then.
    pub(super) fn punch(&mut self, inode: Inode, position: u64, size_bytes: u64) {
        let end = (position + size_bytes).min(self.size_bytes(inode));
        let content = self.content(inode);
        if position < end {
            let zeros = vec![0; index(end - position)];
            content.write(position, &zeros, &mut || true);
            content.flush_sectors(sectors_of(position, zeros.len()), u64::MAX);
            let block = BLOCK_SIZE_BYTES as u64;
            content.punched.extend(position.div_ceil(block)..end / block);
        }
    }

    pub(super) fn truncate(&mut self, inode: Inode, size_bytes: u64) {
        self.content(inode).resize(size_bytes);
    }

    /// The names of its files and directories.
    pub(super) fn names(&self) -> &Names {
        &self.names
    }

    pub(super) fn names_mut(&mut self) -> &mut Names {
        &mut self.names
    }

    /// What its files take.
    pub fn used_bytes(&self) -> u64 {
        let used_bytes = |inode: &Inode| {
            let punched_bytes = self.contents[inode].punched.len() * BLOCK_SIZE_BYTES;
            self.size_bytes(*inode).saturating_sub(punched_bytes as u64)
        };
        self.names.files().iter().map(|(_, inode)| used_bytes(inode)).sum()
    }

    pub(super) fn free_bytes(&self) -> u64 {
        // Most disks of tests have no end, and what is on them need not be counted.
        if self.capacity_bytes == u64::MAX {
            return u64::MAX;
        }
        self.capacity_bytes.saturating_sub(self.used_bytes())
    }

    /// How much its files can take.
    pub fn capacity_bytes(&self) -> u64 {
        self.capacity_bytes
    }

    /// Everything that was not flushed is old or new, each thing by itself. Returns of how many
    /// writes something is lost.
    pub(super) fn lose_power(&mut self, fate: &mut Fate) -> u64 {
        let contents = self.contents.values_mut().filter(|content| content.is_unflushed());
        let lost_writes = contents.map(|content| Arc::make_mut(content).lose_power(fate)).sum();
        let named = |names: &Names| -> BTreeSet<Inode> {
            names.files().into_iter().map(|(_, inode)| inode).collect()
        };
        let before = named(&self.names);
        self.names.lose_power(fate);
        let after = named(&self.names);
        self.contents.retain(|inode, _| after.contains(inode));
        // The space of a file that comes back has been given to nobody meanwhile.
        let back_bytes: u64 = after.difference(&before).map(|inode| self.size_bytes(*inode)).sum();
        self.capacity_bytes = self.capacity_bytes.saturating_add(back_bytes);
        lost_writes
    }

    fn content(&mut self, inode: Inode) -> &mut Content {
        Arc::make_mut(self.contents.get_mut(&inode).expect("an open file's content exists"))
    }

    fn content_at(&mut self, path: &Path) -> &mut Content {
        let Ok(Node::File(inode)) = self.names.node(path) else {
            panic!("there is no file {}", path.display());
        };
        self.content(inode)
    }
}

impl Content {
    /// Whether a loss of power might change anything.
    fn is_unflushed(&self) -> bool {
        self.has_changes_to_flush() || self.bytes != self.flushed
    }

    /// Whether a flush would change anything. What a failed one has forgotten is not flushed.
    fn has_changes_to_flush(&self) -> bool {
        !self.unflushed.is_empty() || self.resized.is_some()
    }

    fn write(&mut self, position: u64, data: &[u8], keeps: &mut dyn FnMut() -> bool) {
        self.last_write += 1;
        let number = self.last_write;
        for sector in sectors_of(position, data.len()) {
            if !keeps() {
                continue;
            }
            let sector_start = sector * SECTOR_SIZE_BYTES as u64;
            let from = position.max(sector_start);
            let to = (position + data.len() as u64).min(sector_start + SECTOR_SIZE_BYTES as u64);
            if self.bytes.size_bytes() < index(to) {
                self.bytes.resize(index(to));
                self.resized = Some(number);
            }
            self.bytes.write(index(from), &data[index(from - position)..index(to - position)]);
            self.punched.remove(&(from / BLOCK_SIZE_BYTES as u64));
            let version = (number, Box::new(sector_at(&self.bytes, sector)));
            self.unflushed.entry(sector).or_default().push(version);
        }
    }

    fn resize(&mut self, size_bytes: u64) {
        self.last_write += 1;
        let number = self.last_write;
        let old = self.bytes.size_bytes();
        self.bytes.resize(index(size_bytes));
        self.resized = Some(number);
        if self.bytes.size_bytes() < old {
            let first_cut = size_bytes.div_ceil(SECTOR_SIZE_BYTES as u64);
            self.unflushed.retain(|sector, _| *sector < first_cut);
        }
    }

    fn flush(&mut self, up_to: u64) {
        let sectors: Vec<u64> = self.unflushed.keys().copied().collect();
        if self.resized.is_some_and(|number| number <= up_to) {
            self.flush_size(self.bytes.size_bytes());
            self.flushed.truncate(self.bytes.size_bytes());
        }
        self.flush_sectors(sectors, up_to);
    }

    fn flush_size(&mut self, size_bytes: usize) {
        if self.flushed.size_bytes() < size_bytes {
            self.flushed.resize(size_bytes);
        }
        if self.flushed.size_bytes() == self.bytes.size_bytes() {
            self.resized = None;
        }
    }

    fn flush_sectors(&mut self, sectors: impl IntoIterator<Item = u64>, up_to: u64) {
        for sector in sectors {
            let Some(versions) = self.unflushed.get_mut(&sector) else { continue };
            let later = versions.partition_point(|(number, _)| *number <= up_to);
            let newer = versions.split_off(later);
            if let Some((_, version)) = versions.pop() {
                put_sector(&mut self.flushed, sector, &version, self.bytes.size_bytes());
            }
            if newer.is_empty() {
                self.unflushed.remove(&sector);
            } else {
                *versions = newer;
            }
        }
    }

    fn lose_power(&mut self, fate: &mut Fate) -> u64 {
        let mut lost_writes = BTreeSet::new();
        let mut survived = std::mem::take(&mut self.flushed);
        if self.resized.take().is_some() && fate.keeps() {
            survived.resize(self.bytes.size_bytes());
        }
        let size_bytes = survived.size_bytes();
        for (sector, versions) in std::mem::take(&mut self.unflushed) {
            // The newest version that happened counts; an older one may be all that did.
            for (number, version) in versions.iter().rev() {
                if fate.keeps() {
                    put_sector(&mut survived, sector, version, size_bytes);
                    break;
                }
                lost_writes.insert(*number);
            }
        }
        survived.truncate(size_bytes);
        self.flushed = survived.clone();
        self.bytes = survived;
        lost_writes.len() as u64
    }
}

fn sectors_of(position: u64, size_bytes: usize) -> std::ops::Range<u64> {
    let sector = SECTOR_SIZE_BYTES as u64;
    position / sector..(position + size_bytes as u64).div_ceil(sector)
}

fn sector_at(bytes: &Pages, sector: u64) -> Sector {
    let start = index(sector) * SECTOR_SIZE_BYTES;
    let end = bytes.size_bytes().min(start + SECTOR_SIZE_BYTES);
    let mut copy = [0; SECTOR_SIZE_BYTES];
    bytes.read(start, &mut copy[..end - start]);
    copy
}

/// Puts a sector into an image, which grows with it up to `size_max`.
fn put_sector(image: &mut Pages, sector: u64, version: &Sector, size_max: usize) {
    let start = index(sector) * SECTOR_SIZE_BYTES;
    let end = (start + SECTOR_SIZE_BYTES).min(size_max);
    if start < end {
        if image.size_bytes() < end {
            image.resize(end);
        }
        image.write(start, &version[..end - start]);
    }
}

fn index(number: u64) -> usize {
    usize::try_from(number).expect("a simulated file fits into memory")
}
