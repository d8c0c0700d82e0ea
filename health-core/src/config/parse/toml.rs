//! Parses TOML and keeps the place of each key. Pure functions.

use serde_json::{Number, Value};
use toml::{
    Spanned,
    de::{DeString, DeTable, DeValue, Error},
};

use crate::config::parse::tree::{Fault, Field, Lines, Node, Place};

/// Parses a document. Returns it with the place where it begins, or all syntax errors together.
pub(super) fn parse(text: &str) -> Result<(Place, Node), Vec<Fault>> {
    let lines = Lines::new(text);
    let (table, errors) = DeTable::parse_recoverable(text);
    if errors.is_empty() {
        return Ok((Place::START, Node::Table(fields(&lines, table.get_ref()))));
    }
    let fault = |error: &Error| Fault {
        place: error.span().map_or(Place::START, |span| lines.place(span.start)),
        message: error.message().to_owned(),
    };
    Err(errors.iter().map(fault).collect())
}

fn fields(lines: &Lines<'_>, table: &DeTable<'_>) -> Vec<Field> {
    table.iter().map(|(key, value)| field(lines, key, value)).collect()
}

fn field(lines: &Lines<'_>, key: &Spanned<DeString<'_>>, value: &Spanned<DeValue<'_>>) -> Field {
    let node = match value.get_ref() {
        DeValue::Table(table) => Node::Table(fields(lines, table)),
        value => Node::Value(plain(value)),
    };
    Field { key: key.get_ref().to_string(), place: lines.place(key.span().start), node }
}

/// Converts a value without its place.
fn plain(value: &DeValue<'_>) -> Value {
    match value {
        DeValue::String(text) => Value::String(text.to_string()),
        DeValue::Boolean(flag) => Value::Bool(*flag),
        DeValue::Integer(integer) => {
            // An integer that does not fit becomes a text, which the option refuses later with its own message.
            let number = i64::from_str_radix(integer.as_str(), integer.radix());
            number.map_or_else(|_| Value::String(integer.to_string()), Value::from)
        }
        DeValue::Float(float) => {
            let number = float.as_str().parse().ok().and_then(Number::from_f64);
            number.map_or_else(|| Value::String(float.to_string()), Value::Number)
        }
        DeValue::Datetime(datetime) => Value::String(datetime.to_string()),
        DeValue::Array(values) => values.iter().map(|value| plain(value.get_ref())).collect(),
        DeValue::Table(table) => {
            let entries = table.iter().map(|(key, value)| (key.get_ref().to_string(), plain(value.get_ref())));
            Value::Object(entries.collect())
        }
    }
}
