//! Queries that are read once: held against one device or module after another, and their rows counted.

use std::ops::ControlFlow;

use super::evaluate::Document;
use super::groups::Groups;
use super::syntax::{Collection, Query, Selection};
use super::{is_grouped, malformed, read};
use crate::hub::HubState;
use crate::hub::entity::Entity;
use crate::hub::error::HubError;
use crate::protocol::identity::IdentityId;

/// A query on devices or modules that was read.
#[derive(Clone, Debug)]
pub struct PreparedQuery(Query);

/// What one query has counted so far.
enum Tally<'q> {
    Rows(&'q Query, usize),
    Groups(&'q Query, Groups<'q>),
}

impl PreparedQuery {
    /// Read a query.
    ///
    /// # Errors
    /// 400 if it can't be read, breaks a rule, or doesn't read from devices or modules; 501 for what this hub hasn't.
    pub fn read(text: &str) -> Result<Self, HubError> {
        let query = read(text)?;
        match query.from {
            Collection::Devices | Collection::Modules => Ok(Self(query)),
            Collection::Jobs => Err(malformed("only devices and devices.modules can be read from here")),
        }
    }

    /// Whether it reads from modules, not from devices.
    #[must_use]
    pub fn is_of_modules(&self) -> bool {
        self.0.from == Collection::Modules
    }

    /// Whether this device or module is among those that it reads.
    #[must_use]
    pub fn selects(&self, id: &IdentityId, entity: &Entity) -> bool {
        self.0.selects(Document::Twin { id, entity })
    }

    /// What its condition looks at: the names from the root of the document on, with dots between them.
    pub fn looks_at(&self) -> impl Iterator<Item = String> {
        self.0.filter.iter().flat_map(|filter| filter.paths()).map(ToString::to_string)
    }
}

impl HubState {
    /// How many rows each of the queries has, in one pass over all devices and modules.
    pub async fn count_rows<'q>(&self, queries: impl Iterator<Item = &'q PreparedQuery>) -> Vec<usize> {
        let mut tallies: Vec<_> = queries.map(|query| Tally::new(&query.0)).collect();
        if tallies.is_empty() {
            return Vec::new();
        }
        self.each_twin(None, |document| {
            for tally in &mut tallies {
                tally.add(document);
            }
            ControlFlow::Continue(())
        })
        .await;
        tallies.into_iter().map(Tally::count).collect()
    }
}

impl<'q> Tally<'q> {
    fn new(query: &'q Query) -> Self {
        match &query.select {
            Selection::Columns(columns) if is_grouped(query, columns) => {
                Self::Groups(query, Groups::new(columns, query.group_by.as_ref()))
            }
            _ => Self::Rows(query, 0),
        }
    }

    fn add(&mut self, document: Document<'_>) {
        match self {
            Self::Rows(query, count) if query.selects(document) => *count += 1,
            Self::Groups(query, groups) if query.selects(document) => groups.add(document),
            Self::Rows(..) | Self::Groups(..) => {}
        }
    }

    fn count(self) -> usize {
        let (query, rows) = match self {
            Self::Rows(query, count) => (query, count),
            Self::Groups(query, groups) => (query, groups.rows(&[]).count()),
        };
        query.top.map_or(rows, |top| rows.min(top))
    }
}
