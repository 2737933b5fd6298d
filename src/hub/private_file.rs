//! Files that other programs must never see half-written, and files that only their owner may read.
//!
//! A file is written under another name and renamed. Under sudo it is given to the invoking user, whose
//! programs share it. Used for the local CA and the command's state file.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Write};
use std::path::Path;

/// Who may read a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Readers {
    /// Mode 0600.
    Owner,
    /// Mode 0644.
    Everyone,
}

/// Create a folder and those above it, unless it is there.
pub(crate) fn create_folder(path: &Path) -> io::Result<()> {
    if path.is_dir() {
        return Ok(());
    }
    fs::create_dir_all(path)?;
    give_to_invoking_user(path)
}

/// Replace a file's content at once.
pub(crate) fn write(path: &Path, content: &[u8], readers: Readers) -> io::Result<()> {
    let temporary = path.with_extension(format!("{}.tmp", uuid::Uuid::new_v4().simple()));
    let written = write_new(&temporary, content, readers).and_then(|()| fs::rename(&temporary, path));
    if written.is_err() {
        // The first error is the one to tell.
        let _ = fs::remove_file(&temporary);
    }
    written
}

fn write_new(path: &Path, content: &[u8], readers: Readers) -> io::Result<()> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(
        &mut options,
        if readers == Readers::Owner { 0o600 } else { 0o644 },
    );
    #[cfg(not(unix))]
    let _ = readers;
    let mut file = options.open(path)?;
    file.write_all(content)?;
    file.sync_all()?;
    give_to_invoking_user(path)
}

/// Wait for the exclusive lock of this file; dropping it lets the next one in.
pub(crate) fn lock(path: &Path) -> io::Result<File> {
    let file = open_lock(path)?;
    file.lock()?;
    Ok(file)
}

/// Take the exclusive lock of this file, unless another process has it.
pub(crate) fn try_lock(path: &Path) -> io::Result<Option<File>> {
    let file = open_lock(path)?;
    match file.try_lock() {
        Ok(()) => Ok(Some(file)),
        Err(TryLockError::WouldBlock) => Ok(None),
        Err(TryLockError::Error(error)) => Err(error),
    }
}

fn open_lock(path: &Path) -> io::Result<File> {
    let file = OpenOptions::new().write(true).create(true).truncate(false).open(path)?;
    give_to_invoking_user(path)?;
    Ok(file)
}

#[cfg(unix)]
fn give_to_invoking_user(path: &Path) -> io::Result<()> {
    let number = |name| std::env::var(name).ok().and_then(|value| value.parse::<u32>().ok());
    match (number("SUDO_UID"), number("SUDO_GID")) {
        // Without the rights to do so (sudo to another user than root) it stays as it is.
        (Some(user), Some(group)) => match std::os::unix::fs::chown(path, Some(user), Some(group)) {
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => Ok(()),
            result => result,
        },
        _ => Ok(()),
    }
}

#[cfg(not(unix))]
fn give_to_invoking_user(_path: &Path) -> io::Result<()> {
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_replaced_at_once_and_nothing_is_left_beside_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file.json");
        for content in [&b"first"[..], b"second"] {
            write(&path, content, Readers::Owner).unwrap();
            assert_eq!(fs::read(&path).unwrap(), content);
        }
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
        assert!(write(&folder.path().join("none/file"), b"", Readers::Owner).is_err());
    }

    #[test]
    fn a_lock_lets_one_in_at_a_time() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("lock");
        let held = lock(&path).unwrap();
        assert!(try_lock(&path).unwrap().is_none());
        drop(held);
        assert!(try_lock(&path).unwrap().is_some());
    }
}
