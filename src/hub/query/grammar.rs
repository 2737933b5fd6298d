//! The grammar: from the text of a query to its [`Query`].
//!
//! Follows the grammar in IoT Hub's documentation, with what Microsoft's own tools send beside it: projections without an
//! alias, `STARTSWITH`, `ARRAY_CONTAINS` and `[[…]]` around names. Chains of operators become lists, and nesting is
//! bounded, so that no query makes the hub recurse deeply.
//! <https://learn.microsoft.com/azure/iot-hub/iot-hub-devguide-query-language>

use std::iter;

use serde_json::Value;
use winnow::ascii::{digit1, multispace0};
use winnow::combinator::{alt, cut_err, delimited, eof, opt, preceded, repeat, terminated};
use winnow::prelude::*;

use super::syntax::{
    Aggregate, Collection, Column, Comparison, Content, Expression, Operator, Path, Query, Root, Selection,
};
use super::words::{
    Failure, Input, Refusal, expected, key, keyword, name, number, refuse, sign, string, token,
};
use crate::hub::twin_document::Field;

/// How deep parentheses, NOT and signs may stand in each other.
const DEEPEST: usize = 64;
/// Functions that IoT Hub documents for the conditions of message routes only.
const OF_ROUTES: [&str; 24] = [
    "abs",
    "exp",
    "power",
    "square",
    "ceiling",
    "floor",
    "sign",
    "sqrt",
    "as_number",
    "is_array",
    "is_bool",
    "is_null",
    "is_number",
    "is_object",
    "is_primitive",
    "is_string",
    "concat",
    "length",
    "lower",
    "upper",
    "substring",
    "index_of",
    "ends_with",
    "contains",
];

/// A whole query.
pub(super) fn query(input: &mut Input<'_>) -> ModalResult<Query> {
    let top = opt(preceded(keyword("TOP"), cut_err(token(digit1).try_map(str::parse::<usize>))))
        .context(expected("a whole number behind TOP"));
    let from = preceded(cut_err(keyword("FROM")), cut_err(collection));
    let filter = opt(preceded(keyword("WHERE"), cut_err(condition)));
    let group_by = opt(preceded((keyword("GROUP"), cut_err(keyword("BY"))), cut_err(expected_path)));
    let head = preceded((multispace0, keyword("SELECT")), (top, cut_err(selection)));
    let end = cut_err(eof).context(expected("an operator, WHERE, GROUP BY or the end of the query"));
    terminated((head, from, filter, group_by), end)
        .map(|((top, select), from, filter, group_by)| Query { top, select, from, filter, group_by })
        .parse_next(input)
}

/// A condition that stands for itself, without SELECT and WHERE.
pub(super) fn whole_condition(input: &mut Input<'_>) -> ModalResult<Expression> {
    let end = cut_err(eof).context(expected("an operator or the end of the condition"));
    delimited(multispace0, cut_err(condition), end).parse_next(input)
}

fn collection(input: &mut Input<'_>) -> ModalResult<Collection> {
    let part = preceded('.', name);
    token((name, opt(part)))
        .verify_map(|(root, part)| Collection::named(root, part))
        .context(expected("devices, devices.modules or devices.jobs"))
        .parse_next(input)
}

impl Collection {
    fn named(root: &str, part: Option<&str>) -> Option<Self> {
        let part = part.map(str::to_ascii_lowercase);
        match (root.eq_ignore_ascii_case("devices"), part.as_deref()) {
            (true, None) => Some(Self::Devices),
            (true, Some("modules")) => Some(Self::Modules),
            (true, Some("jobs")) => Some(Self::Jobs),
            _ => None,
        }
    }
}

fn selection(input: &mut Input<'_>) -> ModalResult<Selection> {
    let columns = list(column, sign(",")).map(Selection::Columns);
    alt((sign("*").value(Selection::Everything), columns))
        .context(expected("* or what to select: the path of a property, or an aggregate"))
        .parse_next(input)
}

fn column(input: &mut Input<'_>) -> ModalResult<Column> {
    let alias = preceded(keyword("AS"), cut_err(token(name)).context(expected("a name")));
    (content, opt(alias))
        .map(|(content, alias)| Column { content, alias: alias.map(str::to_owned) })
        .parse_next(input)
}

fn content(input: &mut Input<'_>) -> ModalResult<Content> {
    let function = opt(terminated(token(name), sign("("))).parse_next(input)?;
    let Some(function) = function else { return path.map(Content::Value).parse_next(input) };
    let aggregate = match function.to_ascii_lowercase().as_str() {
        "count" => return cut_err(sign(")")).value(Content::Count).parse_next(input),
        "avg" => Aggregate::Average,
        "sum" => Aggregate::Sum,
        "min" => Aggregate::Minimum,
        "max" => Aggregate::Maximum,
        _ => {
            let text = format!("{function} is none of the aggregates COUNT, AVG, SUM, MIN and MAX");
            return refuse(Refusal::Malformed(text), input);
        }
    };
    let argument = cut_err(terminated(expected_path, sign(")")));
    argument.map(|path| Content::Aggregate(aggregate, path)).parse_next(input)
}

/// One or more, with something between them.
fn list<'q, O>(
    part: fn(&mut Input<'q>) -> ModalResult<O>,
    separator: impl Parser<Input<'q>, &'q str, Failure>,
) -> impl Parser<Input<'q>, Vec<O>, Failure> {
    (part, repeat(0.., preceded(separator, cut_err(part))))
        .map(|(first, rest): (O, Vec<O>)| iter::once(first).chain(rest).collect())
}

/// The way to a value: names with dots between them, after the name of the collection or not.
fn path(input: &mut Input<'_>) -> ModalResult<Path> {
    let rest = repeat(0.., preceded('.', cut_err(key)));
    token((name, rest)).map(|(first, rest): (&str, Vec<String>)| Path::new(first, rest)).parse_next(input)
}

/// Where nothing else may stand.
fn expected_path(input: &mut Input<'_>) -> ModalResult<Path> {
    path.context(expected("the path of a property")).parse_next(input)
}

impl Path {
    fn new(first: &str, mut rest: Vec<String>) -> Self {
        let Some(mut of) = Collection::named(first, None) else {
            return Self { of: None, root: Root::named(first), keys: rest };
        };
        if let Some(part) = rest.first().and_then(|part| Collection::named(first, Some(part))) {
            of = part;
            rest.remove(0);
        }
        let root = if rest.is_empty() { String::new() } else { rest.remove(0) };
        Self { of: Some(of), root: Root::named(&root), keys: rest }
    }
}

impl Root {
    fn named(text: &str) -> Self {
        // Microsoft's samples also call a device's name so.
        let name = if text.eq_ignore_ascii_case("id") { "deviceId" } else { text };
        Field::named(name)
            .map_or_else(|| Self::Unknown(text.to_owned()), |(field, name)| Self::Field(field, name))
    }
}

/// What stands behind WHERE. OR binds least, then AND, NOT, comparisons, `+ -`, `* / %`, signs.
fn condition(input: &mut Input<'_>) -> ModalResult<Expression> {
    list(conjunction, keyword("OR")).map(|parts| one_or(parts, Expression::Any)).parse_next(input)
}

fn conjunction(input: &mut Input<'_>) -> ModalResult<Expression> {
    list(negation, keyword("AND")).map(|parts| one_or(parts, Expression::All)).parse_next(input)
}

fn one_or(mut parts: Vec<Expression>, many: fn(Vec<Expression>) -> Expression) -> Expression {
    if parts.len() == 1 { parts.remove(0) } else { many(parts) }
}

fn negation(input: &mut Input<'_>) -> ModalResult<Expression> {
    if opt(keyword("NOT")).parse_next(input)?.is_some() {
        return deeper(negation).map(|inner| Expression::Not(Box::new(inner))).parse_next(input);
    }
    comparison(input)
}

fn comparison(input: &mut Input<'_>) -> ModalResult<Expression> {
    let left = sum(input)?;
    if let Some(operator) = opt(comparator).parse_next(input)? {
        let right = cut_err(sum).parse_next(input)?;
        return Ok(Expression::Compare(Box::new(left), operator, Box::new(right)));
    }
    let not_in = alt((keyword("IN").value(false), keyword("NIN").value(true)));
    let Some(not_in) = opt(not_in).parse_next(input)? else { return Ok(left) };
    let inside = Expression::In(Box::new(left), cut_err(constants).parse_next(input)?);
    Ok(if not_in { Expression::Not(Box::new(inside)) } else { inside })
}

fn comparator(input: &mut Input<'_>) -> ModalResult<Comparison> {
    alt((
        sign("=").value(Comparison::Equal),
        sign("!=").value(Comparison::NotEqual),
        sign("<>").value(Comparison::NotEqual),
        sign("<=").value(Comparison::LessOrEqual),
        sign(">=").value(Comparison::GreaterOrEqual),
        sign("<").value(Comparison::Less),
        sign(">").value(Comparison::Greater),
    ))
    .parse_next(input)
}

fn sum(input: &mut Input<'_>) -> ModalResult<Expression> {
    let operator = alt((sign("+").value(Operator::Add), sign("-").value(Operator::Subtract)));
    arithmetic(product, operator).parse_next(input)
}

fn product(input: &mut Input<'_>) -> ModalResult<Expression> {
    let operator = alt((
        sign("*").value(Operator::Multiply),
        sign("/").value(Operator::Divide),
        sign("%").value(Operator::Remainder),
    ));
    arithmetic(signed, operator).parse_next(input)
}

fn arithmetic<'q>(
    part: fn(&mut Input<'q>) -> ModalResult<Expression>,
    operator: impl Parser<Input<'q>, Operator, Failure>,
) -> impl Parser<Input<'q>, Expression, Failure> {
    (part.map(Box::new), repeat(0.., (operator, cut_err(part)))).map(|(first, rest): (_, Vec<_>)| {
        if rest.is_empty() { *first } else { Expression::Arithmetic(first, rest) }
    })
}

fn signed(input: &mut Input<'_>) -> ModalResult<Expression> {
    match opt(alt((sign("-"), sign("+")))).parse_next(input)? {
        Some("-") => deeper(signed).map(|inner| Expression::Negative(Box::new(inner))).parse_next(input),
        Some(_) => deeper(signed).parse_next(input),
        None => operand(input),
    }
}

fn operand(input: &mut Input<'_>) -> ModalResult<Expression> {
    let parentheses = delimited(sign("("), deeper(condition), cut_err(sign(")")));
    let value = alt((constant, constants.map(Value::Array))).map(Expression::Constant);
    let undefined = keyword("undefined").value(Expression::Undefined);
    alt((parentheses, value, undefined, call, path.map(Expression::Path)))
        .context(expected("a property, a constant, a function or a parenthesis"))
        .parse_next(input)
}

/// A parser for what stands one level deeper.
fn deeper<'q>(
    parser: fn(&mut Input<'q>) -> ModalResult<Expression>,
) -> impl Parser<Input<'q>, Expression, Failure> {
    move |input: &mut Input<'q>| {
        if input.state == DEEPEST {
            let text = format!("parentheses, NOT and signs are nested more than {DEEPEST} deep");
            return refuse(Refusal::Malformed(text), input);
        }
        input.state += 1;
        let result = cut_err(parser).parse_next(input);
        input.state -= 1;
        result
    }
}

fn constant(input: &mut Input<'_>) -> ModalResult<Value> {
    alt((
        string,
        number,
        keyword("true").value(Value::Bool(true)),
        keyword("false").value(Value::Bool(false)),
        keyword("null").value(Value::Null),
    ))
    .parse_next(input)
}

/// `['a', 'b']`
fn constants(input: &mut Input<'_>) -> ModalResult<Vec<Value>> {
    let constants = list(item, sign(","));
    delimited(sign("["), cut_err(constants), cut_err(sign("]"))).parse_next(input)
}

fn item(input: &mut Input<'_>) -> ModalResult<Value> {
    alt((constant, preceded(token('-'), number).map(negative)))
        .context(expected("a constant"))
        .parse_next(input)
}

fn negative(number: Value) -> Value {
    number.as_f64().map_or(number, |number| Value::from(-number))
}

fn call(input: &mut Input<'_>) -> ModalResult<Expression> {
    let function = terminated(token(name), sign("(")).parse_next(input)?;
    let two = || {
        let argument = |input: &mut Input<'_>| deeper(condition).map(Box::new).parse_next(input);
        (argument, preceded(sign(","), argument))
    };
    let call = match function.to_ascii_lowercase().as_str() {
        "is_defined" => cut_err(expected_path).map(Expression::IsDefined).parse_next(input)?,
        "startswith" | "starts_with" => {
            cut_err(two()).map(|(text, start)| Expression::StartsWith(text, start)).parse_next(input)?
        }
        "array_contains" => {
            cut_err(two()).map(|(array, item)| Expression::ArrayContains(array, item)).parse_next(input)?
        }
        other => refuse(unknown_function(other), input)?,
    };
    cut_err(sign(")")).value(call).parse_next(input)
}

fn unknown_function(function: &str) -> Refusal {
    let function = function.to_ascii_uppercase();
    if OF_ROUTES.iter().any(|name| name.eq_ignore_ascii_case(&function)) {
        Refusal::NotImplemented(format!(
            "the local hub does not implement {function} in queries: IoT Hub documents it for message routes only"
        ))
    } else {
        Refusal::Malformed(format!(
            "there is no function {function}; twins have IS_DEFINED, STARTSWITH and ARRAY_CONTAINS"
        ))
    }
}
