//! The state file: how other commands find the hub that runs on this machine.
//!
//! Its hub holds a lock beside it, so that a file left by a hub that was killed is known to be stale,
//! whatever process has that hub's number now.

use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::error::{Error, ErrorKind, Result};
use crate::home;
use crate::hub::private_file::{self, Readers};

/// What the file says.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct RunningHub {
    pub(super) pid: u32,
    pub(super) port: u16,
    pub(super) connection_string: String,
}

/// The file of a running hub; removed when dropped.
pub(super) struct StateFile {
    path: PathBuf,
    _lock: File,
}

impl StateFile {
    /// Write the file. `None` if another hub's is in place, which stays.
    pub(super) fn write(hub: &RunningHub) -> Result<Option<Self>> {
        let path = path()?;
        let failed = |error: std::io::Error| {
            let text = format!("{} can't be written: other commands will not find this hub", path.display());
            Error::new(ErrorKind::System, text).caused_by(error)
        };
        private_file::create_folder(path.parent().unwrap_or(Path::new("."))).map_err(failed)?;
        let Some(lock) = private_file::try_lock(&lock_path(&path)).map_err(failed)? else {
            return Ok(None);
        };
        let text = serde_json::to_vec_pretty(hub).map_err(|error| failed(error.into()))?;
        private_file::write(&path, &text, Readers::Owner).map_err(failed)?;
        Ok(Some(Self { path, _lock: lock }))
    }
}

impl Drop for StateFile {
    fn drop(&mut self) {
        // What remains is known to be stale.
        let _ = std::fs::remove_file(&self.path);
    }
}

/// The hub that runs on this machine, if one does.
pub(super) fn running_hub() -> Option<RunningHub> {
    let path = path().ok()?;
    let text = std::fs::read(&path).ok()?;
    let lock = File::open(lock_path(&path)).ok()?;
    match lock.try_lock_shared() {
        Err(TryLockError::WouldBlock) => serde_json::from_slice(&text).ok(),
        Ok(()) | Err(TryLockError::Error(_)) => None,
    }
}

fn path() -> Result<PathBuf> {
    let folder = home::data_dir().ok_or_else(|| {
        Error::new(
            ErrorKind::System,
            "this system names no home folder: set FERROHUB_HOME to a folder of yours",
        )
    })?;
    Ok(folder.join(home::STATE_FILE))
}

fn lock_path(path: &Path) -> PathBuf {
    path.with_extension("lock")
}
