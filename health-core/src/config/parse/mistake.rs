//! One mistake in a file or an environment variable of settings. Pure functions.

use std::{fmt, path::PathBuf};

use crate::config::origin::Origin;

/// The maximum number of characters of a key or a variable's name that an error shows.
const SHOWN: usize = 160;

/// One mistake of a [`SettingsError`](crate::SettingsError): its place, and the change that corrects it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct SettingsMistake {
    /// The path of the file; `None` for an environment variable.
    pub file: Option<PathBuf>,
    /// The line in the file, counted from 1; `None` if the mistake concerns the whole file, or for a variable.
    pub line: Option<usize>,
    /// The column in the line, in characters, counted from 1; `None` if there is no line.
    pub column: Option<usize>,
    /// The name of the environment variable, cut to 160 characters; `None` for a file.
    pub variable: Option<String>,
    /// The key, such as `checks.database.timeout`, cut to 160 characters; `None` if the mistake belongs to no key.
    pub key: Option<String>,
    /// The problem and its correction.
    pub message: String,
}

impl SettingsMistake {
    /// Creates a mistake at a place in a file, or in a variable.
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

    /// Creates a mistake that concerns a whole file.
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
