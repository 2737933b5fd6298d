//! `ferrohub devices`: many identities at once, from lines as an export of a hub writes them.
//!
//! <https://learn.microsoft.com/azure/iot-hub/iot-hub-bulk-identity-mgmt>

use std::fs::File;
use std::io::{BufRead, BufReader, IsTerminal, stdin};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use indicatif::{ProgressBar, ProgressStyle};
use serde::Deserialize;
use serde_json::{Map, Value};
use tokio::task::JoinSet;

use super::hub_to_ask::{HubToAsk, TIMEOUT, failure, refusal, transport};
use super::output::{complain, say};
use crate::error::{Error, ErrorKind, Result};
use crate::http::{Request, Response};
use crate::service::{RetryPolicy, Transport};

/// Identities in one request: as many as a hub takes.
const LARGEST_REQUEST: usize = 100;
const BAR: &str = "{bar:40} {human_pos} of {human_len} ({per_sec}, {eta} left)";
const COUNTER: &str = "{spinner} {human_pos} ({per_sec})";

#[derive(Debug, clap::Subcommand)]
pub(super) enum Devices {
    /// Create, change or delete the devices and modules of a file, one line of JSON for each, as an export writes them
    Import(Import),
}

#[derive(Debug, clap::Args)]
pub(super) struct Import {
    /// The file, or - for standard input; a line is {"id": …} with "moduleId", "status", "tags" and so on
    file: PathBuf,
    /// What to do with lines that don't say so as their "importMode"
    #[arg(long, value_enum, default_value_t = Mode::Create)]
    mode: Mode,
    /// How many requests, each of 100 lines, are under way at once
    #[arg(long, value_name = "REQUESTS", default_value_t = 10, value_parser = clap::value_parser!(u16).range(1..=100))]
    at_once: u16,
    #[command(flatten)]
    hub: HubToAsk,
}

/// Of the hub's import modes those that a whole file can have: the others need an `ETag` for each line.
#[derive(Clone, Copy, Debug, clap::ValueEnum)]
#[value(rename_all = "camelCase")]
enum Mode {
    Create,
    Update,
    UpdateTwin,
    Delete,
}

/// What the hub says of many at once; an answer about the request as a whole has another form.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Answer {
    is_successful: bool,
    #[serde(default)]
    errors: Vec<Refused>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Refused {
    device_id: Option<String>,
    module_id: Option<String>,
    error_code: Value,
    error_status: Option<String>,
}

/// A request and what became of it.
struct Changed {
    /// The first device in it.
    first: String,
    /// How many identities are in it.
    asked: usize,
    answer: Result<Response>,
}

/// What has become of the lines so far.
struct Progress {
    bar: ProgressBar,
    done: u64,
    failed: u64,
    /// Requests in a row of which nothing was done.
    in_vain: usize,
    /// How many of those end the import.
    patience: usize,
}

impl Devices {
    pub(super) async fn run(self) -> Result<u8> {
        match self {
            Self::Import(import) => import.run().await,
        }
    }
}

impl Import {
    /// 0 if everything was done, 1 if not: what wasn't is told line by line.
    async fn run(self) -> Result<u8> {
        let transport = Arc::new(transport(&self.hub.connection_string()?)?);
        let mut progress = Progress::new(bar(&self.file)?, usize::from(self.at_once));
        let mut lines = open(&self.file)?.lines().enumerate();
        let mut requests = JoinSet::new();
        let outcome = loop {
            let batch = match self.next_batch(&mut lines, &mut progress) {
                Ok(batch) => batch,
                Err(error) => break Err(error),
            };
            if batch.is_empty() || requests.len() >= usize::from(self.at_once) {
                match requests.join_next().await {
                    Some(ended) => {
                        if let Err(error) = progress.note(ended) {
                            break Err(error);
                        }
                    }
                    None => break Ok(()),
                }
            }
            if !batch.is_empty() {
                requests.spawn(change(Arc::clone(&transport), batch));
            }
        };
        // What is under way may be done by now.
        while let Some(ended) = requests.join_next().await {
            let _ = progress.note(ended);
        }
        progress.bar.finish_and_clear();
        let stopped = if outcome.is_err() { ", and stopped" } else { "" };
        say(&format!("{} done, {} failed{stopped}", progress.done, progress.failed));
        outcome.map(|()| u8::from(progress.failed > 0))
    }

    /// The identities of the next lines; none if these were all.
    fn next_batch(
        &self,
        lines: &mut impl Iterator<Item = (usize, std::io::Result<String>)>,
        progress: &mut Progress,
    ) -> Result<Vec<Value>> {
        let mut batch = Vec::new();
        while batch.len() < LARGEST_REQUEST {
            let Some((at, line)) = lines.next() else { break };
            let line = line.map_err(|error| unreadable(&self.file, error))?;
            // Windows' editors begin a file with a byte order mark.
            let line = line.trim_start_matches('\u{feff}');
            if line.trim().is_empty() {
                continue;
            }
            match serde_json::from_str::<Map<String, Value>>(line) {
                Ok(mut identity) => {
                    identity.entry("importMode").or_insert_with(|| self.mode.name().into());
                    batch.push(identity.into());
                }
                Err(error) => progress.fail(&format!("line {}: no JSON object: {error}", at + 1)),
            }
        }
        Ok(batch)
    }
}

impl Mode {
    fn name(self) -> &'static str {
        match self {
            Self::Create => "create",
            Self::Update => "update",
            Self::UpdateTwin => "updateTwin",
            Self::Delete => "delete",
        }
    }
}

impl Progress {
    /// Two rounds of requests in vain are too many; a lost connection fails as many as are under way.
    fn new(bar: ProgressBar, at_once: usize) -> Self {
        Self { bar, done: 0, failed: 0, in_vain: 0, patience: 2 * at_once }
    }

    /// Count what became of a request. An error is one that every other request would meet.
    fn note(&mut self, ended: std::result::Result<Changed, tokio::task::JoinError>) -> Result<()> {
        let ended =
            ended.map_err(|error| Error::new(ErrorKind::System, "a request failed").caused_by(error))?;
        let Changed { first, asked, answer } = ended;
        let answer = match answer {
            Ok(answer) => answer,
            Err(error) => return self.note_in_vain(&first, asked, error),
        };
        let told = serde_json::from_slice::<Answer>(&answer.body).ok();
        let told = told.filter(|told| told.is_successful || !told.errors.is_empty());
        let Some(Answer { errors, .. }) = told else {
            if answer.status == 401 {
                self.failed += asked as u64;
                return Err(failure(&answer, ""));
            }
            return self.note_in_vain(&first, asked, refusal(&answer, "request"));
        };
        self.in_vain = 0;
        let failed = errors.len().min(asked);
        for refused in errors {
            self.fail(&refused.to_string());
        }
        self.done += (asked - failed) as u64;
        self.bar.inc((asked - failed) as u64);
        Ok(())
    }

    fn note_in_vain(&mut self, first: &str, asked: usize, error: Error) -> Result<()> {
        self.failed += asked as u64;
        self.in_vain += 1;
        if self.in_vain >= self.patience {
            return Err(error);
        }
        self.bar.inc(asked as u64);
        self.complain(&format!("{asked} identities from {first} on: {error}"));
        Ok(())
    }

    fn fail(&mut self, what: &str) {
        self.failed += 1;
        self.bar.inc(1);
        self.complain(what);
    }

    fn complain(&self, what: &str) {
        self.bar.suspend(|| complain(&format!("ferrohub: {what}")));
    }
}

impl std::fmt::Display for Refused {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(self.device_id.as_deref().unwrap_or("?"))?;
        if let Some(module) = &self.module_id {
            write!(formatter, "/{module}")?;
        }
        match &self.error_code {
            Value::String(name) => write!(formatter, ": {name}")?,
            number => write!(formatter, ": error {number}")?,
        }
        self.error_status.as_ref().map_or(Ok(()), |text| write!(formatter, ": {text}"))
    }
}

async fn change(transport: Arc<Transport>, batch: Vec<Value>) -> Changed {
    let first = batch.first().and_then(|identity| identity["id"].as_str()).unwrap_or("?").to_owned();
    Changed { first, asked: batch.len(), answer: ask(&transport, batch).await }
}

async fn ask(transport: &Transport, batch: Vec<Value>) -> Result<Response> {
    let body = Bytes::from(Value::from(batch).to_string());
    let request = Request::new("POST", "/devices?api-version=2021-04-12".to_owned(), &[], Some(body))?;
    Ok(transport.request(request, false, TIMEOUT, RetryPolicy::default()).await?.answer)
}

/// A bar for a file, a counter for standard input; nothing unless it is a terminal that is written to.
fn bar(file: &Path) -> Result<ProgressBar> {
    if !std::io::stderr().is_terminal() {
        return Ok(ProgressBar::hidden());
    }
    let (bar, template) = if is_standard_input(file) {
        (ProgressBar::new_spinner(), COUNTER)
    } else {
        (ProgressBar::new(open(file)?.lines().count() as u64), BAR)
    };
    Ok(match ProgressStyle::with_template(template) {
        Ok(style) => bar.with_style(style),
        Err(_) => bar,
    })
}

fn open(file: &Path) -> Result<Box<dyn BufRead>> {
    if is_standard_input(file) {
        return Ok(Box::new(BufReader::new(stdin())));
    }
    let opened = File::open(file).map_err(|error| unreadable(file, error))?;
    Ok(Box::new(BufReader::new(opened)))
}

fn is_standard_input(file: &Path) -> bool {
    file == Path::new("-")
}

fn unreadable(file: &Path, error: std::io::Error) -> Error {
    Error::new(ErrorKind::System, format!("{} can't be read", file.display())).caused_by(error)
}
