//! One mistake in files and variables of settings. Pure.

use std::{fmt, path::PathBuf};

use crate::config::origin::Origin;

/// The longest part of a key that an error shows, in characters.
const SHOWN: usize = 160;

/// One mistake of a [`SettingsError`](crate::SettingsError): where it is, and what to change.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct SettingsMistake {
    /// The file; `None` for a variable.
    pub file: Option<PathBuf>,
    /// The line in the file, from 1; `None` for the file as a whole.
    pub line: Option<usize>,
    /// The column in the line, in characters from 1.
    pub column: Option<usize>,
    /// The environment variable; `None` for a file.
    pub variable: Option<String>,
    /// The key, such as `checks.database.timeout`; `None` if the mistake is in no key.
    pub key: Option<String>,
    /// What is wrong, and what to use instead.
    pub message: String,
}

impl SettingsMistake {
    pub(crate) fn at(origin: &Origin, key: Option<&str>, message: String) -> Self {
        let key = key.map(|key| key.chars().take(SHOWN).collect());
        match origin {
            Origin::File { path, line, column } => Self {
                file: Some(PathBuf::from(&**path)),
                line: Some(*line),
                column: Some(*column),
                variable: None,
                key,
                message,
            },
            Origin::Variable { name, .. } => Self {
                file: None,
                line: None,
                column: None,
                variable: Some(name.chars().take(SHOWN).collect()),
                key,
                message,
            },
        }
    }

    /// A mistake of a file as a whole.
    pub(crate) fn of_file(path: PathBuf, message: String) -> Self {
        Self { file: Some(path), line: None, column: None, variable: None, key: None, message }
    }
}

impl fmt::Display for SettingsMistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(file) = &self.file {
            write!(f, "{}:", file.display())?;
        }
        for number in [self.line, self.column].into_iter().flatten() {
            write!(f, "{number}:")?;
        }
        if let Some(variable) = &self.variable {
            write!(f, "{variable}:")?;
        }
        if let Some(key) = &self.key {
            write!(f, " {key}:")?;
        }
        write!(f, " {}", self.message)
    }
}
