//! The words of the language: names, keywords, numbers and strings. Each takes the blanks behind it.

use std::fmt;

use serde_json::{Number, Value};
use winnow::ascii::{digit1, hex_digit1, multispace0};
use winnow::combinator::{alt, cut_err, delimited, not, opt, preceded, repeat, terminated};
use winnow::error::{ContextError, ErrMode, FromExternalError, StrContext, StrContextValue};
use winnow::prelude::*;
use winnow::stream::Stateful;
use winnow::token::{none_of, one_of, take_until, take_while};

/// A query, and how deep the parser stands in it.
pub(super) type Input<'q> = Stateful<&'q str, usize>;

/// How parsers fail.
pub(super) type Failure = ErrMode<ContextError>;

/// Read, but refused; the position is told beside it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    /// No query of IoT Hub's.
    Malformed(String),
    /// IoT Hub has it, the local hub hasn't.
    NotImplemented(String),
}

impl fmt::Display for Refusal {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Malformed(text) | Self::NotImplemented(text) => formatter.write_str(text),
        }
    }
}

impl std::error::Error for Refusal {}

/// Words that are no names of fields.
const RESERVED: [&str; 16] = [
    "select",
    "top",
    "from",
    "where",
    "group",
    "by",
    "as",
    "and",
    "or",
    "not",
    "in",
    "nin",
    "true",
    "false",
    "null",
    "undefined",
];

/// Fail for this reason, whatever else could be read here.
pub(super) fn refuse<O>(refusal: Refusal, input: &mut Input<'_>) -> ModalResult<O> {
    Err(ErrMode::from_external_error(input, refusal).cut())
}

pub(super) fn expected(what: &'static str) -> StrContext {
    StrContext::Expected(StrContextValue::Description(what))
}

/// A parser, and the blanks behind what it takes.
pub(super) fn token<'q, O>(parser: impl Parser<Input<'q>, O, Failure>) -> impl Parser<Input<'q>, O, Failure> {
    terminated(parser, multispace0)
}

/// A sign such as `(`.
pub(super) fn sign<'q>(text: &'static str) -> impl Parser<Input<'q>, &'q str, Failure> {
    token(text).context(StrContext::Expected(StrContextValue::StringLiteral(text)))
}

/// A keyword, in whatever case.
pub(super) fn keyword<'q>(word: &'static str) -> impl Parser<Input<'q>, &'q str, Failure> {
    token(bare_name.verify(move |found: &str| found.eq_ignore_ascii_case(word))).context(expected(word))
}

/// A name that no keyword has: of a field, an alias or a function.
pub(super) fn name<'q>(input: &mut Input<'q>) -> ModalResult<&'q str> {
    bare_name
        .verify(|name: &str| !RESERVED.iter().any(|word| word.eq_ignore_ascii_case(name)))
        .parse_next(input)
}

fn bare_name<'q>(input: &mut Input<'q>) -> ModalResult<&'q str> {
    let first = |c: char| c.is_alphabetic() || c == '_' || c == '$';
    (one_of(first), take_while(0.., is_part_of_name)).take().parse_next(input)
}

fn is_part_of_name(c: char) -> bool {
    c.is_alphanumeric() || c == '_' || c == '$'
}

/// A key behind a dot: any name, or whatever stands in `[[…]]`.
pub(super) fn key(input: &mut Input<'_>) -> ModalResult<String> {
    let plain = take_while(1.., is_part_of_name);
    let escaped = delimited("[[", cut_err(take_until(1.., "]]")), "]]");
    alt((escaped, plain)).map(str::to_owned).context(expected("the name of a property")).parse_next(input)
}

/// `12`, `1.5`, `2e3` or `0x1F`.
pub(super) fn number(input: &mut Input<'_>) -> ModalResult<Value> {
    let alone = not(one_of(|c| is_part_of_name(c) || c == '.'));
    token(terminated(alt((hexadecimal, decimal)), cut_err(alone)))
        .map(Value::Number)
        .context(expected("a number"))
        .parse_next(input)
}

fn hexadecimal(input: &mut Input<'_>) -> ModalResult<Number> {
    let digits = preceded((one_of('0'), one_of(['x', 'X'])), cut_err(hex_digit1)).parse_next(input)?;
    in_range(u64::from_str_radix(digits, 16).ok().map(Number::from), input)
}

fn decimal(input: &mut Input<'_>) -> ModalResult<Number> {
    let exponent = (one_of(['e', 'E']), opt(one_of(['+', '-'])), digit1);
    let text = (digit1, opt(('.', digit1)), opt(exponent)).take().parse_next(input)?;
    in_range(text.parse().ok().and_then(Number::from_f64), input)
}

fn in_range(number: Option<Number>, input: &mut Input<'_>) -> ModalResult<Number> {
    number.map_or_else(|| refuse(Refusal::Malformed("the number is too large".to_owned()), input), Ok)
}

/// `'…'` or `"…"`, with the escapes `\'`, `\"`, `\\` and `\uXXXX`.
pub(super) fn string(input: &mut Input<'_>) -> ModalResult<Value> {
    let quote = one_of(['\'', '"']).parse_next(input)?;
    let plain = none_of(['\\', quote]).map(|c: char| Ok::<char, u16>(c));
    let characters = repeat(0.., alt((plain, preceded('\\', cut_err(escape))))).fold(Vec::new, push);
    let text = cut_err(terminated(characters, quote)).context(expected("the end of the string"));
    let unpaired = |_| Refusal::Malformed("a \\u escape in the string is half a character".to_owned());
    token(cut_err(text.try_map(move |units: Vec<u16>| String::from_utf16(&units).map_err(unpaired))))
        .map(Value::String)
        .parse_next(input)
}

/// A character, or the unit of UTF-16 that `\u` gives: two of them may be one character.
fn escape(input: &mut Input<'_>) -> ModalResult<Result<char, u16>> {
    let digits = take_while(4..=4, |c: char| c.is_ascii_hexdigit());
    let unit = preceded('u', digits).try_map(|digits: &str| u16::from_str_radix(digits, 16)).map(Err);
    alt((one_of(['\'', '"', '\\']).map(Ok), unit))
        .context(expected("one of the escapes \\' \\\" \\\\ \\uXXXX"))
        .parse_next(input)
}

fn push(mut units: Vec<u16>, next: Result<char, u16>) -> Vec<u16> {
    match next {
        Ok(character) => units.extend_from_slice(character.encode_utf16(&mut [0; 2])),
        Err(unit) => units.push(unit),
    }
    units
}
