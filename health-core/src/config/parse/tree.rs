//! The tree that every format is parsed into: tables whose keys have a place in the text. Pure functions.

use serde_json::Value;

/// A place in a text. Line and column are counted from 1. A column counts characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) line: usize,
    pub(super) column: usize,
}

impl Place {
    pub(super) const START: Self = Self { line: 1, column: 1 };
}

/// A text and the starts of its lines.
pub(super) struct Lines<'t> {
    pub(super) text: &'t str,
    /// The offset of the first byte of each line.
    starts: Vec<usize>,
}

impl<'t> Lines<'t> {
    pub(super) fn new(text: &'t str) -> Self {
        let ends = text.bytes().enumerate().filter(|(_, byte)| *byte == b'\n').map(|(at, _)| at + 1);
        Self { text, starts: std::iter::once(0).chain(ends).collect() }
    }

    /// Returns the place of the byte at an offset.
    pub(super) fn place(&self, offset: usize) -> Place {
        let offset = offset.min(self.text.len());
        let line = self.starts.partition_point(|start| *start <= offset).max(1);
        let before = self.text.as_bytes().get(self.starts[line - 1]..offset).unwrap_or_default();
        // A continuation byte of UTF-8 does not begin a character.
        let column = before.iter().filter(|byte| (**byte & 0xc0) != 0x80).count() + 1;
        Place { line, column }
    }

    /// Returns the place of a byte by its line and its number in the line, both counted from 1.
    pub(super) fn place_in_line(&self, line: usize, byte: usize) -> Place {
        let start = self.starts.get(line.max(1) - 1).copied().unwrap_or(self.text.len());
        self.place(start + byte.max(1) - 1)
    }
}

/// A syntax error and its place.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Fault {
    pub(super) place: Place,
    pub(super) message: String,
}

/// One key of a table with its place and its value.
#[derive(Debug, PartialEq)]
pub(super) struct Field {
    pub(super) key: String,
    pub(super) place: Place,
    pub(super) node: Node,
}

/// A table, or any other value.
#[derive(Debug, PartialEq)]
pub(super) enum Node {
    Table(Vec<Field>),
    Value(Value),
}

impl Node {
    /// Converts the node to a value without places. Used for tables in lists, because no error needs their places.
    pub(super) fn into_value(self) -> Value {
        match self {
            Self::Value(value) => value,
            Self::Table(fields) => {
                Value::Object(fields.into_iter().map(|field| (field.key, field.node.into_value())).collect())
            }
        }
    }
}
