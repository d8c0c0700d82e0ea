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
}

/// A text and where its lines begin.
pub(super) struct Lines<'t> {
    pub(super) text: &'t str,
    /// The first byte of each line.
    starts: Vec<usize>,
}

impl<'t> Lines<'t> {
    pub(super) fn new(text: &'t str) -> Self {
        let ends = text.bytes().enumerate().filter(|(_, byte)| *byte == b'\n').map(|(at, _)| at + 1);
        Self { text, starts: std::iter::once(0).chain(ends).collect() }
    }

    /// Returns the place of a byte.
    pub(super) fn place(&self, offset: usize) -> Place {
        let offset = offset.min(self.text.len());
        let line = self.starts.partition_point(|start| *start <= offset).max(1);
        let before = self.text.as_bytes().get(self.starts[line - 1]..offset).unwrap_or_default();
        // Not the bytes that continue a character.
        let column = before.iter().filter(|byte| (**byte & 0xc0) != 0x80).count() + 1;
        Place { line, column }
    }

    /// Returns the place of the byte with this number in a line; both begin at 1.
    pub(super) fn place_in_line(&self, line: usize, byte: usize) -> Place {
        let start = self.starts.get(line.max(1) - 1).copied().unwrap_or(self.text.len());
        self.place(start + byte.max(1) - 1)
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
