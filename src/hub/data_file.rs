//! The data file: a redb database with one JSON record per device or module, texts that the hub keeps beside them,
//! the newest messages that devices sent, and a record that says whose it is.
//!
//! It is read whole when the hub starts and then only written. How it is opened, and what is refused, stands in
//! [`crate::database`].

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use redb::{AccessGuard, Database, ReadableDatabase, ReadableTable, TableDefinition};
use serde::{Deserialize, Serialize};

use super::entity::Entity;
use super::events::{Event, Log};
use super::store::{Changes, State};
use crate::database::{self, OWNER, OwnerRecord, Problem, Sort, to_json};
use crate::error::{Error, Result};
use crate::protocol::identity::IdentityId;

/// The hub's sort of file. Its schema changes whenever an older hub could not read what a newer one wrote.
static DATA_FILE: Sort = Sort {
    name: "data file",
    described: "a data file of a hub",
    owner: "hub",
    record: "hub",
    in_use: "stop that hub, or choose another file",
    damaged: "restore it from a copy, or move it away to begin with an empty hub",
    schema: 3,
};
const ENTITIES: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("entities");
const RECORDS: TableDefinition<'_, &str, &str> = TableDefinition::new("records");
/// What devices sent by number, which is the order in which it came.
const TELEMETRY: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("telemetry");
/// By partition: the sequence number of the next event.
const SEQUENCES: TableDefinition<'_, u64, u64> = TableDefinition::new("sequences");

/// An open data file.
pub(super) struct DataFile {
    path: PathBuf,
    database: Database,
}

/// Whose file it is.
#[derive(Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct HubRecord {
    schema: u32,
    pub(super) host_name: String,
    /// The key of the policy `iothubowner`, base64.
    pub(super) owner_key: String,
}

impl OwnerRecord for HubRecord {
    fn schema(&self) -> u32 {
        self.schema
    }
}

impl HubRecord {
    pub(super) fn new(host_name: String, owner_key: String) -> Self {
        Self { schema: DATA_FILE.schema, host_name, owner_key }
    }
}

/// What a data file holds.
#[derive(Default)]
pub(super) struct Stored {
    pub(super) state: State,
    pub(super) log: Log,
}

impl DataFile {
    /// Open a data file with what it holds, or create it. A new file has no record yet: [`Self::claim`]
    /// it.
    ///
    /// # Errors
    /// `System`, saying what is wrong with the file and what to do, without having changed it.
    pub(super) fn open(path: &Path) -> Result<(Self, Option<HubRecord>, Stored)> {
        let load = |database: &Database, record: Option<&HubRecord>| match record {
            Some(_) => read_all(database).map_err(|error| problem(path).damaged().caused_by(error)),
            None => Ok(Stored::default()),
        };
        let (database, record, stored) = database::open(path, &DATA_FILE, |_| Ok(()), load)?;
        Ok((Self { path: path.to_owned(), database }, record, stored))
    }

    /// A data file on any storage.
    #[cfg(test)]
    pub(super) fn of(path: &Path, database: Database) -> Self {
        Self { path: path.to_owned(), database }
    }

    /// Write down that no older hub can read the file, if its record doesn't say so yet.
    pub(super) fn claim_format(&self, record: &HubRecord) -> Result<()> {
        if record.schema == DATA_FILE.schema {
            return Ok(());
        }
        self.claim(&HubRecord { schema: DATA_FILE.schema, ..record.clone() })
    }

    /// Write down whose file it is.
    pub(super) fn claim(&self, record: &HubRecord) -> Result<()> {
        self.try_claim(record).map_err(|error| problem(&self.path).unwritable(error))
    }

    fn try_claim(&self, record: &HubRecord) -> Result<(), redb::Error> {
        let transaction = self.database.begin_write()?;
        transaction.open_table(OWNER)?.insert(DATA_FILE.record, to_json(record)?.as_slice())?;
        transaction.open_table(ENTITIES)?;
        Ok(transaction.commit()?)
    }

    /// Write changes; they are on disk when this returns (redb's default durability).
    pub(super) fn commit(&self, changes: &Changes) -> Result<()> {
        self.try_commit(changes).map_err(|error| problem(&self.path).unwritable(error))
    }

    fn try_commit(&self, changes: &Changes) -> Result<(), redb::Error> {
        let transaction = self.database.begin_write()?;
        if !changes.log.events.is_empty() {
            let mut telemetry = transaction.open_table(TELEMETRY)?;
            for (number, event) in &changes.log.events {
                telemetry.insert(number, to_json(&**event)?.as_slice())?;
            }
            telemetry.retain_in(..changes.log.first, |_, _| false)?;
            let mut sequences = transaction.open_table(SEQUENCES)?;
            for (partition, next) in (0..).zip(&changes.log.next) {
                sequences.insert(partition, next)?;
            }
        }
        {
            let mut entities = transaction.open_table(ENTITIES)?;
            for (id, entity) in &changes.entities {
                let key = id.to_string();
                match entity {
                    Some(entity) => entities.insert(key.as_str(), to_json(&**entity)?.as_slice())?,
                    None => entities.remove(key.as_str())?,
                };
            }
            let mut records = transaction.open_table(RECORDS)?;
            for (name, text) in &changes.records {
                match text {
                    Some(text) => records.insert(name.as_str(), &**text)?,
                    None => records.remove(name.as_str())?,
                };
            }
        }
        Ok(transaction.commit()?)
    }
}

fn problem(path: &Path) -> Problem<'_> {
    Problem::new(path, &DATA_FILE)
}

/// The file belongs to a hub of another name.
pub(super) fn other_host(path: &Path, theirs: &str, ours: &str) -> Error {
    problem(path).text(&format!(
        "belongs to the hub '{theirs}', and this hub is '{ours}': start it with that host name, or choose another file"
    ))
}

/// The file belongs to a hub with another owner key.
pub(super) fn other_key(path: &Path) -> Error {
    problem(path).text("belongs to a hub with another key of iothubowner: start it with the same key, or choose another file")
}

/// The file's log of events has another number of partitions.
pub(super) fn other_partitions(path: &Path, kept: usize, asked: usize) -> Error {
    problem(path).text(&format!(
        "has events in {kept} partitions, and the hub is to have {asked}: leave the number out, or choose another file"
    ))
}

fn read_all(database: &Database) -> Result<Stored, redb::Error> {
    Ok(Stored { state: read_state(database)?, log: read_log(database)? })
}

fn read_log(database: &Database) -> Result<Log, redb::Error> {
    let read = |entry: Result<(AccessGuard<'_, u64>, AccessGuard<'_, &[u8]>), _>| {
        let (number, record) = entry?;
        let event: Event = serde_json::from_slice(record.value()).map_err(io::Error::from)?;
        Ok::<_, redb::Error>((number.value(), Arc::new(event)))
    };
    let events = match database.begin_read()?.open_table(TELEMETRY) {
        Ok(table) => table.iter()?.map(read).collect::<Result<_, _>>()?,
        // Nothing has been sent yet.
        Err(redb::TableError::TableDoesNotExist(_)) => Vec::new(),
        Err(error) => return Err(error.into()),
    };
    let next = match database.begin_read()?.open_table(SEQUENCES) {
        Ok(table) => table.iter()?.map(|entry| Ok(entry?.1.value())).collect::<Result<_, redb::Error>>()?,
        Err(redb::TableError::TableDoesNotExist(_)) => Vec::new(),
        Err(error) => return Err(error.into()),
    };
    Ok(Log { first: 0, next, events })
}

fn read_state(database: &Database) -> Result<State, redb::Error> {
    let mut state = read_entities(database)?;
    let table = match database.begin_read()?.open_table(RECORDS) {
        Ok(table) => table,
        // Nothing was ever kept in it.
        Err(redb::TableError::TableDoesNotExist(_)) => return Ok(state),
        Err(error) => return Err(error.into()),
    };
    for entry in table.iter()? {
        let (name, text) = entry?;
        state.extend([(name.value().to_owned(), text.value().to_owned())]);
    }
    Ok(state)
}

fn read_entities(database: &Database) -> Result<State, redb::Error> {
    let table = database.begin_read()?.open_table(ENTITIES)?;
    let read = |entry: Result<(AccessGuard<'_, &str>, AccessGuard<'_, &[u8]>), _>| {
        let (key, record) = entry?;
        let id = IdentityId::parse(key.value()).map_err(|error| redb::Error::Corrupted(error.to_string()))?;
        let entity: Entity = serde_json::from_slice(record.value()).map_err(io::Error::from)?;
        Ok((id, entity))
    };
    table.iter()?.map(read).collect()
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::error::ErrorKind;

    fn record(schema: u32) -> HubRecord {
        HubRecord { schema, host_name: "localhost".into(), owner_key: "a2V5".into() }
    }

    fn change(id: IdentityId, entity: Option<Entity>) -> Changes {
        Changes { entities: [(id, entity.map(Into::into))].into(), ..Changes::default() }
    }

    fn refusal(path: &Path) -> String {
        let before = fs::read(path).ok();
        let Err(error) = DataFile::open(path) else { panic!("it was opened") };
        assert_eq!(error.kind(), ErrorKind::System);
        assert_eq!(fs::read(path).ok(), before, "the file was changed");
        let text = error.to_string();
        assert!(text.contains(&path.display().to_string()), "{text}");
        text
    }

    /// A data file with a few entities, closed.
    fn sample(folder: &Path) -> PathBuf {
        let path = folder.join("hub.redb");
        let (file, ..) = DataFile::open(&path).unwrap();
        file.claim(&record(DATA_FILE.schema)).unwrap();
        let entity: Entity = serde_json::from_value(serde_json::json!({
            "identity": {
                "generationId": "1", "revision": 1, "status": "enabled", "iotEdge": false, "parentScopes": [],
                "authentication": { "sas": { "primary": "cHJpbWFyeQ==", "secondary": "c2Vjb25kYXJ5" } }
            },
            "twin": crate::protocol::twin::Twin::new(0),
        }))
        .unwrap();
        for device in 0..200 {
            let id = IdentityId::device(format!("d{device}")).unwrap();
            file.commit(&change(id, Some(entity.clone()))).unwrap();
        }
        path
    }

    #[test]
    fn what_was_committed_is_there_after_opening_again() {
        let folder = tempfile::tempdir().unwrap();
        let path = sample(folder.path());
        let gone = IdentityId::device("d7").unwrap();
        let (file, ..) = DataFile::open(&path).unwrap();
        file.commit(&change(gone.clone(), None)).unwrap();
        let record = |name: &str, text: Option<&str>| (name.to_owned(), text.map(Into::into));
        for records in [
            [record("a/1", Some("one")), record("a/2", None)],
            [record("a/2", Some("two")), record("a/1", None)],
        ] {
            file.commit(&Changes { records: records.into(), ..Changes::default() }).unwrap();
        }
        drop(file);
        let (_file, record, Stored { state, .. }) = DataFile::open(&path).unwrap();
        assert_eq!((record.unwrap().host_name.as_str(), state.len()), ("localhost", 199));
        assert!(state.get(&gone).is_none());
        assert_eq!(state.records("a/").collect::<Vec<_>>(), [("a/2", "two")]);
        assert_eq!(state.records("b/").count(), 0);
    }

    #[test]
    fn what_devices_sent_is_there_after_opening_again_until_it_is_forgotten() {
        let folder = tempfile::tempdir().unwrap();
        let path = sample(folder.path());
        // As hubs wrote it that had no partitions.
        let event: Event = serde_json::from_value(serde_json::json!({
            "sender": "d7/m", "enqueuedUnixMillis": 5, "properties": "a=b", "body": "AP8=", "duplicate": false,
        }))
        .unwrap();
        let event = Arc::new(event);
        let numbered =
            |numbers: std::ops::Range<u64>| numbers.map(|number| (number, Arc::clone(&event))).collect();
        let (file, ..) = DataFile::open(&path).unwrap();
        for log in [
            Log { first: 0, next: vec![5, 0], events: numbered(0..5) },
            Log { first: 3, next: vec![7, 0], events: numbered(5..7) },
        ] {
            file.commit(&Changes { log, ..Changes::default() }).unwrap();
        }
        drop(file);
        let (_file, _, stored) = DataFile::open(&path).unwrap();
        assert_eq!(stored.log, Log { first: 0, next: vec![7, 0], events: numbered(3..7) });
    }

    #[cfg(unix)]
    #[test]
    fn only_its_owner_may_read_it() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let path = sample(folder.path());
        let mode = || fs::metadata(&path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(), 0o600);
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        DataFile::open(&path).unwrap();
        assert_eq!(mode(), 0o600);
    }

    #[test]
    fn a_file_in_use_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = sample(folder.path());
        let _open = DataFile::open(&path).unwrap();
        assert!(refusal(&path).contains("is in use by another hub"));
    }

    #[test]
    fn a_file_that_can_not_be_opened_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        assert!(refusal(&folder.path().join("missing/hub.redb")).contains("can't be opened"));
        assert!(refusal(folder.path()).contains("can't be opened"));
    }

    #[test]
    fn a_file_of_something_else_is_left_as_it_is() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("notes.txt");
        for content in ["notes", &"long notes ".repeat(10_000)] {
            fs::write(&path, content).unwrap();
            assert!(refusal(&path).contains("is not a data file of a hub"));
        }
        let path = folder.path().join("other.redb");
        let database = Database::create(&path).unwrap();
        let transaction = database.begin_write().unwrap();
        transaction.open_table(TableDefinition::<u64, u64>::new("theirs")).unwrap();
        transaction.commit().unwrap();
        drop(database);
        assert!(refusal(&path).contains("is not a data file of a hub"));
    }

    #[test]
    fn a_damaged_file_is_an_error_and_no_panic() {
        let folder = tempfile::tempdir().unwrap();
        let path = sample(folder.path());
        let whole = fs::read(&path).unwrap();
        for length in [10, 100, 4096, whole.len() / 2, whole.len() - 1] {
            fs::write(&path, &whole[..length]).unwrap();
            assert!(refusal_of_damage(&path), "truncated to {length}");
        }
        let mut torn = whole.clone();
        let record = torn.windows(10).position(|window| window == b"generation").unwrap();
        torn[record] ^= 1;
        fs::write(&path, &torn).unwrap();
        assert!(refusal_of_damage(&path));
    }

    fn refusal_of_damage(path: &Path) -> bool {
        DataFile::open(path).is_err_and(|error| error.to_string().contains("is damaged"))
    }

    #[test]
    fn a_newer_format_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("hub.redb");
        let (file, ..) = DataFile::open(&path).unwrap();
        file.claim(&record(DATA_FILE.schema + 1)).unwrap();
        drop(file);
        assert!(DataFile::open(&path).is_err_and(|error| error.to_string().contains("has format 4")));
    }

    #[test]
    fn a_file_of_an_older_hub_is_read_and_is_a_newer_ones_from_then_on() {
        let folder = tempfile::tempdir().unwrap();
        let path = sample(folder.path());
        let (file, ..) = DataFile::open(&path).unwrap();
        file.claim(&record(1)).unwrap();
        drop(file);
        let (file, old, stored) = DataFile::open(&path).unwrap();
        assert_eq!((old.as_ref().unwrap().schema, stored.state.len()), (1, 200));
        file.claim_format(&old.unwrap()).unwrap();
        drop(file);
        let (_, new, stored) = DataFile::open(&path).unwrap();
        assert_eq!((new.unwrap().schema, stored.state.len()), (DATA_FILE.schema, 200));
    }
}
