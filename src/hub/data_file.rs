//! The data file: a redb database with one JSON record per device or module, and one that says whose it is.
//!
//! It is read whole when the hub starts and then only written. One process at a time has it (redb locks
//! it), only its owner may read it, and a file that isn't a hub's is left as it is.

use std::fs::{File, OpenOptions};
use std::io::{self, Read};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use redb::{
    AccessGuard, Builder, Database, DatabaseError, ReadOnlyDatabase, ReadableDatabase, ReadableTable,
    StorageError, TableDefinition,
};
use serde::{Deserialize, Serialize};

use super::entity::Entity;
use super::store::{Changes, State};
use crate::error::{Error, ErrorKind, Result};
use crate::protocol::identity::IdentityId;

/// Changes whenever an older hub could not read what a newer one wrote.
const SCHEMA: u32 = 1;
const HUB: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("ferrohub");
const ENTITIES: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("entities");
const HUB_RECORD: &str = "hub";
/// How every redb file begins.
const MAGIC: &[u8] = b"redb\x1A\x0A\xA9\x0D\x0A";
/// The file is read once; redb's own default of 1 GiB is for databases that are read from.
const CACHE_BYTES: usize = 4 << 20;

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

impl HubRecord {
    pub(super) fn new(host_name: String, owner_key: String) -> Self {
        Self { schema: SCHEMA, host_name, owner_key }
    }
}

impl DataFile {
    /// Open a data file with what it holds, or create it. The record of a new file is what `choose`
    /// makes of `None`; that of an old one is shown to it, to be refused if it is another hub's.
    ///
    /// # Errors
    /// `System`, saying what is wrong with the file and what to do, without having changed it.
    pub(super) fn open(
        path: &Path,
        choose: impl FnOnce(Option<&HubRecord>) -> Result<HubRecord>,
    ) -> Result<(Self, HubRecord, State)> {
        let new = create_private(path).map_err(|error| Problem(path).unusable(error))?;
        // A release build of redb answers a damaged file with an error; a debug build panics.
        let opened = catch_unwind(AssertUnwindSafe(|| {
            if !new {
                check_ours(path)?;
            }
            Self::load(path)
        }));
        let (file, record, state) = opened.unwrap_or_else(|_| Err(Problem(path).damaged()))?;
        let chosen = choose(record.as_ref())?;
        if record.is_none() {
            file.write_record(&chosen).map_err(|error| Problem(path).unwritable(error))?;
        }
        Ok((file, chosen, state))
    }

    fn load(path: &Path) -> Result<(Self, Option<HubRecord>, State)> {
        let problem = Problem(path);
        let mut builder = Builder::new();
        builder.set_cache_size(CACHE_BYTES).set_check_integrity_on_open(true);
        let database = builder.create(path).map_err(|error| problem.database(error))?;
        let record = read_record(&database, problem)?;
        let state = match &record {
            Some(record) if record.schema > SCHEMA => return Err(problem.newer(record.schema)),
            Some(_) => read_entities(&database).map_err(|error| problem.damaged().caused_by(error))?,
            None => State::default(),
        };
        Ok((Self { path: path.to_owned(), database }, record, state))
    }

    /// A data file on any storage.
    #[cfg(test)]
    pub(super) fn of(path: &Path, database: Database) -> Self {
        Self { path: path.to_owned(), database }
    }

    fn write_record(&self, record: &HubRecord) -> Result<(), redb::Error> {
        let transaction = self.database.begin_write()?;
        transaction.open_table(HUB)?.insert(HUB_RECORD, to_json(record)?.as_slice())?;
        transaction.open_table(ENTITIES)?;
        Ok(transaction.commit()?)
    }

    /// Write changes; they are on disk when this returns (redb's default durability).
    pub(super) fn commit(&self, changes: &Changes) -> Result<()> {
        self.try_commit(changes).map_err(|error| Problem(&self.path).unwritable(error))
    }

    fn try_commit(&self, changes: &Changes) -> Result<(), redb::Error> {
        let transaction = self.database.begin_write()?;
        {
            let mut entities = transaction.open_table(ENTITIES)?;
            for (id, entity) in changes {
                let key = id.to_string();
                match entity {
                    Some(entity) => entities.insert(key.as_str(), to_json(&**entity)?.as_slice())?,
                    None => entities.remove(key.as_str())?,
                };
            }
        }
        Ok(transaction.commit()?)
    }
}

fn to_json(record: &impl Serialize) -> io::Result<Vec<u8>> {
    Ok(serde_json::to_vec(record)?)
}

/// Create the file with mode 0600; false if it is there.
fn create_private(path: &Path) -> io::Result<bool> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    match options.open(path) {
        Ok(_) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(false),
        Err(error) => Err(error),
    }
}

/// Refuse a file of something else before anything is written to it.
fn check_ours(path: &Path) -> Result<()> {
    let problem = Problem(path);
    let mut beginning = Vec::new();
    let file = File::open(path).map_err(|error| problem.unusable(error))?;
    file.take(MAGIC.len() as u64).read_to_end(&mut beginning).map_err(|error| problem.unusable(error))?;
    if beginning.is_empty() {
        return Ok(());
    }
    if beginning != MAGIC {
        return Err(problem.not_ours());
    }
    // Fails if it is in use, damaged or was not closed well: opening it for writing tells which.
    match ReadOnlyDatabase::open(path) {
        Ok(database) => read_record(&database, problem).map(drop),
        Err(_) => Ok(()),
    }
}

/// The record that says whose file it is; none if the file is as empty as redb makes it.
fn read_record(database: &impl ReadableDatabase, problem: Problem<'_>) -> Result<Option<HubRecord>> {
    let read = || -> Result<Option<Vec<u8>>, redb::Error> {
        let transaction = database.begin_read()?;
        if transaction.list_tables()?.next().is_none() {
            return Ok(None);
        }
        let record = transaction.open_table(HUB)?.get(HUB_RECORD)?;
        Ok(Some(record.map_or_else(Vec::new, |record| record.value().to_vec())))
    };
    let record = read().map_err(|error| match error {
        redb::Error::TableDoesNotExist(_) | redb::Error::TableTypeMismatch { .. } => problem.not_ours(),
        error => problem.damaged().caused_by(error),
    })?;
    let parsed = record.map(|record| serde_json::from_slice(&record)).transpose();
    parsed.map_err(|error| problem.damaged().caused_by(error))
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

/// What can be wrong with the file at this path, and what to do then.
#[derive(Clone, Copy)]
pub(super) struct Problem<'path>(pub(super) &'path Path);

impl Problem<'_> {
    fn text(self, what: &str) -> Error {
        Error::new(ErrorKind::System, format!("the data file {} {what}", self.0.display()))
    }

    fn database(self, error: DatabaseError) -> Error {
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
        self.text("is in use by another hub: stop that hub, or choose another file")
    }

    fn unusable(self, error: io::Error) -> Error {
        self.text("can't be opened: check that its folder exists and that you may read and write it")
            .caused_by(error)
    }

    fn unwritable(self, error: redb::Error) -> Error {
        self.text("can't be written").caused_by(error)
    }

    fn not_ours(self) -> Error {
        self.text("is not a data file of a hub, and was left as it is: choose another file")
    }

    fn damaged(self) -> Error {
        self.text("is damaged: restore it from a copy, or move it away to begin with an empty hub")
    }

    fn newer(self, schema: u32) -> Error {
        self.text(&format!(
            "has format {schema}, and this version reads formats up to {SCHEMA}: use the newer version that wrote it, or choose another file"
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

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[expect(clippy::unnecessary_wraps, reason = "the signature is that of any choice")]
    fn choose(stored: Option<&HubRecord>) -> Result<HubRecord> {
        Ok(stored.cloned().unwrap_or_else(|| HubRecord::new("localhost".into(), "a2V5".into())))
    }

    fn refusal(path: &Path) -> String {
        let before = fs::read(path).ok();
        let Err(error) = DataFile::open(path, choose) else { panic!("it was opened") };
        assert_eq!(error.kind(), ErrorKind::System);
        assert_eq!(fs::read(path).ok(), before, "the file was changed");
        let text = error.to_string();
        assert!(text.contains(&path.display().to_string()), "{text}");
        text
    }

    /// A data file with a few entities, closed.
    fn sample(folder: &Path) -> PathBuf {
        let path = folder.join("hub.redb");
        let (file, ..) = DataFile::open(&path, choose).unwrap();
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
            file.commit(&Changes::from([(id, Some(entity.clone().into()))])).unwrap();
        }
        path
    }

    #[test]
    fn what_was_committed_is_there_after_opening_again() {
        let folder = tempfile::tempdir().unwrap();
        let path = sample(folder.path());
        let gone = IdentityId::device("d7").unwrap();
        let (file, ..) = DataFile::open(&path, choose).unwrap();
        file.commit(&Changes::from([(gone.clone(), None)])).unwrap();
        drop(file);
        let (_file, record, state) = DataFile::open(&path, choose).unwrap();
        assert_eq!((record.host_name.as_str(), state.len()), ("localhost", 199));
        assert!(state.get(&gone).is_none());
    }

    #[cfg(unix)]
    #[test]
    fn only_its_owner_may_read_it() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let path = sample(folder.path());
        assert_eq!(fs::metadata(path).unwrap().permissions().mode() & 0o777, 0o600);
    }

    #[test]
    fn a_file_in_use_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = sample(folder.path());
        let _open = DataFile::open(&path, choose).unwrap();
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
        DataFile::open(path, choose).is_err_and(|error| error.to_string().contains("is damaged"))
    }

    #[test]
    fn a_newer_format_and_another_hubs_file_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("hub.redb");
        let newer = |_: Option<&HubRecord>| {
            Ok(HubRecord { schema: SCHEMA + 1, host_name: "localhost".into(), owner_key: "a2V5".into() })
        };
        drop(DataFile::open(&path, newer).unwrap());
        assert!(DataFile::open(&path, choose).is_err_and(|error| error.to_string().contains("has format 2")));
    }
}
