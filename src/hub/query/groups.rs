//! Aggregates: what is counted and summed up over the documents of each group.
//!
//! Documents without the value don't count. A sum or an average with something else than a number in it, and an extreme
//! of values that can't be compared, is undefined; so it is missing in its row.

use std::borrow::Cow;
use std::cmp::Ordering;
use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::evaluate::{Document, order};
use super::syntax::{Aggregate, Column, Content, Path};

/// The groups of a query, in the order of their keys' JSON; without GROUP BY there is one.
pub(super) struct Groups<'q> {
    columns: &'q [Column],
    key: Option<&'q Path>,
    by_key: BTreeMap<String, Group>,
}

struct Group {
    key: Option<Value>,
    tallies: Vec<Tally>,
}

/// What one column has so far.
enum Tally {
    Key,
    Count(u64),
    /// `None` once a value was no number.
    Numbers {
        average: bool,
        sum: Option<f64>,
        count: u64,
    },
    /// Not comparable once values had no order.
    Extreme {
        best: Option<Value>,
        comparable: bool,
        wanted: Ordering,
    },
}

impl<'q> Groups<'q> {
    pub(super) fn new(columns: &'q [Column], key: Option<&'q Path>) -> Self {
        let mut by_key = BTreeMap::new();
        if key.is_none() {
            by_key.insert(String::new(), Group::new(columns, None));
        }
        Self { columns, key, by_key }
    }

    /// Add a document to its group.
    pub(super) fn add(&mut self, document: Document<'_>) {
        let key = self.key.and_then(|path| document.find(path));
        let group = self.by_key.entry(key.as_deref().map(text).unwrap_or_default());
        let group = group.or_insert_with(|| Group::new(self.columns, key.map(Cow::into_owned)));
        for (tally, column) in group.tallies.iter_mut().zip(self.columns) {
            tally.add(document, &column.content);
        }
    }

    /// Each group's key as a text, and its row.
    pub(super) fn rows(self, names: &[String]) -> impl Iterator<Item = (String, Value)> {
        self.by_key.into_iter().map(|(text, group)| (text, group.row(names)))
    }
}

/// Numbers that are equal have one text, however they are written.
fn text(key: &Value) -> String {
    match key.as_f64() {
        Some(number) => Value::from(number).to_string(),
        None => key.to_string(),
    }
}

impl Group {
    fn new(columns: &[Column], key: Option<Value>) -> Self {
        Self { key, tallies: columns.iter().map(|column| Tally::new(&column.content)).collect() }
    }

    fn row(self, names: &[String]) -> Value {
        let Self { key, tallies } = self;
        let cells = tallies.into_iter().map(|tally| tally.result(key.as_ref()));
        let present = names.iter().zip(cells).filter_map(|(name, cell)| Some((name.clone(), cell?)));
        present.collect::<Map<_, _>>().into()
    }
}

impl Tally {
    fn new(content: &Content) -> Self {
        let extreme = |wanted| Self::Extreme { best: None, comparable: true, wanted };
        let numbers = |average| Self::Numbers { average, sum: Some(0.0), count: 0 };
        match content {
            Content::Value(_) => Self::Key,
            Content::Count => Self::Count(0),
            Content::Aggregate(Aggregate::Average, _) => numbers(true),
            Content::Aggregate(Aggregate::Sum, _) => numbers(false),
            Content::Aggregate(Aggregate::Minimum, _) => extreme(Ordering::Less),
            Content::Aggregate(Aggregate::Maximum, _) => extreme(Ordering::Greater),
        }
    }

    fn add(&mut self, document: Document<'_>, content: &Content) {
        let value = match content {
            Content::Aggregate(_, path) => document.find(path),
            Content::Value(_) | Content::Count => None,
        };
        match (self, value) {
            (Self::Count(count), _) => *count += 1,
            (Self::Numbers { sum, count, .. }, Some(value)) => {
                *count += 1;
                *sum = sum.zip(value.as_f64()).map(|(sum, value)| sum + value);
            }
            (Self::Extreme { best, comparable, wanted }, Some(value)) => {
                let order = order(&value, best.as_ref().unwrap_or(&value));
                *comparable &= order.is_some();
                if best.is_none() || order == Some(*wanted) {
                    *best = Some(value.into_owned());
                }
            }
            (Self::Key | Self::Numbers { .. } | Self::Extreme { .. }, _) => {}
        }
    }

    fn result(self, key: Option<&Value>) -> Option<Value> {
        match self {
            Self::Key => key.cloned(),
            Self::Count(count) => Some(count.into()),
            Self::Numbers { average: true, count: 0, .. } => None,
            #[allow(clippy::cast_precision_loss, reason = "there are never 2^53 documents")]
            Self::Numbers { average: true, sum, count } => number(sum? / count as f64),
            Self::Numbers { average: false, sum, .. } => number(sum?),
            Self::Extreme { best, comparable, .. } => best.filter(|_| comparable),
        }
    }
}

/// Whole numbers without a fraction, as JavaScript writes them.
fn number(number: f64) -> Option<Value> {
    const EXACT: f64 = 9_007_199_254_740_992.0;
    if !number.is_finite() {
        return None;
    }
    #[allow(clippy::cast_possible_truncation, reason = "it is whole and in the range")]
    let whole = (number.fract() == 0.0 && number.abs() <= EXACT).then_some(number as i64);
    Some(whole.map_or_else(|| Value::from(number), Value::from))
}
