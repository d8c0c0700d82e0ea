//! Redaction: removes secrets from every text that leaves the process.
//!
//! The known shapes of secrets, listed here only:
//!
//! | shape | kept | removed |
//! |---|---|---|
//! | `scheme://user:password@host` | scheme and host | everything before the last `@` of the authority |
//! | `password=…`, `pwd: …`, `api_key=…`, `signature=…`, `"token":"…"` and the like | the key | the value, quoted or up to a separator |
//! | `Bearer …`, `Basic …` | the scheme | the credentials |
//! | AWS access key ids (`AKIA…`, `ASIA…`) | nothing | the id |
//! | JSON web tokens (`eyJ….….…`) | nothing | the token |
//! | PEM blocks | nothing | from `-----BEGIN` to the end of the block, or of the text |
//!
//! Every string given to [`Builder::secret`](crate::Builder::secret) is also removed, at any place in a text.

use std::{borrow::Cow, fmt};

const MASK: &str = "***";

/// Words that mark a key: the value after `=` or `:` is a secret if the key, in lower case, contains one of them.
const SECRET_KEYS: [&str; 16] = [
    "password",
    "passwd",
    "passphrase",
    "pwd",
    "secret",
    "token",
    "api_key",
    "apikey",
    "api-key",
    "access_key",
    "access-key",
    "private_key",
    "private-key",
    "signature",
    "credential",
    "authorization",
];

/// The registered secrets: strings that must appear in no output.
#[derive(Clone, Default)]
pub(crate) struct Secrets(Vec<String>);

impl Secrets {
    /// Adds a secret. Ignores an empty string.
    pub(crate) fn add(&mut self, secret: String) {
        if !secret.is_empty() {
            self.0.push(secret);
            // The longest first, so that a shorter secret does not mask part of a longer secret that contains it.
            self.0.sort_by_key(|secret| std::cmp::Reverse(secret.len()));
        }
    }

    /// Removes the registered secrets and the known shapes.
    pub(crate) fn redact(&self, text: &str) -> String {
        // Registered secrets first: the mask of a shape could cover part of one and leave the rest in the text.
        let mut text = Cow::Borrowed(text);
        for secret in &self.0 {
            if text.contains(secret.as_str()) {
                text = Cow::Owned(text.replace(secret.as_str(), MASK));
            }
        }
        shapes(&text)
    }
}

impl fmt::Debug for Secrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "[{} redacted]", self.0.len())
    }
}

#[cfg(test)]
impl From<&str> for Secrets {
    fn from(secret: &str) -> Self {
        let mut secrets = Self::default();
        secrets.add(secret.to_owned());
        secrets
    }
}

/// Removes the known shapes of secrets.
pub(crate) fn shapes(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let at_word = out.chars().next_back().is_none_or(|c| !is_word(c));
        if let Some((kept, length)) = userinfo(rest)
            .or_else(|| pem(rest))
            .or_else(|| at_word.then(|| word(rest)).flatten())
            .filter(|(_, length)| *length > 0)
        {
            out.push_str(kept);
            out.push_str(MASK);
            rest = &rest[length..];
        } else if at_word && is_word(first) {
            // No shape starts inside a word, so the whole word is copied.
            let end = rest.find(|c| !is_word(c)).unwrap_or(rest.len());
            out.push_str(&rest[..end]);
            rest = &rest[end..];
        } else {
            out.push(first);
            rest = &rest[first.len_utf8()..];
        }
    }
    out
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || matches!(c, '_' | '-')
}

/// Matches `://user:password@` and keeps `://`. Takes everything up to the last `@`, because an unescaped password can
/// contain `@`.
fn userinfo(text: &str) -> Option<(&str, usize)> {
    let authority = text.strip_prefix("://")?;
    let end = authority.find(|c: char| c.is_whitespace() || matches!(c, '"' | '<' | '>')).unwrap_or(authority.len());
    // '/' or '?' normally ends the authority, but an unescaped password can contain them. If '@' follows, removing too
    // much is safer than removing too little.
    let at = authority[..end].rfind('@')?;
    Some((&text[..3], 3 + at))
}

fn pem(text: &str) -> Option<(&str, usize)> {
    if !text.starts_with("-----BEGIN ") {
        return None;
    }
    let end = text.find("-----END ").map_or(text.len(), |start| {
        let after = start + "-----END ".len();
        text[after..].find("-----").map_or(text.len(), |close| after + close + "-----".len())
    });
    Some((&text[..0], end))
}

/// Matches the shapes that begin with a word: key=value, an authorization scheme, an AWS access key id, a JSON web
/// token.
fn word(text: &str) -> Option<(&str, usize)> {
    let end = text.find(|c| !is_word(c)).unwrap_or(text.len());
    let (name, after) = text.split_at(end);
    if name.is_empty() {
        return None;
    }
    if name.len() == 20 && (name.starts_with("AKIA") || name.starts_with("ASIA")) {
        return Some((&text[..0], end));
    }
    if name.starts_with("eyJ") && name.len() > 10 && after.starts_with('.') {
        let length = text.find(|c| !is_word(c) && c != '.').unwrap_or(text.len());
        return Some((&text[..0], length));
    }
    let lower = name.to_ascii_lowercase();
    if matches!(lower.as_str(), "bearer" | "basic") {
        let value = after.trim_start_matches([' ', '\t']);
        let start = text.len() - value.len();
        let length = value.find(|c: char| c.is_whitespace() || matches!(c, '"' | '\'' | ',')).unwrap_or(value.len());
        // A short plain word, as in "basic check", is prose: credentials have 8 characters or more, or a non-letter.
        let token = &value[..length];
        return (start > end
            && (token.len() >= 8 || token.contains(|c: char| !c.is_alphabetic()))
            && !token.is_empty())
        .then(|| (&text[..start], start + length));
    }
    // `pass` must be the whole key, because many harmless words contain it.
    if lower != "pass" && !SECRET_KEYS.iter().any(|key| lower.contains(key)) {
        return None;
    }
    // `key=value`, `key = "value"`, `"key":"value"`: the closing quote of a quoted key can precede the separator.
    let unquoted = after.trim_start_matches(['\\', '"', '\'', ' ']);
    let value = unquoted.strip_prefix(['=', ':'])?.trim_start_matches(' ');
    // A value in Debug output can be wrapped in `Some(..)` or have escaped quotes.
    let value = value.strip_prefix("Some(").unwrap_or(value);
    if let Some(escaped) = value.strip_prefix("\\\"") {
        let start = text.len() - escaped.len();
        return Some((&text[..start], start + escaped.find("\\\"").unwrap_or(escaped.len())));
    }
    let start = text.len() - value.len();
    let length = match value.chars().next()? {
        quote @ ('"' | '\'') => return Some((&text[..=start], start + 1 + quoted(&value[1..], quote))),
        _ => value
            .find(|c: char| c.is_whitespace() || matches!(c, '&' | ';' | ',' | '"' | '\'' | '}'))
            .unwrap_or(value.len()),
    };
    // `authorization: Bearer …`: the secret is not the scheme but the token after it.
    let scheme = value[..length].to_ascii_lowercase();
    if matches!(scheme.as_str(), "bearer" | "basic") {
        let token = value[length..].trim_start_matches(' ');
        let token_start = text.len() - token.len();
        let token_length =
            token.find(|c: char| c.is_whitespace() || matches!(c, '"' | '\'' | ',')).unwrap_or(token.len());
        return Some((&text[..token_start], token_start + token_length));
    }
    (length > 0).then(|| (&text[..start], start + length))
}

/// Returns the length of a quoted value up to its closing quote. A quote after a backslash does not close it.
fn quoted(value: &str, quote: char) -> usize {
    let mut escaped = false;
    for (index, c) in value.char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            c if c == quote => return index,
            _ => {}
        }
    }
    value.len()
}

/// Returns one line of at most `limit` characters. Replaces control characters, and `|`, which starts the performance
/// data of Nagios and ends a field of DogStatsD.
pub(crate) fn single_line(text: &str, limit: usize) -> String {
    let mut line: String = text
        .chars()
        .take(limit + 1)
        .map(|c| {
            if c.is_control() {
                ' '
            } else if c == '|' {
                '/'
            } else {
                c
            }
        })
        .collect();
    if let Some((end, _)) = line.char_indices().nth(limit) {
        line.truncate(end);
        if let Some((last, _)) = line.char_indices().next_back() {
            line.truncate(last);
            line.push('…');
        }
    }
    line
}

#[cfg(test)]
mod tests;
