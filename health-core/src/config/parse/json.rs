//! Parses JSON and keeps the place of each key. Pure functions.

use serde::de::DeserializeOwned;
use serde_json::{Deserializer, Value};

use crate::config::parse::tree::{Fault, Field, Lines, Node, Place};

/// Parses a document. Returns it with the place where it begins.
pub(super) fn parse(text: &str) -> Result<(Place, Node), Fault> {
    let lines = Lines::new(text);
    // The first pass validates the whole document: it produces the error messages, and refuses a document that is
    // nested too deeply.
    serde_json::from_str::<Value>(text).map_err(|error| {
        let place = lines.place_in_line(error.line(), error.column());
        let message = error.to_string();
        let suffix = format!(" at line {} column {}", error.line(), error.column());
        Fault { place, message: message.strip_suffix(&suffix).unwrap_or(&message).to_owned() }
    })?;
    let mut scanner = Scanner { lines, at: 0 };
    scanner.space();
    let place = scanner.place();
    let node = scanner.node().ok_or_else(|| Fault { place, message: "the document is not valid JSON".to_owned() })?;
    Ok((place, node))
}

/// Reads valid JSON and records the place of each key.
struct Scanner<'t> {
    lines: Lines<'t>,
    at: usize,
}

impl Scanner<'_> {
    /// Reads a table or a value.
    fn node(&mut self) -> Option<Node> {
        if self.peek() != Some(b'{') {
            return self.take().map(Node::Value);
        }
        self.at += 1;
        let mut fields = Vec::new();
        loop {
            self.space();
            match self.peek()? {
                b'}' => {
                    self.at += 1;
                    return Some(Node::Table(fields));
                }
                b',' => self.at += 1,
                _ => {
                    let place = self.place();
                    let key: String = self.take()?;
                    self.space();
                    // The colon.
                    self.at += 1;
                    self.space();
                    fields.push(Field { key, place, node: self.node()? });
                }
            }
        }
    }

    /// Reads one value and moves the position to its end.
    fn take<T: DeserializeOwned>(&mut self) -> Option<T> {
        let mut values = Deserializer::from_str(self.lines.text.get(self.at..)?).into_iter::<T>();
        let value = values.next()?.ok()?;
        self.at += values.byte_offset();
        Some(value)
    }

    /// Skips white space.
    fn space(&mut self) {
        while self.peek().is_some_and(|byte| byte.is_ascii_whitespace()) {
            self.at += 1;
        }
    }

    fn peek(&self) -> Option<u8> {
        self.lines.text.as_bytes().get(self.at).copied()
    }

    fn place(&self) -> Place {
        self.lines.place(self.at)
    }
}
