//! What can be wrong with a file, said so that people know what to do. Never with a key in it.

use std::io;
use std::path::Path;

use redb::{DatabaseError, StorageError};

use super::Sort;
use crate::error::{Error, ErrorKind};

/// What can be wrong with the file of this sort at this path, and what to do then.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Problem<'path> {
    path: &'path Path,
    sort: &'static Sort,
}

impl<'path> Problem<'path> {
    pub(crate) fn new(path: &'path Path, sort: &'static Sort) -> Self {
        Self { path, sort }
    }

    pub(super) fn sort(self) -> &'static Sort {
        self.sort
    }

    /// An error about the file: what is wrong with it.
    pub(crate) fn text(self, what: &str) -> Error {
        Error::new(ErrorKind::System, format!("the {} {} {what}", self.sort.name, self.path.display()))
    }

    pub(super) fn database(self, error: DatabaseError) -> Error {
        use io::ErrorKind::{InvalidData, UnexpectedEof};
        match error {
            DatabaseError::DatabaseAlreadyOpen | DatabaseError::LockProtocolMismatch => self.in_use(),
            DatabaseError::Storage(StorageError::Io(error))
                if !matches!(error.kind(), InvalidData | UnexpectedEof) =>
            {
                self.unusable(error)
            }
            error => self.damaged().caused_by(error),
        }
    }

    fn in_use(self) -> Error {
        let process = match lock_holder(self.path) {
            Some(process) if process == std::process::id() => " in this process".to_owned(),
            Some(process) => format!(", in process {process}"),
            None => String::new(),
        };
        self.text(&format!("is in use by another {}{process}: {}", self.sort.owner, self.sort.in_use))
    }

    pub(super) fn unusable(self, error: io::Error) -> Error {
        self.text("can't be opened: check that its folder exists and that you may read and write it")
            .caused_by(error)
    }

    pub(crate) fn unwritable(self, error: redb::Error) -> Error {
        self.text("can't be written").caused_by(error)
    }

    pub(super) fn other_sort(self) -> Error {
        self.text(&format!("is not {}, and was left as it is: choose another file", self.sort.described))
    }

    pub(crate) fn damaged(self) -> Error {
        self.text(&format!("is damaged: {}", self.sort.damaged))
    }

    pub(super) fn newer(self, schema: u32) -> Error {
        self.text(&format!(
            "has format {schema}, and this version reads formats up to {}: use the newer version that wrote it, or choose another file",
            self.sort.schema
        ))
    }
}

/// The process that has locked this file, where the system tells.
#[cfg(target_os = "linux")]
fn lock_holder(path: &Path) -> Option<u32> {
    use std::os::unix::fs::MetadataExt;
    let inode = std::fs::metadata(path).ok()?.ino().to_string();
    let locks = std::fs::read_to_string("/proc/locks").ok()?;
    locks.lines().find_map(|line| {
        // 1: FLOCK ADVISORY WRITE <process> <device>:<device>:<inode> 0 EOF
        let fields: Vec<_> = line.split_whitespace().collect();
        let [_, _, _, _, process, file, ..] = fields[..] else { return None };
        file.rsplit(':').next().filter(|locked| *locked == inode).and_then(|_| process.parse().ok())
    })
}

#[cfg(not(target_os = "linux"))]
fn lock_holder(_path: &Path) -> Option<u32> {
    None
}
