//! What answers to queries and lists consist of.

use serde_json::Value;

use crate::protocol::json_view::View;

/// One page of an answer.
#[derive(Debug)]
pub struct Page {
    /// The rows.
    pub rows: Rows,
    /// What the rows are, as in the header `x-ms-item-type`.
    pub item_type: &'static str,
    /// Asks for the next page; none if this is the last.
    pub continuation: Option<String>,
}

/// Rows: twins, jobs, devices of one, or what the query selects. Each is written when it is found, so that what it tells
/// of need not be copied first.
#[derive(Debug)]
pub struct Rows {
    /// A JSON array without its end.
    text: Vec<u8>,
    count: usize,
}

impl Rows {
    pub(in crate::hub) fn new() -> Self {
        Self { text: vec![b'['], count: 0 }
    }

    /// Write another row.
    pub(in crate::hub) fn push(&mut self, row: &View<'_>) {
        if self.count > 0 {
            self.text.push(b',');
        }
        row.write(&mut self.text);
        self.count += 1;
    }

    /// How many there are.
    #[must_use]
    #[allow(clippy::len_without_is_empty, reason = "nobody asks")]
    pub fn len(&self) -> usize {
        self.count
    }

    /// The JSON array.
    pub(in crate::hub) fn into_json(mut self) -> Vec<u8> {
        self.text.push(b']');
        self.text
    }
}

impl Page {
    /// What stands in its rows.
    #[must_use]
    pub fn json(&self) -> Vec<Value> {
        let text = [self.rows.text.as_slice(), b"]"].concat();
        serde_json::from_slice(&text).unwrap_or_default()
    }
}
