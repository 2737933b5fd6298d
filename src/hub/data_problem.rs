//! What can be wrong with a data file, said so that people know what to do. Never with a key in it.

use std::io;
use std::path::Path;

use redb::{DatabaseError, StorageError};

use crate::error::{Error, ErrorKind};

/// What can be wrong with the file at this path, and what to do then.
#[derive(Clone, Copy)]
pub(super) struct Problem<'path>(pub(super) &'path Path);

impl Problem<'_> {
    fn text(self, what: &str) -> Error {
        Error::new(ErrorKind::System, format!("the data file {} {what}", self.0.display()))
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

    pub(super) fn in_use(self) -> Error {
        self.text("is in use by another hub: stop that hub, or choose another file")
    }

    pub(super) fn unusable(self, error: io::Error) -> Error {
        self.text("can't be opened: check that its folder exists and that you may read and write it")
            .caused_by(error)
    }

    pub(super) fn unwritable(self, error: redb::Error) -> Error {
        self.text("can't be written").caused_by(error)
    }

    pub(super) fn not_ours(self) -> Error {
        self.text("is not a data file of a hub, and was left as it is: choose another file")
    }

    pub(super) fn damaged(self) -> Error {
        self.text("is damaged: restore it from a copy, or move it away to begin with an empty hub")
    }

    pub(super) fn newer(self, schema: u32, newest: u32) -> Error {
        self.text(&format!(
            "has format {schema}, and this version reads formats up to {newest}: use the newer version that wrote it, or choose another file"
        ))
    }

    /// The file belongs to a hub of another name.
    pub(super) fn other_host(self, theirs: &str, ours: &str) -> Error {
        self.text(&format!(
            "belongs to the hub '{theirs}', and this hub is '{ours}': start it with that host name, or choose another file"
        ))
    }

    /// The file belongs to a hub with another owner key.
    pub(super) fn other_key(self) -> Error {
        self.text("belongs to a hub with another key of iothubowner: start it with the same key, or choose another file")
    }
}
