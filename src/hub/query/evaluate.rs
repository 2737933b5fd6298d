//! What an expression is for one document.
//!
//! A value is some JSON or undefined (`None`). What is undefined makes undefined whatever depends on it, and only `true`
//! fulfils a condition; so `tags.x != 1` and `NOT tags.x = 1` both leave out documents without `tags.x`. IoT Hub's
//! documentation compares values of the primitive types only: of an object or array every comparison is undefined.

use std::borrow::Cow;
use std::cmp::Ordering;

use serde_json::Value;

use super::syntax::{Collection, Comparison, Expression, Operator, Path, Query, Root};
use crate::hub::entity::Entity;
use crate::hub::twin_document::Field;
use crate::protocol::identity::IdentityId;
use crate::protocol::twin::find;

/// JSON, or undefined.
pub(super) type Found<'e> = Option<Cow<'e, Value>>;

/// A twin's document, of which only what is asked for is made.
#[derive(Clone, Copy)]
pub(super) struct Document<'e> {
    pub(super) id: &'e IdentityId,
    pub(super) entity: &'e Entity,
}

impl<'e> Document<'e> {
    /// What stands there.
    pub(super) fn find(self, path: &Path) -> Found<'e> {
        let Root::Field(field, _) = path.root else { return None };
        let twin = &self.entity.twin;
        match (field, path.keys.as_slice()) {
            (Field::Properties, [section, keys @ ..]) => match section.as_str() {
                "desired" => twin.desired.find(keys),
                "reported" => twin.reported.find(keys),
                _ => None,
            },
            (Field::Tags, keys @ [_, ..]) => find(&twin.tags, keys).map(Cow::Borrowed),
            (field, keys) => {
                let value = field.value(self.id, self.entity)?;
                let value = keys.iter().try_fold(&value, |value, key| value.as_object()?.get(key))?;
                Some(Cow::Owned(value.clone()))
            }
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
        let of_modules = self.from == Collection::Modules;
        document.id.module.is_some() == of_modules
            && self.filter.as_ref().is_none_or(|condition| document.fulfils(condition))
    }
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
