//! Takes what can still be read from a damaged outbox, and never touches the damaged file itself but for its name.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use super::file::{OutboxFile, Sender, problem};
use super::record::{Found, Stored, scan};
use crate::error::{ErrorKind, Result};

/// How much is searched at a time. No record is longer than the overlap.
const CHUNK: usize = 16 << 20;
const OVERLAP: usize = 1 << 20;

/// Move a damaged outbox aside, to the same name with `.damaged` and a number, and begin a new one with the messages
/// that can still be read. Returns how many; none if the file is whole, which then stays as it is.
///
/// Some of them may have been delivered before.
///
/// # Errors
/// `Outbox` if nothing can be read or written, or a client has the file open.
pub fn recover(path: &Path) -> Result<Option<u64>> {
    let unusable = |error: io::Error| {
        problem(path).text("can't be recovered").caused_by(error).with_kind(ErrorKind::Outbox)
    };
    let remains = Remains::find(path).map_err(unusable)?;
    let Some(sender) = remains.sender else {
        let text = "holds nothing that can be recovered, and was left as it is";
        return Err(problem(path).text(text).with_kind(ErrorKind::Outbox));
    };
    match OutboxFile::open(path, &sender) {
        Ok(_) => return Ok(None),
        Err(error) if is_in_use(path).map_err(unusable)? => return Err(error),
        Err(_) => {}
    }
    let stored: Vec<Stored> = remains.messages.into_values().collect();
    let next_number = stored.last().map_or(remains.done, |last| last.number + 1).max(remains.done);
    let rescued = with_suffix(path, ".recovered");
    discard(&rescued).map_err(unusable)?;
    let (file, _) = OutboxFile::open(&rescued, &sender)?;
    file.commit(&stored, &[], next_number)?;
    drop(file);
    fs::rename(path, free_name(path)).map_err(unusable)?;
    fs::rename(&rescued, path).map_err(unusable)?;
    crate::database::keep_entry(path).map_err(unusable)?;
    Ok(Some(stored.len() as u64))
}

/// What a search of the file's bytes finds.
#[derive(Default)]
struct Remains {
    sender: Option<Sender>,
    messages: BTreeMap<u64, Stored>,
    /// Messages before this number have been delivered or given up.
    done: u64,
}

impl Remains {
    fn find(path: &Path) -> io::Result<Self> {
        let mut file = File::open(path)?;
        let mut remains = Self::default();
        let mut bytes = Vec::new();
        loop {
            let read = file.by_ref().take(CHUNK as u64).read_to_end(&mut bytes)?;
            let searched = if read == 0 { bytes.len() } else { bytes.len().saturating_sub(OVERLAP) };
            for found in scan(&bytes, searched) {
                match found {
                    Found::Message(stored) => _ = remains.messages.insert(stored.number, stored),
                    Found::DoneBefore(number) => remains.done = remains.done.max(number),
                    Found::Sender(json) => remains.sender = serde_json::from_slice(&json).ok(),
                }
            }
            bytes.drain(..searched);
            if read == 0 {
                remains.messages = remains.messages.split_off(&remains.done);
                return Ok(remains);
            }
        }
    }
}

fn is_in_use(path: &Path) -> io::Result<bool> {
    match File::options().read(true).write(true).open(path)?.try_lock() {
        Ok(()) => Ok(false),
        Err(fs::TryLockError::WouldBlock) => Ok(true),
        Err(fs::TryLockError::Error(error)) => Err(error),
    }
}

fn discard(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

/// The first of `.damaged`, `.damaged-2`, `.damaged-3` … that is free.
fn free_name(path: &Path) -> PathBuf {
    let first = with_suffix(path, ".damaged");
    let numbered = (2..).map(|number| with_suffix(path, &format!(".damaged-{number}")));
    std::iter::once(first.clone()).chain(numbered).find(|name| !name.exists()).unwrap_or(first)
}
