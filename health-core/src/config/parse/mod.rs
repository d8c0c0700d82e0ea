//! Parses settings from the text of a file and from environment variables, each value with its place. Pure functions.

mod json;
pub(crate) mod mistake;
mod toml;
mod tree;
pub(crate) mod variables;
mod yaml;

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use serde_json::Value;

use crate::config::{
    nearest::hint,
    origin::Origin,
    parse::{
        mistake::SettingsMistake,
        tree::{Fault, Field, Node, Place},
    },
    settings::{Given, Section, Settings},
};

/// The top-level keys of settings.
pub(super) const SECTIONS: [&str; 3] = ["defaults", "checks", "inserted"];

/// The format of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    Toml,
    Yaml,
    Json,
}

impl Format {
    /// Returns the format of a file extension; `None` for an unknown extension.
    pub(crate) fn of(extension: &str) -> Option<Self> {
        match extension.to_ascii_lowercase().as_str() {
            "toml" => Some(Self::Toml),
            "yaml" | "yml" => Some(Self::Yaml),
            "json" => Some(Self::Json),
            _ => None,
        }
    }
}

/// Adds the settings of a file. Collects every mistake that can be found without the checks.
pub(crate) fn document(
    format: Format,
    path: &Arc<str>,
    text: &str,
    settings: &mut Settings,
    mistakes: &mut Vec<SettingsMistake>,
) {
    // Some editors begin a file with a byte order mark.
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    if text.trim().is_empty() {
        return;
    }
    let mut document = Document { path, settings, mistakes };
    let read = match format {
        Format::Toml => toml::parse(text),
        Format::Yaml => yaml::parse(text).map_err(|fault| vec![fault]),
        Format::Json => json::parse(text).map_err(|fault| vec![fault]),
    };
    match read {
        Ok((place, node)) => document.add(place, node),
        Err(faults) => {
            for Fault { place, message } in faults {
                document.mistake(place, None, message);
            }
        }
    }
}

/// A file whose settings are being added.
struct Document<'d> {
    path: &'d Arc<str>,
    settings: &'d mut Settings,
    mistakes: &'d mut Vec<SettingsMistake>,
}

impl Document<'_> {
    /// Adds the settings of the whole document.
    fn add(&mut self, place: Place, node: Node) {
        for section in self.table(place, None, node) {
            let Field { key, place, node } = section;
            match key.as_str() {
                "defaults" => {
                    for option in self.table(place, Some(&key), node) {
                        let path = format!("defaults.{}", option.key);
                        if let Some((option, given)) = self.value(&path, option) {
                            self.settings.add_default(option, given);
                        }
                    }
                }
                "checks" | "inserted" => {
                    for check in self.table(place, Some(&key), node) {
                        let section = self.section(&key, check);
                        if key == "checks" {
                            self.settings.add_check(section);
                        } else {
                            self.settings.add_inserted(section);
                        }
                    }
                }
                _ => {
                    let message =
                        format!("there is no such key{}: use one of {}", hint(&key, SECTIONS), SECTIONS.join(", "));
                    self.mistake(place, Some(&key), message);
                }
            }
        }
    }

    /// Reads the options of one check.
    fn section(&mut self, parent: &str, check: Field) -> Section {
        let path = format!("{parent}.{}", check.key);
        let origin = Some(self.origin(check.place));
        let mut options = BTreeMap::new();
        for option in self.table(check.place, Some(&path), check.node) {
            let path = format!("{path}.{}", option.key);
            options.extend(self.value(&path, option));
        }
        Section { name: check.key, origin, options }
    }

    /// Returns the fields of a table without duplicates. Collects a mistake for each duplicate.
    fn table(&mut self, place: Place, path: Option<&str>, node: Node) -> Vec<Field> {
        let fields = match node {
            Node::Table(fields) => fields,
            // A YAML key without a value sets nothing.
            Node::Value(Value::Null) => Vec::new(),
            Node::Value(value) => {
                let message = match path {
                    None => format!("expected a table of {}, found {}", SECTIONS.join(", "), kind(&value)),
                    Some("checks" | "inserted") => format!("expected a table of checks, found {}", kind(&value)),
                    Some(_) => format!("expected a table of options, found {}", kind(&value)),
                };
                self.mistake(place, path, message);
                Vec::new()
            }
        };
        let (mut once, mut known) = (Vec::new(), HashMap::new());
        for field in fields {
            if let Some(line) = known.get(&field.key) {
                let path = path.map_or_else(|| field.key.clone(), |path| format!("{path}.{}", field.key));
                let message = format!("the key is already set in line {line}: keep one of them");
                self.mistake(field.place, Some(&path), message);
            } else {
                known.insert(field.key.clone(), field.place.line);
                once.push(field);
            }
        }
        once
    }

    /// Reads the value of one option. Collects a mistake if it is a table.
    fn value(&mut self, path: &str, option: Field) -> Option<(String, Given)> {
        match option.node {
            Node::Value(value) => {
                Some((option.key, Given { value: value.into(), origin: Some(self.origin(option.place)) }))
            }
            Node::Table(_) => {
                self.mistake(option.place, Some(path), "expected one value, found a table".to_owned());
                None
            }
        }
    }

    fn origin(&self, place: Place) -> Origin {
        Origin::File { path: Arc::clone(self.path), line: place.line, column: place.column }
    }

    fn mistake(&mut self, place: Place, key: Option<&str>, message: String) {
        let origin = self.origin(place);
        self.mistakes.push(SettingsMistake::at(&origin, key, message));
    }
}

/// Returns the type of a value, for error texts.
fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "nothing",
        Value::Bool(_) => "true or false",
        Value::Number(_) => "a number",
        Value::String(_) => "a text",
        Value::Array(_) => "a list",
        Value::Object(_) => "a table",
    }
}
