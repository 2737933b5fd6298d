//! What an expression is for one document.
//!
//! A value is some JSON or undefined (`None`). What is undefined makes undefined whatever depends on it, and only `true`
//! fulfils a condition; so `tags.x != 1` and `NOT tags.x = 1` both leave out documents without `tags.x`. IoT Hub's
//! documentation compares values of the primitive types only: of an object or array every comparison is undefined.

use std::borrow::Cow;
use std::cmp::Ordering;

use serde_json::{Map, Value};

use super::syntax::{Collection, Comparison, Expression, Operator, Path, Query, Root};
use crate::hub::entity::Entity;
use crate::hub::twin_document::{Field, configuration, twin_document};
use crate::protocol::identity::IdentityId;
use crate::protocol::json_view::View;
use crate::protocol::twin::find;

/// JSON, or undefined.
pub(super) type Found<'e> = Option<Cow<'e, Value>>;

/// What a query reads.
#[derive(Clone, Copy)]
pub(super) enum Document<'e> {
    /// A twin, of whose document only what is asked for is made.
    Twin { id: &'e IdentityId, entity: &'e Entity },
    /// A device of a job, with its place among all of them.
    Job { place: &'e str, row: &'e Map<String, Value> },
}

impl<'e> Document<'e> {
    /// What stands there.
    pub(super) fn find(self, path: &Path) -> Found<'e> {
        match self {
            Self::Twin { id, entity } => find_in_twin(id, entity, path),
            Self::Job { row, .. } => {
                let name = match path.root_name() {
                    // So Microsoft's documentation calls it in a condition, and otherwise in the row.
                    name if name.eq_ignore_ascii_case("createdTimeUtc") => "createdDateTimeUtc",
                    name => name,
                };
                let (_, value) = row.iter().find(|(key, _)| key.eq_ignore_ascii_case(name))?;
                below(value, &path.keys).map(Cow::Borrowed)
            }
        }
    }

    /// The whole of it.
    pub(super) fn whole(self) -> View<'e> {
        match self {
            Self::Twin { id, entity } => twin_document(id, entity),
            Self::Job { row, .. } => row.into(),
        }
    }

    /// What tells it from all others; the order of documents is that of these texts or of the names in them.
    pub(super) fn name(self) -> String {
        match self {
            Self::Twin { id, .. } => id.to_string(),
            Self::Job { place, .. } => place.to_owned(),
        }
    }

    /// To which it belongs.
    fn collection(self) -> Collection {
        match self {
            Self::Twin { id, .. } if id.module.is_none() => Collection::Devices,
            Self::Twin { .. } => Collection::Modules,
            Self::Job { .. } => Collection::Jobs,
        }
    }

    /// Whether the condition is true of it.
    pub(super) fn fulfils(self, condition: &Expression) -> bool {
        self.truth(condition) == Some(true)
    }

    fn truth(self, expression: &Expression) -> Option<bool> {
        self.value(expression)?.as_bool()
    }

    fn value<'v>(self, expression: &'v Expression) -> Found<'v>
    where
        'e: 'v,
    {
        let truth = match expression {
            Expression::Undefined => None,
            Expression::Constant(value) => return Some(Cow::Borrowed(value)),
            Expression::Path(path) => return self.find(path),
            Expression::Negative(inner) => return number(-self.value(inner)?.as_f64()?),
            Expression::Arithmetic(first, rest) => return number(self.arithmetic(first, rest)?),
            Expression::All(parts) => self.until(parts, false),
            Expression::Any(parts) => self.until(parts, true),
            Expression::Not(inner) => self.truth(inner).map(|truth| !truth),
            Expression::Compare(left, comparison, right) => {
                let (left, right) = (self.value(left)?, self.value(right)?);
                compare(&left, *comparison, &right)
            }
            Expression::In(inner, constants) => {
                let item = self.value(inner)?;
                is_among(&item, constants)
            }
            Expression::IsDefined(path) => Some(self.find(path).is_some()),
            Expression::StartsWith(text, start) => {
                let (text, start) = (self.value(text)?, self.value(start)?);
                Some(text.as_str()?.starts_with(start.as_str()?))
            }
            Expression::ArrayContains(array, item) => {
                let (array, item) = (self.value(array)?, self.value(item)?);
                is_among(&item, array.as_array()?)
            }
        };
        truth.map(|truth| Cow::Owned(Value::Bool(truth)))
    }

    /// AND and OR: decided by the first part that is `decisive`; undefined if none is, but one is undefined.
    fn until(self, parts: &[Expression], decisive: bool) -> Option<bool> {
        let mut result = Some(!decisive);
        for part in parts {
            match self.truth(part) {
                Some(truth) if truth == decisive => return Some(decisive),
                Some(_) => {}
                None => result = None,
            }
        }
        result
    }

    fn arithmetic(self, first: &Expression, rest: &[(Operator, Expression)]) -> Option<f64> {
        let first = self.value(first)?.as_f64()?;
        rest.iter().try_fold(first, |left, (operator, right)| {
            let right = self.value(right)?.as_f64()?;
            Some(match operator {
                Operator::Add => left + right,
                Operator::Subtract => left - right,
                Operator::Multiply => left * right,
                Operator::Divide => left / right,
                Operator::Remainder => left % right,
            })
        })
    }
}

impl Query {
    /// Whether the document is one of those that the query reads.
    pub(super) fn selects(&self, document: Document<'_>) -> bool {
        self.from == document.collection()
            && self.filter.as_ref().is_none_or(|condition| document.fulfils(condition))
    }
}

fn find_in_twin<'e>(id: &IdentityId, entity: &'e Entity, path: &Path) -> Found<'e> {
    let Root::Field(field, _) = path.root else { return None };
    let twin = &entity.twin;
    match (field, path.keys.as_slice()) {
        (Field::Properties, [section, keys @ ..]) => match section.as_str() {
            "desired" => twin.desired.find(keys),
            "reported" => twin.reported.find(keys),
            _ => None,
        },
        (Field::Tags, keys @ [_, ..]) => find(&twin.tags, keys).map(Cow::Borrowed),
        // A hundred configurations are counted with it over all devices.
        (Field::Configurations, [name, keys @ ..]) => {
            let value = configuration(*entity.configurations.get(name)?).to_value();
            below(&value, keys).cloned().map(Cow::Owned)
        }
        (field, keys) => {
            let value = field.view(id, entity)?.to_value();
            below(&value, keys).cloned().map(Cow::Owned)
        }
    }
}

fn below<'v>(value: &'v Value, keys: &[String]) -> Option<&'v Value> {
    keys.iter().try_fold(value, |value, key| value.as_object()?.get(key))
}

/// Undefined if it is none that JSON has, as after a division by zero.
fn number(number: f64) -> Found<'static> {
    number.is_finite().then(|| Cow::Owned(Value::from(number)))
}

/// Values of two types are never equal, and in no order.
fn compare(left: &Value, comparison: Comparison, right: &Value) -> Option<bool> {
    let is_primitive = |value: &Value| !value.is_object() && !value.is_array();
    if !is_primitive(left) || !is_primitive(right) {
        return None;
    }
    let order = order(left, right);
    match comparison {
        Comparison::Equal => Some(order == Some(Ordering::Equal)),
        Comparison::NotEqual => Some(order != Some(Ordering::Equal)),
        Comparison::Less => order.map(Ordering::is_lt),
        Comparison::LessOrEqual => order.map(Ordering::is_le),
        Comparison::Greater => order.map(Ordering::is_gt),
        Comparison::GreaterOrEqual => order.map(Ordering::is_ge),
    }
}

/// The order of two primitive values of one type; texts are in the order of their characters.
pub(super) fn order(left: &Value, right: &Value) -> Option<Ordering> {
    match (left, right) {
        (Value::Number(left), Value::Number(right)) => left.as_f64()?.partial_cmp(&right.as_f64()?),
        (Value::String(left), Value::String(right)) => Some(left.cmp(right)),
        (Value::Bool(left), Value::Bool(right)) => Some(left.cmp(right)),
        (Value::Null, Value::Null) => Some(Ordering::Equal),
        _ => None,
    }
}

fn is_among(item: &Value, values: &[Value]) -> Option<bool> {
    // Undefined for objects and arrays, as comparing them is.
    compare(item, Comparison::Equal, &Value::Null)?;
    Some(values.iter().any(|value| compare(item, Comparison::Equal, value) == Some(true)))
}
