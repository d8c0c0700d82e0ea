//! One value of an operator's settings, read as the type of its option. Pure functions.

use std::time::Duration;

use serde_json::Value;

use crate::{
    check::error::InvalidCheck,
    model::{observed::Number, status::Impact},
};

/// The maximum number of characters of a value that an error shows.
const SHOWN: usize = 64;

/// One value of an operator's settings, for [`Check::apply_setting`](crate::Check::apply_setting).
///
/// Each method reads the value as one type. The error of a method shows the value, cut to 64 characters, and what to
/// use instead, so settings must not contain secrets. Numbers and booleans may be text, as in environment variables.
///
/// ```
/// use std::time::Duration;
/// use health_core::{Setting, serde_json::json};
///
/// assert_eq!(Setting::from(json!("1m 30s")).duration(), Ok(Duration::from_secs(90)));
/// assert_eq!(Setting::from(json!("true")).flag(), Ok(true));
/// let error = Setting::from(json!("soon")).duration().unwrap_err();
/// assert_eq!(
///     error.to_string(),
///     "\"soon\" is not usable: use a duration with its unit, such as \"500ms\", \"2s\" or \"1m 30s\""
/// );
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Setting {
    value: Value,
}

impl From<Value> for Setting {
    fn from(value: Value) -> Self {
        Self { value }
    }
}

impl Setting {
    /// Returns the value as configured.
    #[must_use]
    pub fn value(&self) -> &Value {
        &self.value
    }

    /// Reads a duration with its unit, such as `"500ms"`, `"2s"` or `"1m 30s"`.
    ///
    /// # Errors
    ///
    /// Returns an error if the value is not such a text.
    pub fn duration(&self) -> Result<Duration, InvalidCheck> {
        let parsed = self.value.as_str().and_then(|text| humantime::parse_duration(text).ok());
        parsed.ok_or_else(|| self.refused("use a duration with its unit, such as \"500ms\", \"2s\" or \"1m 30s\""))
    }

    /// Reads a number, such as `80` or `0.5`.
    ///
    /// # Errors
    ///
    /// Returns an error if the value is not a finite number.
    pub fn number(&self) -> Result<Number, InvalidCheck> {
        let number = match &self.value {
            Value::String(text) => parsed(text.trim()),
            Value::Number(number) => parsed(&number.to_string()),
            _ => None,
        };
        number.ok_or_else(|| self.refused("use a number, such as 80 or 0.5"))
    }

    /// Reads a whole number, 0 or greater.
    ///
    /// # Errors
    ///
    /// Returns an error if the value is not such a number.
    pub fn whole(&self) -> Result<u64, InvalidCheck> {
        self.unsigned().ok_or_else(|| self.refused("use a whole number"))
    }

    /// Reads `true` or `false`. Text is read without regard to case.
    ///
    /// # Errors
    ///
    /// Returns an error for any other value.
    pub fn flag(&self) -> Result<bool, InvalidCheck> {
        match &self.value {
            Value::Bool(flag) => Ok(*flag),
            Value::String(text) if text.eq_ignore_ascii_case("true") => Ok(true),
            Value::String(text) if text.eq_ignore_ascii_case("false") => Ok(false),
            _ => Err(self.refused("use true or false")),
        }
    }

    /// Reads a text.
    ///
    /// # Errors
    ///
    /// Returns an error if the value is not a text.
    pub fn text(&self) -> Result<&str, InvalidCheck> {
        self.value.as_str().ok_or_else(|| self.refused("use a text"))
    }

    /// Reads a list of texts, or one text with words separated by commas.
    ///
    /// # Errors
    ///
    /// Returns an error for any other value.
    pub fn words(&self) -> Result<Vec<String>, InvalidCheck> {
        let words: Option<Vec<String>> = match &self.value {
            Value::String(text) => {
                Some(text.split(',').map(str::trim).filter(|word| !word.is_empty()).map(str::to_owned).collect())
            }
            Value::Array(values) => values.iter().map(|value| value.as_str().map(str::to_owned)).collect(),
            _ => None,
        };
        words.ok_or_else(|| self.refused("use a list of names, or names separated by commas"))
    }

    /// Creates the error for a value that an option does not accept. `expected` says what to use instead.
    #[must_use]
    pub fn refused(&self, expected: &str) -> InvalidCheck {
        let value: String = self.value.to_string().chars().take(SHOWN).collect();
        InvalidCheck::new(format!("{value} is not usable: {expected}"))
    }

    /// Returns whether both settings have the same meaning, also if one of them is a text from an environment variable.
    pub(crate) fn says_the_same(&self, other: &Self) -> bool {
        let text = |setting: &Self| match &setting.value {
            Value::String(text) => text.trim().to_owned(),
            value => value.to_string(),
        };
        self.value == other.value || text(self) == text(other)
    }

    /// Reads a number of runs in a row. The plan of the check validates that the number is at least 1.
    pub(crate) fn count(&self) -> Result<u32, InvalidCheck> {
        let number = self.unsigned().and_then(|number| u32::try_from(number).ok());
        number.ok_or_else(|| self.refused("use a whole number from 1"))
    }

    /// Reads `critical` or `optional`.
    pub(crate) fn impact(&self) -> Result<Impact, InvalidCheck> {
        let word = self.value.as_str().unwrap_or_default();
        let impact = Impact::ALL.iter().find(|impact| impact.as_str().eq_ignore_ascii_case(word));
        impact.copied().ok_or_else(|| self.refused("use \"critical\" or \"optional\""))
    }

    /// Reads a duration as a number of seconds, for limits on ages.
    pub(crate) fn seconds(&self) -> Result<Number, InvalidCheck> {
        Ok(self.duration()?.as_secs_f64().into())
    }

    /// Reads a whole number, 0 or greater, for limits on counts.
    #[cfg(feature = "rabbitmq_queue")]
    pub(crate) fn small(&self) -> Result<u32, InvalidCheck> {
        let number = self.unsigned().and_then(|number| u32::try_from(number).ok());
        number.ok_or_else(|| self.refused("use a whole number"))
    }

    /// Reads a whole number, 0 or greater, for limits on counts.
    pub(crate) fn size(&self) -> Result<usize, InvalidCheck> {
        let number = self.unsigned().and_then(|number| usize::try_from(number).ok());
        number.ok_or_else(|| self.refused("use a whole number"))
    }

    fn unsigned(&self) -> Option<u64> {
        match &self.value {
            Value::String(text) => text.trim().parse().ok(),
            value => value.as_u64(),
        }
    }
}

/// Parses a finite number.
fn parsed(text: &str) -> Option<Number> {
    if let Ok(integer) = text.parse::<i64>() {
        return Some(integer.into());
    }
    let integer = text.parse::<u64>().ok().map(Number::from);
    integer.or_else(|| text.parse::<f64>().ok().filter(|float| float.is_finite()).map(Number::from))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn numbers_are_read_from_numbers_and_from_text() {
        let number = |value: Value| Setting::from(value).number();
        for value in [json!(80), json!("80"), json!(" 80 ")] {
            assert_eq!(number(value), Ok(Number::Integer(80)));
        }
        for value in [json!(0.5), json!("0.5"), json!("5e-1")] {
            assert_eq!(number(value), Ok(Number::Float(0.5)));
        }
        assert_eq!(number(json!(u64::MAX)), Ok(Number::Integer(u64::MAX.into())));
        for value in [json!("nan"), json!("inf"), json!(""), json!("1_000"), json!("80%"), json!(true), json!(null)] {
            let text = number(value.clone()).unwrap_err().to_string();
            assert_eq!(text, format!("{value} is not usable: use a number, such as 80 or 0.5"));
        }
        for value in [json!(-1), json!("-1"), json!(1.5)] {
            assert!(Setting::from(value.clone()).whole().is_err(), "{value}");
        }
    }

    #[test]
    fn an_error_shows_at_most_64_characters_of_a_value() {
        let text = Setting::from(json!("x".repeat(10_000))).duration().unwrap_err().to_string();
        assert!(text.starts_with(&format!("\"{} is not usable", "x".repeat(63))), "{text}");
    }
}
