//! What a query that can be read must keep to as well.

use std::collections::BTreeSet;

use super::syntax::{Collection, Column, Content, Expression, Path, Query, Root, Selection};
use super::words::Refusal;

/// Refuse a query that IoT Hub would refuse, or whose answer could be wrong.
pub(super) fn check(query: &Query) -> Result<(), Refusal> {
    paths(query).into_iter().try_for_each(|path| check_path(path, query.from))?;
    match (&query.select, &query.group_by) {
        (Selection::Everything, Some(_)) => Err(malformed("SELECT * can't be grouped: name what to select")),
        (Selection::Everything, None) => Ok(()),
        (Selection::Columns(_), _) if query.from == Collection::Jobs => {
            Err(malformed("from devices.jobs only * can be selected"))
        }
        (Selection::Columns(columns), group_by) => {
            check_groups(columns, group_by.as_ref())?;
            check_names(columns)
        }
    }
}

/// Refuse a condition on devices that IoT Hub would refuse.
pub(super) fn check_condition(condition: &Expression) -> Result<(), Refusal> {
    condition.paths().into_iter().try_for_each(|path| check_path(path, Collection::Devices))
}

fn malformed(text: impl Into<String>) -> Refusal {
    Refusal::Malformed(text.into())
}

fn paths(query: &Query) -> Vec<&Path> {
    let selected = match &query.select {
        Selection::Everything => &[][..],
        Selection::Columns(columns) => columns,
    };
    let selected = selected.iter().filter_map(|column| match &column.content {
        Content::Value(path) | Content::Aggregate(_, path) => Some(path),
        Content::Count => None,
    });
    let filtered = query.filter.iter().flat_map(|filter| filter.paths());
    selected.chain(filtered).chain(&query.group_by).collect()
}

fn check_path(path: &Path, from: Collection) -> Result<(), Refusal> {
    match path.of {
        Some(of) if of != from => {
            Err(malformed(format!("the query reads from {}, and {} is not that", from.name(), of.name())))
        }
        Some(of) if path.root == Root::Unknown(String::new()) => {
            Err(malformed(format!("a name has to follow {}, which is no property", of.name())))
        }
        _ => Ok(()),
    }
}

/// Beside aggregates only the value that groups have in common can be selected.
fn check_groups(columns: &[Column], group_by: Option<&Path>) -> Result<(), Refusal> {
    let is_value = |column: &&Column| matches!(column.content, Content::Value(_));
    let values = columns.iter().filter(is_value).count();
    let common = |path: &Path| group_by.is_some_and(|key| (&key.root, &key.keys) == (&path.root, &path.keys));
    let stray = columns.iter().find_map(|column| match &column.content {
        Content::Value(path) if !common(path) => Some(path),
        _ => None,
    });
    match stray {
        Some(path) if group_by.is_some() || values < columns.len() => Err(malformed(format!(
            "beside aggregates or groups only what GROUP BY names can be selected, and {} is not that",
            path.name()
        ))),
        _ => Ok(()),
    }
}

/// Two values can't have one name in a row.
fn check_names(columns: &[Column]) -> Result<(), Refusal> {
    let mut names = BTreeSet::new();
    match names_of(columns).find(|name| !names.insert(name.clone())) {
        Some(name) => {
            Err(malformed(format!("two values are called {name}: give one of them another name with AS")))
        }
        None => Ok(()),
    }
}

/// What each column is called in a row: its alias, the last name of its path, or its number among the nameless ones.
pub(super) fn names_of(columns: &[Column]) -> impl Iterator<Item = String> {
    let mut nameless = 0;
    columns.iter().map(move |column| match (&column.alias, &column.content) {
        (Some(alias), _) => alias.clone(),
        (None, Content::Value(path)) => path.name().to_owned(),
        (None, Content::Count | Content::Aggregate(..)) => {
            nameless += 1;
            format!("${nameless}")
        }
    })
}

impl Collection {
    /// As FROM names it.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Devices => "devices",
            Self::Modules => "devices.modules",
            Self::Jobs => "devices.jobs",
        }
    }
}
