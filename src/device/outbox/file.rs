//! The outbox's file: messages under ascending numbers, and whose they are.
//!
//! Written by one thread (`keeper`); every commit is on disk when it returns.

use std::path::{Path, PathBuf};

use redb::{Database, ReadableDatabase, ReadableTable, ReadableTableMetadata, TableDefinition};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::record::{Stored, decode_done, encode_done, encode_sender};
use crate::database::{self, OWNER, OwnerRecord, Problem, Sort, to_json};
use crate::error::{Error, ErrorKind, Result};

/// The device's sort of file. Its schema changes whenever an older client could not read what a newer one wrote.
static OUTBOX: Sort = Sort {
    name: "outbox",
    described: "an outbox of a client",
    owner: "client",
    record: "outbox",
    in_use: "one client at a time can have it. Shut that one down, or choose another file",
    damaged: "it was left as it is. `Outbox.recover()` moves it aside and takes over the messages that can still be read",
    schema: 1,
};
const MESSAGES: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("messages");
/// The key of the note of what is done, beside the owner's record.
const DONE: &str = "done";
/// The owner's record as it is found in a damaged file: alone, so that it stays where it was written first.
const SENDER: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("sender");
/// How much is copied at a time when a file is written again.
const COPY_BYTES: u64 = 4 << 20;

/// Whose messages a file holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Sender {
    schema: u32,
    /// Without a port.
    host_name: String,
    device_id: String,
    module_id: Option<String>,
    /// Tells this file from others of the same sender.
    file_id: Uuid,
}

impl Sender {
    pub(super) fn new(host_name: &str, device_id: &str, module_id: Option<&str>) -> Self {
        Self {
            schema: OUTBOX.schema,
            host_name: host_name.to_ascii_lowercase(),
            device_id: device_id.to_owned(),
            module_id: module_id.map(str::to_owned),
            file_id: Uuid::new_v4(),
        }
    }

    fn is(&self, other: &Self) -> bool {
        (&self.host_name, &self.device_id, &self.module_id)
            == (&other.host_name, &other.device_id, &other.module_id)
    }

    /// `device/module at host`.
    fn describe(&self) -> String {
        let module = self.module_id.as_ref().map_or_else(String::new, |module| format!("/{module}"));
        format!("'{}{module}' at '{}'", self.device_id, self.host_name)
    }
}

impl OwnerRecord for Sender {
    fn schema(&self) -> u32 {
        self.schema
    }
}

/// What a file holds when it is opened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Contents {
    /// How many messages, and how many bytes they count.
    pub(super) messages: u64,
    pub(super) bytes: u64,
    /// The number of the next message.
    pub(super) next_number: u64,
}

/// An open outbox file.
pub(super) struct OutboxFile {
    path: PathBuf,
    database: Database,
    id: Uuid,
}

impl OutboxFile {
    /// Open the file of this sender, or create it.
    ///
    /// # Errors
    /// `Outbox`, saying what is wrong with the file and what to do, without having changed it.
    pub(super) fn open(path: &Path, sender: &Sender) -> Result<(Self, Contents)> {
        let accept = |owner: &Sender| match owner {
            owner if owner.is(sender) => Ok(()),
            owner => Err(other_sender(path, owner, sender)),
        };
        let contents = |database: &Database, owner: Option<&Sender>| match owner {
            Some(_) => read_contents(database).map_err(|error| problem(path).damaged().caused_by(error)),
            None => Ok(Contents::default()),
        };
        let (database, owner, contents) =
            database::open(path, &OUTBOX, accept, contents).map_err(of_outbox)?;
        let id = owner.as_ref().unwrap_or(sender).file_id;
        let file = Self { path: path.to_owned(), database, id };
        if owner.is_none() {
            file.claim(sender).map_err(|error| file.unwritable(error))?;
        }
        Ok((file, contents))
    }

    /// Stays the same as long as the file does.
    pub(super) fn id(&self) -> Uuid {
        self.id
    }

    fn claim(&self, sender: &Sender) -> Result<(), redb::Error> {
        let transaction = self.database.begin_write()?;
        let record = to_json(sender)?;
        transaction.open_table(SENDER)?.insert(OUTBOX.record, encode_sender(&record).as_slice())?;
        transaction.open_table(OWNER)?.insert(OUTBOX.record, record.as_slice())?;
        transaction.open_table(MESSAGES)?;
        Ok(transaction.commit()?)
    }

    /// Store these messages and remove those under these numbers; on disk when this returns. `next_number` is the
    /// one after the last that was ever given.
    ///
    /// # Errors
    /// `Outbox`: nothing has changed, and the file has to be opened anew.
    pub(super) fn commit(&self, added: &[Stored], removed: &[u64], next_number: u64) -> Result<()> {
        let committed = self.try_commit(added, removed, next_number);
        committed.map_err(|error| self.unwritable(error))
    }

    fn try_commit(&self, added: &[Stored], removed: &[u64], next_number: u64) -> Result<(), redb::Error> {
        let transaction = self.database.begin_write()?;
        {
            let mut messages = transaction.open_table(MESSAGES)?;
            for number in removed {
                messages.remove(number)?;
            }
            for stored in added {
                messages.insert(stored.number, stored.encode().as_slice())?;
            }
            let mut owner = transaction.open_table(OWNER)?;
            let first = messages.first()?.map(|(number, _)| number.value());
            owner.insert(DONE, encode_done(first.unwrap_or(next_number)).as_slice())?;
        }
        Ok(transaction.commit()?)
    }

    /// The first messages from this number on: so many, or so many bytes.
    ///
    /// # Errors
    /// `Outbox`; the file has to be opened anew.
    pub(super) fn read(&self, from: u64, most: usize, most_bytes: u64) -> Result<Vec<Stored>> {
        let read = || -> Result<Vec<Stored>, redb::Error> {
            let messages = self.database.begin_read()?.open_table(MESSAGES)?;
            let mut found = Vec::new();
            let mut bytes = 0;
            for entry in messages.range(from..)? {
                let stored = decode(entry?.1.value())?;
                bytes += stored.message.size();
                found.push(stored);
                if found.len() >= most || bytes >= most_bytes {
                    break;
                }
            }
            Ok(found)
        };
        read().map_err(|error| of_outbox(problem(&self.path).text("can't be read").caused_by(error)))
    }

    /// Copy all messages to a new file.
    pub(super) fn copy_to(&self, file: &Self, next_number: u64) -> Result<()> {
        let mut from = 0;
        loop {
            let some = self.read(from, usize::MAX, COPY_BYTES)?;
            let Some(last) = some.last() else { return Ok(()) };
            from = last.number + 1;
            file.commit(&some, &[], next_number)?;
        }
    }

    /// How much disk it takes.
    pub(super) fn length(&self) -> u64 {
        std::fs::metadata(&self.path).map_or(0, |metadata| metadata.len())
    }

    /// Delete the file.
    pub(super) fn remove(&self) -> Result<()> {
        std::fs::remove_file(&self.path).map_err(|error| self.unwritable(error.into()))
    }

    /// What it holds can't be read any more.
    pub(super) fn damaged(&self) -> Error {
        of_outbox(problem(&self.path).damaged())
    }

    fn unwritable(&self, error: redb::Error) -> Error {
        of_outbox(problem(&self.path).unwritable(error))
    }
}

fn read_contents(database: &Database) -> Result<Contents, redb::Error> {
    let transaction = database.begin_read()?;
    let messages = transaction.open_table(MESSAGES)?;
    let done = transaction.open_table(OWNER)?.get(DONE)?.map(|note| note.value().to_vec());
    let next_number = done.and_then(|note| decode_done(&note)).unwrap_or_default();
    let mut contents = Contents { messages: messages.len()?, bytes: 0, next_number };
    for entry in messages.iter()? {
        let (number, record) = entry?;
        contents.bytes += decode(record.value())?.message.size();
        contents.next_number = number.value() + 1;
    }
    Ok(contents)
}

fn decode(record: &[u8]) -> Result<Stored, redb::Error> {
    Stored::decode(record).ok_or_else(|| redb::Error::Corrupted("a message is not whole".to_owned()))
}

/// What can be wrong with an outbox file.
pub(super) fn problem(path: &Path) -> Problem<'_> {
    Problem::new(path, &OUTBOX)
}

pub(super) fn of_outbox(error: Error) -> Error {
    error.with_kind(ErrorKind::Outbox)
}

fn other_sender(path: &Path, theirs: &Sender, ours: &Sender) -> Error {
    problem(path).text(&format!(
        "holds messages of {}, and this client is {}: give each client a file of its own",
        theirs.describe(),
        ours.describe()
    ))
}
