//! A bearer token.

use std::fmt;

/// A bearer token. Its `Debug` output is `***`, so that no output contains the token.
#[derive(Clone)]
pub(crate) struct Token(String);

impl Token {
    /// Creates a token; `None` if the text is empty or cannot be sent in a header.
    pub(crate) fn new(text: &str) -> Option<Self> {
        let text = text.trim();
        (!text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic())).then(|| Self(text.to_owned()))
    }

    pub(crate) fn bearer(&self) -> String {
        format!("Bearer {}", self.0)
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}
