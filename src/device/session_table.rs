//! The table of the session in docs/architecture.md, cell by cell.
//!
//! A cell in which something can happen has a case (`session_cells`); one with a dash has none. The checks below hold
//! the two tables, and the names of events and phases in the code, together.

use std::collections::BTreeSet;
use std::pin::Pin;

use tokio::runtime::Builder;

use super::session_cells::{
    Leaving, attempt_fails, attempt_is_unwanted, attempt_succeeds, caller_is_gone, connect_dials,
    connect_ends_the_pause, connect_is_done, connect_joins_the_attempt, drained, leaves, link_ends,
    link_ends_while_renewing, pause_is_over, renewal_is_due, request_dials, request_is_late,
    request_is_queued, request_is_written_in_the_window, token_dials, token_ends_the_pause, token_is_due,
    token_is_for_the_next_attempt, token_renews, token_replaces_the_attempt,
};
use super::session_scene::Column::{Connecting, Idle, Online, Renewing, Waiting};

type Case = fn() -> Pin<Box<dyn Future<Output = ()>>>;

/// The first cell as in the document, the event in the code, and the cases of the other cells.
struct Row {
    label: &'static str,
    event: &'static str,
    cells: [Option<Case>; 5],
}

/// A row with its cases, each an expression of a future; `_` where nothing can happen.
macro_rules! row {
    ($label:literal, $event:literal: $($cell:tt)*) => { Row { label: $label, event: $event, cells: cells!($($cell)*) } };
}

macro_rules! cells {
    ($($case:tt),*) => { [$(cell!($case)),*] };
}

macro_rules! cell {
    (_) => {
        None
    };
    ($case:tt) => {
        Some(|| Box::pin($case))
    };
}

#[rustfmt::skip]
const TABLE: &[Row] = &[
    row!("`connect()`", "Connect":
        (connect_dials()), (connect_joins_the_attempt()), (connect_is_done(Online)), (connect_is_done(Renewing)),
        (connect_ends_the_pause())),
    row!("`disconnect()`", "Disconnect":
        (leaves(Idle, Leaving::Disconnect)), (leaves(Connecting, Leaving::Disconnect)),
        (leaves(Online, Leaving::Disconnect)), (leaves(Renewing, Leaving::Disconnect)),
        (leaves(Waiting, Leaving::Disconnect))),
    row!("`shutdown()`", "ShutDown":
        (leaves(Idle, Leaving::ShutDown)), (leaves(Connecting, Leaving::ShutDown)),
        (leaves(Online, Leaving::ShutDown)), (leaves(Renewing, Leaving::ShutDown)),
        (leaves(Waiting, Leaving::ShutDown))),
    row!("the client is dropped", "HandleDropped":
        (leaves(Idle, Leaving::Drop)), (leaves(Connecting, Leaving::Drop)), (leaves(Online, Leaving::Drop)),
        (leaves(Renewing, Leaving::Drop)), (leaves(Waiting, Leaving::Drop))),
    row!("`update_sastoken()`", "UpdateToken":
        (token_dials()), (token_replaces_the_attempt()), (token_renews()), (token_is_for_the_next_attempt()),
        (token_ends_the_pause())),
    row!("a request arrives", "Queued":
        (request_dials()), (request_is_queued(Connecting)), (request_is_written_in_the_window()),
        (request_is_queued(Renewing)), (request_is_queued(Waiting))),
    row!("a request's time is over", "":
        _, (request_is_late(Connecting)), (request_is_late(Online)), (request_is_late(Renewing)),
        (request_is_late(Waiting))),
    row!("a request's caller is gone", "":
        _, (caller_is_gone(Connecting)), (caller_is_gone(Online)), (caller_is_gone(Renewing)),
        (caller_is_gone(Waiting))),
    row!("the attempt succeeds", "Connected": _, (attempt_succeeds()), _, _, _),
    row!("the attempt fails", "Refused": _, (attempt_fails()), _, _, _),
    row!("nobody waits for the attempt", "Unwanted": _, (attempt_is_unwanted()), _, _, _),
    row!("the link ends", "Ended": _, _, (link_ends()), (link_ends_while_renewing()), _),
    row!("nothing is in flight any more, or 5 s are over", "Drained": _, _, _, (drained()), _),
    row!("the pause is over", "PauseOver": _, _, _, _, (pause_is_over())),
    row!("the token must be renewed", "RenewalDue": _, _, (renewal_is_due()), _, _),
    row!("the program's token expires soon", "TokenDue":
        (token_is_due(Idle)), (token_is_due(Connecting)), (token_is_due(Online)), (token_is_due(Renewing)),
        (token_is_due(Waiting))),
];
const COLUMNS: [&str; 5] = ["Idle", "Connecting", "Online", "Renewing", "Waiting"];

#[test]
fn every_cell_of_the_table_holds() {
    let mut failed = Vec::new();
    for row in TABLE {
        for (column, case) in COLUMNS.iter().zip(row.cells) {
            let Some(case) = case else { continue };
            let run = move || {
                let runtime = Builder::new_current_thread().enable_time().start_paused(true).build();
                runtime.unwrap().block_on(case());
            };
            if std::thread::spawn(run).join().is_err() {
                failed.push(format!("{} in {column}", row.label));
            }
        }
    }
    assert!(failed.is_empty(), "{failed:#?}");
}

#[test]
fn the_table_in_the_document_has_these_cells_and_no_others() {
    let document = include_str!("../../docs/architecture.md");
    let mut lines = document.lines().skip_while(|line| !line.starts_with("| event \\ phase |"));
    assert_eq!(cells(lines.next().unwrap())[1..], COLUMNS);
    let documented: Vec<(&str, Vec<bool>)> = lines
        .skip(1)
        .take_while(|line| line.starts_with('|'))
        .map(cells)
        .map(|cells| (cells[0], cells[1..].iter().map(|cell| *cell != "–").collect()))
        .collect();
    let tested: Vec<(&str, Vec<bool>)> =
        TABLE.iter().map(|row| (row.label, row.cells.iter().map(Option::is_some).collect())).collect();
    assert_eq!(documented, tested);
}

#[test]
fn every_event_and_phase_of_the_code_is_in_the_table() {
    let code = include_str!("phase.rs");
    assert_eq!(variants(code, "Phase"), COLUMNS);
    let rows: BTreeSet<&str> = TABLE.iter().map(|row| row.event).filter(|event| !event.is_empty()).collect();
    let mut events: BTreeSet<&str> = variants(code, "Event").into_iter().collect();
    assert!(events.remove("Control"));
    events.extend(variants(code, "Control"));
    assert_eq!(rows, events);
}

fn cells(line: &str) -> Vec<&str> {
    line.trim_matches('|').split('|').map(str::trim).collect()
}

/// The names of an enum's variants.
fn variants<'a>(code: &'a str, name: &str) -> Vec<&'a str> {
    let body = code.split_once(&format!("enum {name} {{")).unwrap().1.split_once("\n}").unwrap().0;
    let lines = body.lines().map(str::trim).filter(|line| line.starts_with(char::is_uppercase));
    lines.map(|line| line.split(['(', ',']).next().unwrap()).collect()
}
