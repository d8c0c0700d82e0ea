//! Parses YAML and keeps the place of each key: one document of tables, lists and scalars, without anchors, aliases and
//! tags. Pure functions.

use saphyr_parser::{Event, Parser, ScalarStyle, Span, StrInput};
use serde_json::{Number, Value};

use crate::config::parse::tree::{Fault, Field, Node, Place};

/// The maximum nesting depth of tables and lists.
const DEEPEST: usize = 32;

/// Parses a document. Returns it with the place where it begins.
pub(super) fn parse(text: &str) -> Result<(Place, Node), Fault> {
    let mut events = Events { parser: Parser::new_from_str(text) };
    let mut document = None;
    while let Some((event, span)) = events.event()? {
        match event {
            Event::DocumentStart(_) if document.is_some() => {
                return Err(fault(span, "there is a second document: use only one"));
            }
            Event::StreamStart | Event::DocumentStart(_) | Event::DocumentEnd | Event::StreamEnd | Event::Nothing => {}
            event => document = Some((place(span), events.node(event, span, 0)?)),
        }
    }
    Ok(document.unwrap_or((Place::START, Node::Value(Value::Null))))
}

struct Events<'t> {
    parser: Parser<'t, StrInput<'t>>,
}

impl<'t> Events<'t> {
    fn event(&mut self) -> Result<Option<(Event<'t>, Span)>, Fault> {
        self.parser.next_event().transpose().map_err(|error| Fault {
            place: Place { line: error.marker().line(), column: error.marker().col() + 1 },
            message: error.info().to_owned(),
        })
    }

    /// Returns the next event inside a table or a list. There always is one, because a table or a list ends with an
    /// event.
    fn inside(&mut self, begin: Span) -> Result<(Event<'t>, Span), Fault> {
        self.event()?.ok_or_else(|| fault(begin, "the table or list does not end"))
    }

    /// Reads the table, list or scalar that begins with an event.
    fn node(&mut self, event: Event<'t>, span: Span, depth: usize) -> Result<Node, Fault> {
        if depth > DEEPEST {
            return Err(fault(span, "tables and lists are nested too deeply"));
        }
        match event {
            Event::Scalar(_, _, _, Some(_)) | Event::SequenceStart(_, Some(_)) | Event::MappingStart(_, Some(_)) => {
                Err(fault(span, "tags are not supported: remove the word with the exclamation mark"))
            }
            Event::Scalar(_, _, 1.., _) | Event::SequenceStart(1.., _) | Event::MappingStart(1.., _) => {
                Err(fault(span, "anchors are not supported: remove the word with the ampersand"))
            }
            Event::Scalar(text, ScalarStyle::Plain, _, None) => Ok(Node::Value(plain(&text))),
            Event::Scalar(text, ..) => Ok(Node::Value(Value::String(text.into_owned()))),
            Event::SequenceStart(..) => {
                let mut values = Vec::new();
                loop {
                    match self.inside(span)? {
                        (Event::SequenceEnd, _) => return Ok(Node::Value(Value::Array(values))),
                        (event, span) => values.push(self.node(event, span, depth + 1)?.into_value()),
                    }
                }
            }
            Event::MappingStart(..) => self.table(span, depth),
            Event::Alias(_) => Err(fault(span, "aliases are not supported: repeat the value")),
            _ => Err(fault(span, "expected a value")),
        }
    }

    fn table(&mut self, begin: Span, depth: usize) -> Result<Node, Fault> {
        let mut fields = Vec::new();
        loop {
            let (key, key_span) = match self.inside(begin)? {
                (Event::MappingEnd, _) => return Ok(Node::Table(fields)),
                (Event::Scalar(key, _, 0, None), span) => (key.into_owned(), span),
                (_, span) => return Err(fault(span, "expected a key")),
            };
            let (event, span) = self.inside(begin)?;
            fields.push(Field { key, place: place(key_span), node: self.node(event, span, depth + 1)? });
        }
    }
}

fn place(span: Span) -> Place {
    Place { line: span.start.line(), column: span.start.col() + 1 }
}

fn fault(span: Span, message: &str) -> Fault {
    Fault { place: place(span), message: message.to_owned() }
}

/// Converts a scalar without quotes by the core schema of YAML 1.2, in which `yes` and `on` are texts.
fn plain(text: &str) -> Value {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => return Value::Null,
        "true" | "True" | "TRUE" => return Value::Bool(true),
        "false" | "False" | "FALSE" => return Value::Bool(false),
        _ => {}
    }
    if let Ok(integer) = text.parse::<i64>() {
        return integer.into();
    }
    let number = text.parse().ok().and_then(Number::from_f64);
    number.map_or_else(|| Value::String(text.to_owned()), Value::Number)
}
