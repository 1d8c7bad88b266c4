//! The folder of a run in progress: each thing that was measured in a file of its own, so that a run
//! that is stopped goes on where it was.
//!
//! ```text
//! scenario.toml      what is being run; another scenario is refused
//! matrix.json        where and when it began, the host
//! runs/NAME.json     one run of a cell, in numbers
//! runs/NAME.trace    everything that was seen of it, for pictures
//! ```
//!
//! Guarantees: a file is there whole or not at all. Does not know: what is in it.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::units::file_name;

/// Why something is not kept, or not found again.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    #[error("cannot write {path}")]
    Write { path: PathBuf, source: io::Error },
    #[error("cannot read {path}")]
    Read { path: PathBuf, source: io::Error },
    #[error("cannot put {path} into words")]
    Encode { path: PathBuf, source: serde_json::Error },
    #[error("{path} is not what was written there")]
    Damaged { path: PathBuf, source: serde_json::Error },
    #[error(
        "{folder} has the runs of another scenario in it: choose another folder with --out, or \
         remove it"
    )]
    OtherScenario { folder: PathBuf },
}

/// Longer names are cut and told apart by a number.
const NAME_LENGTH_MAX: usize = 180;
const RUNS: &str = "runs";

/// A folder.
#[derive(Clone, Debug)]
pub struct Store {
    folder: PathBuf,
}

impl Store {
    /// Opens a folder for a scenario, whose text must be what it was when it began.
    pub fn open(folder: &Path, scenario: &str) -> Result<Store, StoreError> {
        let store = Store { folder: folder.to_owned() };
        let runs = folder.join(RUNS);
        fs::create_dir_all(&runs).map_err(|source| StoreError::Write { path: runs, source })?;
        let path = folder.join("scenario.toml");
        match fs::read_to_string(&path) {
            Ok(known) if known == scenario => {}
            Ok(_) => return Err(StoreError::OtherScenario { folder: folder.to_owned() }),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                store.put_text(&path, scenario)?;
            }
            Err(source) => return Err(StoreError::Read { path, source }),
        }
        Ok(store)
    }

    /// Opens a folder as it is; the second is its scenario's text.
    pub fn read(folder: &Path) -> Result<(Store, String), StoreError> {
        let path = folder.join("scenario.toml");
        let text = fs::read_to_string(&path).map_err(|source| StoreError::Read { path, source })?;
        Ok((Store { folder: folder.to_owned() }, text))
    }

    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Keeps a value under a name.
    pub fn put(&self, name: &str, value: &impl Serialize) -> Result<(), StoreError> {
        let path = self.path(name);
        let text = serde_json::to_string(value)
            .map_err(|source| StoreError::Encode { path: path.clone(), source })?;
        self.put_text(&path, &text)
    }

    /// The value of a name, if there is one.
    pub fn get<T: DeserializeOwned>(&self, name: &str) -> Result<Option<T>, StoreError> {
        let path = self.path(name);
        let text = match fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(source) => return Err(StoreError::Read { path, source }),
        };
        let value = serde_json::from_str(&text);
        value.map(Some).map_err(|source| StoreError::Damaged { path, source })
    }

    /// Whether the runs themselves are there.
    pub fn has_runs(&self) -> bool {
        let entries = fs::read_dir(self.path(RUNS));
        entries.is_ok_and(|mut entries| entries.next().is_some())
    }

    pub fn has(&self, name: &str) -> bool {
        self.path(name).exists()
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    fn put_text(&self, path: &Path, text: &str) -> Result<(), StoreError> {
        let failed = |source| StoreError::Write { path: path.to_owned(), source };
        let mut new = path.as_os_str().to_owned();
        new.push(".new");
        fs::write(&new, text).and_then(|()| fs::rename(&new, path)).map_err(failed)
    }
}

/// The name of something of a run, made of its parts.
pub(super) fn run_name(parts: &[&str], kind: &str) -> String {
    let name = file_name(&parts.join(" "));
    let name = match NAME_LENGTH_MAX < name.len() {
        false => name,
        true => {
            let sum = name.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |sum, byte| {
                (sum ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
            });
            format!("{}-{sum:016x}", &name[..NAME_LENGTH_MAX])
        }
    };
    format!("{RUNS}/{name}.{kind}")
}
