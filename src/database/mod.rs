//! Files that keep what must survive a crash: redb databases, each of one sort and with one owner at a time.
//!
//! A file is opened without harm: what is not of this sort, newer, damaged or in use is an error that says what to do,
//! and is left as it is. Only its owner may read it. Used for the hub's data file and the device's outbox.

mod problem;

use std::fs::{File, OpenOptions};
use std::io::{self, Read};
use std::panic::{self, AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use redb::{Builder, Database, ReadOnlyDatabase, ReadableDatabase, TableDefinition};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::error::Result;

pub(crate) use problem::Problem;

/// The table that says of what sort a file is, and whose.
pub(crate) const OWNER: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("ferrohub");
/// How every redb file begins.
const MAGIC: &[u8] = b"redb\x1A\x0A\xA9\x0D\x0A";
/// Files are read once and then mostly written; redb's own default of 1 GiB is for databases that are read from.
const CACHE_BYTES: usize = 4 << 20;

/// A sort of file: how it is told from others, and how errors speak of it.
#[derive(Debug)]
pub(crate) struct Sort {
    /// What errors call it: "data file".
    pub(crate) name: &'static str,
    /// What it is: "a data file of a hub".
    pub(crate) described: &'static str,
    /// Who has one: "hub".
    pub(crate) owner: &'static str,
    /// The key of the record that says whose it is.
    pub(crate) record: &'static str,
    /// What to do if another has it open.
    pub(crate) in_use: &'static str,
    /// What to do if it is damaged.
    pub(crate) damaged: &'static str,
    /// The newest format that this version reads.
    pub(crate) schema: u32,
}

/// Whose a file is, as it says itself.
pub(crate) trait OwnerRecord: Serialize + DeserializeOwned {
    /// The format of the file.
    fn schema(&self) -> u32;
}

/// Open a file of this sort, or create it: then it has no record yet. `accept` refuses those of other owners, `load`
/// reads what else it holds.
///
/// # Errors
/// `System`, saying what is wrong with the file and what to do, without having changed it.
pub(crate) fn open<R: OwnerRecord, T>(
    path: &Path,
    sort: &'static Sort,
    accept: impl Fn(&R) -> Result<()>,
    load: impl FnOnce(&Database, Option<&R>) -> Result<T>,
) -> Result<(Database, Option<R>, T)> {
    let problem = Problem::new(path, sort);
    create_private(path).map_err(|error| problem.unusable(error))?;
    // redb answers nearly all damage with an error, and panics at the rest.
    let opened = without_panic_report(|| {
        check_sort(path, problem, &accept)?;
        let mut builder = Builder::new();
        builder.set_cache_size(CACHE_BYTES).set_check_integrity_on_open(true);
        let database = builder.create(path).map_err(|error| problem.database(error))?;
        let record: Option<R> = read_record(&database, problem, &accept)?;
        let loaded = load(&database, record.as_ref())?;
        make_private(path).map_err(|error| problem.unusable(error))?;
        Ok((database, record, loaded))
    });
    opened.unwrap_or_else(|_| Err(problem.damaged()))
}

/// Create the file unless it is there, for its owner only.
fn create_private(path: &Path) -> io::Result<()> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    match options.open(path) {
        Ok(_) => keep_entry(path),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        Err(error) => Err(error),
    }
}

/// Bring a new file's entry in its folder to disk: without it, a power cut takes the whole file.
pub(crate) fn keep_entry(path: &Path) -> io::Result<()> {
    #[cfg(unix)]
    {
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
        File::open(folder.unwrap_or(Path::new(".")))?.sync_all()?;
    }
    #[cfg(not(unix))]
    let _ = path;
    Ok(())
}

/// Nobody but the owner may read keys and messages, whoever copied the file here.
fn make_private(path: &Path) -> io::Result<()> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600))?;
    }
    #[cfg(not(unix))]
    let _ = path;
    Ok(())
}

/// Refuse a file of something else before anything is written to it.
fn check_sort<R: OwnerRecord>(
    path: &Path,
    problem: Problem<'_>,
    accept: impl Fn(&R) -> Result<()>,
) -> Result<()> {
    let mut beginning = Vec::new();
    let file = File::open(path).map_err(|error| problem.unusable(error))?;
    file.take(MAGIC.len() as u64).read_to_end(&mut beginning).map_err(|error| problem.unusable(error))?;
    if beginning.is_empty() {
        return Ok(());
    }
    if beginning != MAGIC {
        return Err(problem.other_sort());
    }
    // Fails if it is in use, damaged or was not closed well: opening it for writing tells which.
    match ReadOnlyDatabase::open(path) {
        Ok(database) => read_record(&database, problem, accept).map(drop),
        Err(_) => Ok(()),
    }
}

/// The record that says whose file it is; none if the file is as empty as redb makes it.
fn read_record<R: OwnerRecord>(
    database: &impl ReadableDatabase,
    problem: Problem<'_>,
    accept: impl Fn(&R) -> Result<()>,
) -> Result<Option<R>> {
    let key = problem.sort().record;
    let read = || -> Result<Option<Option<Vec<u8>>>, redb::Error> {
        let transaction = database.begin_read()?;
        if transaction.list_tables()?.next().is_none() {
            return Ok(None);
        }
        let record = transaction.open_table(OWNER)?.get(key)?;
        Ok(Some(record.map(|record| record.value().to_vec())))
    };
    let record = read().map_err(|error| match error {
        redb::Error::TableDoesNotExist(_) | redb::Error::TableTypeMismatch { .. } => problem.other_sort(),
        error => problem.damaged().caused_by(error),
    })?;
    let Some(record) = record else { return Ok(None) };
    let record = record.ok_or_else(|| problem.other_sort())?;
    let record: R = serde_json::from_slice(&record).map_err(|error| problem.damaged().caused_by(error))?;
    if record.schema() > problem.sort().schema {
        return Err(problem.newer(record.schema()));
    }
    accept(&record)?;
    Ok(Some(record))
}

/// A record as it stands in a table.
pub(crate) fn to_json(record: &impl Serialize) -> io::Result<Vec<u8>> {
    Ok(serde_json::to_vec(record)?)
}

/// Catch a panic without its report on stderr: the caller turns it into an error that says more.
fn without_panic_report<T>(work: impl FnOnce() -> T) -> std::thread::Result<T> {
    // The report is the whole process's: two at a time would take away each other's.
    static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
    let _turn = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    let reporter = panic::take_hook();
    panic::set_hook(Box::new(|_| {}));
    let result = catch_unwind(AssertUnwindSafe(work));
    panic::set_hook(reporter);
    result
}
