//! What every format is read as: tables whose keys know their places. Pure.

use serde_json::Value;

/// A place in a text. Both numbers begin at 1; a column counts characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) line: usize,
    pub(super) column: usize,
}

impl Place {
    pub(super) const START: Self = Self { line: 1, column: 1 };

    /// The place of a byte.
    pub(super) fn of(text: &str, offset: usize) -> Self {
        let before = text.as_bytes().get(..offset).unwrap_or(text.as_bytes());
        let line_start = before.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
        // Not the bytes that continue a character.
        let column = before[line_start..].iter().filter(|byte| (**byte & 0xc0) != 0x80).count() + 1;
        Self { line: before.iter().filter(|byte| **byte == b'\n').count() + 1, column }
    }
}

/// What does not follow the rules of a format, and where.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Fault {
    pub(super) place: Place,
    pub(super) message: String,
}

/// One key of a table.
#[derive(Debug, PartialEq)]
pub(super) struct Field {
    pub(super) key: String,
    pub(super) place: Place,
    pub(super) node: Node,
}

/// A table, or a value without a table at its top.
#[derive(Debug, PartialEq)]
pub(super) enum Node {
    Table(Vec<Field>),
    Value(Value),
}

impl Node {
    /// The node as a value, for tables in lists, whose places nobody asks for.
    pub(super) fn into_value(self) -> Value {
        match self {
            Self::Value(value) => value,
            Self::Table(fields) => {
                Value::Object(fields.into_iter().map(|field| (field.key, field.node.into_value())).collect())
            }
        }
    }
}
