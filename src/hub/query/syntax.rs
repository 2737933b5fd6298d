//! What a query says, once it is read.

use std::fmt;

use serde_json::Value;

use crate::hub::twin_document::Field;

/// One query. Made by [`super::grammar`], checked by [`super::rules`].
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Query {
    pub(super) top: Option<usize>,
    pub(super) select: Selection,
    pub(super) from: Collection,
    pub(super) filter: Option<Expression>,
    pub(super) group_by: Option<Path>,
}

/// Where rows come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Collection {
    Devices,
    Modules,
    Jobs,
}

/// What a row holds.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Selection {
    /// The whole document.
    Everything,
    Columns(Vec<Column>),
}

#[derive(Clone, Debug, PartialEq)]
pub(super) struct Column {
    pub(super) content: Content,
    pub(super) alias: Option<String>,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Content {
    Value(Path),
    Count,
    Aggregate(Aggregate, Path),
}

/// What is made of the values of many documents.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Aggregate {
    Average,
    Sum,
    Minimum,
    Maximum,
}

/// The way to a value in a document.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Path {
    /// The collection, if it was written before the way: `devices.tags.site`.
    pub(super) of: Option<Collection>,
    /// What stands at the root.
    pub(super) root: Root,
    /// The keys from there on.
    pub(super) keys: Vec<String>,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Root {
    /// A field, and its name as the document has it.
    Field(Field, &'static str),
    /// No document has such a field.
    Unknown(String),
}

/// What is true or false of a document, or a part of that.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Expression {
    Undefined,
    Constant(Value),
    Path(Path),
    /// All are true; at least two.
    All(Vec<Expression>),
    /// One is true; at least two.
    Any(Vec<Expression>),
    Not(Box<Expression>),
    Compare(Box<Expression>, Comparison, Box<Expression>),
    /// One of the constants is equal.
    In(Box<Expression>, Vec<Value>),
    Negative(Box<Expression>),
    /// From left to right.
    Arithmetic(Box<Expression>, Vec<(Operator, Expression)>),
    IsDefined(Path),
    StartsWith(Box<Expression>, Box<Expression>),
    ArrayContains(Box<Expression>, Box<Expression>),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Comparison {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Operator {
    Add,
    Subtract,
    Multiply,
    Divide,
    Remainder,
}

impl Path {
    /// What a row calls the value if the query doesn't say: the last part of the way.
    pub(super) fn name(&self) -> &str {
        self.keys.last().map_or_else(|| self.root_name(), String::as_str)
    }

    /// The first part of the way.
    pub(super) fn root_name(&self) -> &str {
        match &self.root {
            Root::Unknown(name) => name,
            Root::Field(_, name) => name,
        }
    }
}

/// The names with dots between them, from the root on.
impl fmt::Display for Path {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.root {
            Root::Field(_, name) => formatter.write_str(name)?,
            Root::Unknown(name) => formatter.write_str(name)?,
        }
        self.keys.iter().try_for_each(|key| write!(formatter, ".{key}"))
    }
}

impl Expression {
    /// All ways in it.
    pub(super) fn paths(&self) -> Vec<&Path> {
        match self {
            Self::Undefined | Self::Constant(_) => Vec::new(),
            Self::Path(path) | Self::IsDefined(path) => vec![path],
            Self::All(parts) | Self::Any(parts) => parts.iter().flat_map(Self::paths).collect(),
            Self::Not(inner) | Self::Negative(inner) | Self::In(inner, _) => inner.paths(),
            Self::Compare(left, _, right)
            | Self::StartsWith(left, right)
            | Self::ArrayContains(left, right) => [left.paths(), right.paths()].concat(),
            Self::Arithmetic(first, rest) => {
                first.paths().into_iter().chain(rest.iter().flat_map(|(_, part)| part.paths())).collect()
            }
        }
    }
}
