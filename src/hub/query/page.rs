//! What answers to queries and lists consist of.

use serde::Serialize;
use serde_json::Value;
use serde_json::value::{RawValue, to_raw_value};

/// One page of an answer.
#[derive(Debug)]
pub struct Page {
    /// The rows.
    pub rows: Vec<Row>,
    /// What the rows are, as in the header `x-ms-item-type`.
    pub item_type: &'static str,
    /// Asks for the next page; none if this is the last.
    pub continuation: Option<String>,
}

/// A row: a twin, a job, a device of one, or what the query selects. It is written when it is found, so that what it
/// tells of need not be copied first.
#[derive(Debug, Serialize)]
pub struct Row(Box<RawValue>);

impl Row {
    pub(in crate::hub) fn new(document: &impl Serialize) -> Self {
        // Every document has texts for keys: it can be written.
        Self(to_raw_value(document).unwrap_or_default())
    }

    /// What stands in it.
    #[must_use]
    pub fn json(&self) -> Value {
        serde_json::from_str(self.0.get()).unwrap_or_default()
    }
}

impl Page {
    /// What stands in its rows.
    #[must_use]
    pub fn json(&self) -> Vec<Value> {
        self.rows.iter().map(Row::json).collect()
    }
}
