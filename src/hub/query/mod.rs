//! Queries: which devices and modules fulfil a condition, what their twins hold, and how many there are; and what became
//! of the devices of jobs.
//!
//! `words` and `grammar` read a query into `syntax`, `rules` checks the rest; `evaluate` knows what an expression is for
//! one document, `groups` what many make together, `continuation` where the next page begins. Here the documents are
//! gone through: a few at a time, so that a query neither copies the hub nor keeps anyone from writing. It may therefore
//! see one change and not another that was made while it ran, as IoT Hub's index does.
//!
//! What can't be read is refused with the position and the reason; what IoT Hub has and this hub hasn't is a 501.
//! <https://learn.microsoft.com/azure/iot-hub/iot-hub-devguide-query-language>

mod continuation;
mod evaluate;
mod grammar;
mod groups;
mod page;
mod prepared;
mod rules;
mod syntax;
mod words;

use std::ops::ControlFlow;

use winnow::error::{ContextError, StrContext};
use winnow::prelude::*;

use super::HubState;
use super::entity::Entity;
use super::error::HubError;
use super::jobs::JobDevices;
use crate::protocol::error_code::ErrorCode;
use crate::protocol::identity::IdentityId;
use crate::protocol::json_view::View;
pub(super) use continuation::Continuation;
use evaluate::Document;
use groups::Groups;
use syntax::{Collection, Column, Content, Expression, Query, Selection};
use words::{Input, Refusal};

pub use page::{Page, Rows};
pub use prepared::PreparedQuery;

/// Longest query, in characters.
const LONGEST: usize = 8192;
/// Documents that are looked at before others get their turn.
const BATCH: usize = 256;

/// What a device has to be like: a condition that is read once and held against many.
#[derive(Clone, Debug)]
pub struct Condition(
    /// None is fulfilled by every device.
    Option<Expression>,
);

/// The rows of one page as they are found.
struct Found {
    rows: Rows,
    most: usize,
    /// The name of the last row that there is room for: the next page would begin after it.
    last: Option<String>,
    /// Whether there was a row too many.
    more: bool,
}

impl Found {
    fn add(&mut self, name: impl FnOnce() -> String, row: impl FnOnce(&mut Rows)) -> ControlFlow<()> {
        if self.rows.len() == self.most {
            self.more = true;
            return ControlFlow::Break(());
        }
        row(&mut self.rows);
        if self.rows.len() == self.most {
            self.last = Some(name());
        }
        ControlFlow::Continue(())
    }
}

impl HubState {
    /// One page of a query's answer, of at most so many rows, after the pages before.
    ///
    /// # Errors
    /// 400 if the query can't be read, breaks a rule, or the continuation is not this query's; 501 for what this hub
    /// hasn't; 500 or 503 if the data file can't be written.
    pub async fn query_twins(
        &self,
        text: &str,
        most: usize,
        continuation: Option<&str>,
    ) -> Result<Page, HubError> {
        let query = read(text)?;
        let before = continuation.map(|token| Continuation::read(token, text)).transpose()?;
        let given = before.as_ref().map_or(0, |before| before.given);
        let left = query.top.map_or(usize::MAX, |top| top.saturating_sub(given));
        let mut found = Found { rows: Rows::new(), most: most.min(left), last: None, more: false };
        let after = before.map(|before| before.after);
        let item_type = match (&query.select, query.from) {
            (Selection::Columns(_), _) => "Raw",
            (Selection::Everything, Collection::Jobs) => "DeviceJob",
            (Selection::Everything, Collection::Devices | Collection::Modules) => "Twin",
        };
        self.find_rows(&query, after, &mut found).await?;
        // No answer tells of what a crash could take back.
        self.store.read(|_| ()).await?;
        let Found { rows, most, last, more } = found;
        let last = last.filter(|_| more && most < left);
        let next = last.map(|last| Continuation::new(text, last, given + rows.len()).token());
        Ok(Page { rows, item_type, continuation: next.transpose()? })
    }

    async fn find_rows(
        &self,
        query: &Query,
        after: Option<String>,
        found: &mut Found,
    ) -> Result<(), HubError> {
        let Selection::Columns(columns) = &query.select else {
            return self
                .visit(query, after.as_deref(), |document| {
                    found.add(|| document.name(), |rows| rows.push(&document.whole()))
                })
                .await;
        };
        let names: Vec<_> = rules::names_of(columns).collect();
        if !is_grouped(query, columns) {
            let columns: Vec<_> = names.iter().zip(columns).collect();
            return self
                .visit(query, after.as_deref(), |document| {
                    found.add(|| document.name(), |rows| rows.push(&row(document, &columns)))
                })
                .await;
        }
        let mut groups = Groups::new(columns, query.group_by.as_ref());
        self.visit(query, None, |document| {
            groups.add(document);
            ControlFlow::Continue(())
        })
        .await?;
        let mut later = groups.rows(&names).filter(|(key, _)| after.as_ref().is_none_or(|after| key > after));
        // Whether it was full is told already.
        let _ = later.try_for_each(|(key, row)| found.add(|| key, |rows| rows.push(&row.into())));
        Ok(())
    }

    /// Show each document that the query reads, after the one of this name, in the order of names.
    async fn visit(
        &self,
        query: &Query,
        after: Option<&str>,
        mut show: impl FnMut(Document<'_>) -> ControlFlow<()>,
    ) -> Result<(), HubError> {
        let show = |document: Document<'_>| {
            if query.selects(document) { show(document) } else { ControlFlow::Continue(()) }
        };
        if query.from == Collection::Jobs {
            return self.each_device_of_jobs(after, show).await;
        }
        self.each_twin(after.map(IdentityId::parse).transpose()?, show).await;
        Ok(())
    }

    /// Show each twin, in the order of names.
    async fn each_twin(
        &self,
        mut after: Option<IdentityId>,
        mut show: impl FnMut(Document<'_>) -> ControlFlow<()>,
    ) {
        loop {
            let batch: Vec<_> = self.store.peek(|state| {
                let next = state.after(after.as_ref()).take(BATCH);
                next.map(|(id, entity)| (id.clone(), entity.clone())).collect()
            });
            for (id, entity) in &batch {
                if show(Document::Twin { id, entity }).is_break() {
                    return;
                }
            }
            let Some((last, _)) = batch.into_iter().next_back() else { return };
            after = Some(last);
            tokio::task::yield_now().await;
        }
    }

    /// Show each device of each job, in the order of jobs and devices.
    async fn each_device_of_jobs(
        &self,
        after: Option<&str>,
        mut show: impl FnMut(Document<'_>) -> ControlFlow<()>,
    ) -> Result<(), HubError> {
        let mut last = None;
        loop {
            let next = self.store.peek(|state| JobDevices::next(state, last.as_ref(), after));
            let Some(devices) = next else { return Ok(()) };
            for (place, row) in &devices.rows(after, self.clock.unix_millis())? {
                if show(Document::Job { place, row }).is_break() {
                    return Ok(());
                }
            }
            last = Some(devices);
            tokio::task::yield_now().await;
        }
    }
}

impl Condition {
    /// Read a condition; a query would have it behind `SELECT * FROM devices WHERE`.
    ///
    /// # Errors
    /// 400 if it can't be read; 501 for what this hub hasn't.
    pub fn read(text: &str) -> Result<Self, HubError> {
        if text.trim() == "*" {
            return Ok(Self(None));
        }
        let condition = parse(grammar::whole_condition, text)?;
        rules::check_condition(&condition).map_err(|refusal| refused(&refusal))?;
        Ok(Self(Some(condition)))
    }

    /// Whether it is true of this device.
    #[must_use]
    pub fn holds(&self, id: &IdentityId, entity: &Entity) -> bool {
        self.0.as_ref().is_none_or(|condition| Document::Twin { id, entity }.fulfils(condition))
    }
}

/// Read a query and check it.
fn read(text: &str) -> Result<Query, HubError> {
    let query = parse(grammar::query, text)?;
    rules::check(&query).map_err(|refusal| refused(&refusal))?;
    Ok(query)
}

/// Read the whole text, or say where it can't be read and why.
fn parse<O>(mut grammar: fn(&mut Input<'_>) -> ModalResult<O>, text: &str) -> Result<O, HubError> {
    let length = text.chars().count();
    if length > LONGEST {
        return Err(malformed(&format!(
            "the query has {length} characters, and at most {LONGEST} are allowed"
        )));
    }
    let input = Input { input: text, state: 0 };
    grammar.parse(input).map_err(|error| {
        let position = text[..error.offset()].chars().count() + 1;
        let cause = error.inner().cause().and_then(|cause| cause.downcast_ref::<Refusal>());
        match cause {
            Some(refusal) => refused(refusal),
            None => malformed(&format!("{}, at character {position}", expectation(error.inner()))),
        }
    })
}

/// What the innermost parser that says so expected.
fn expectation(error: &ContextError) -> String {
    let expected = error.context().find_map(|context| match context {
        StrContext::Expected(expected) => Some(expected),
        _ => None,
    });
    expected.map_or_else(|| "this can't be read".to_owned(), |expected| format!("expected {expected}"))
}

fn refused(refusal: &Refusal) -> HubError {
    match refusal {
        Refusal::Malformed(reason) => malformed(reason),
        Refusal::NotImplemented(reason) => HubError::new(ErrorCode::NOT_IMPLEMENTED, sentence(reason)),
    }
}

/// IoT Hub says only the first word.
fn malformed(reason: &str) -> HubError {
    HubError::invalid(format!("BadRequest: {}", sentence(reason)))
}

fn sentence(reason: &str) -> String {
    let (first, rest) = reason.split_at(reason.chars().next().map_or(0, char::len_utf8));
    format!("{}{rest}.", first.to_uppercase())
}

fn is_grouped(query: &Query, columns: &[Column]) -> bool {
    query.group_by.is_some() || columns.iter().any(|column| !matches!(column.content, Content::Value(_)))
}

/// What one document gives; what it doesn't have is missing.
fn row<'e>(document: Document<'e>, columns: &[(&'e String, &Column)]) -> View<'e> {
    let cells = columns.iter().filter_map(|(name, column)| match &column.content {
        Content::Value(path) => Some((name.as_str(), View::Value(document.find(path)?))),
        Content::Count | Content::Aggregate(..) => None,
    });
    View::Entries(cells.collect())
}
