//! Redaction: removes secrets from every text that leaves the process.
//!
//! `grammar` reads a text once and recognizes these shapes:
//!
//! | shape | kept | removed | file |
//! |---|---|---|---|
//! | PEM blocks | nothing | from `-----BEGIN` to the end of the block or of the text | `token` |
//! | `scheme://user:password@host` | scheme and host | the part before the host | `url` |
//! | `user:password@tcp(host)` | user and host | the password | `url` |
//! | prefixed tokens of GitHub, GitLab, Slack, Google, Stripe and others | nothing | the token | `token` |
//! | access key ids of AWS, JSON Web Tokens | nothing | the token | `token` |
//! | `Bearer …`, `Basic …` | the scheme | the credentials, unless the text is a sentence | `token` |
//! | a key that names a secret, in any case style, and its value | the key | the value | `key`, `value`, `literal` |
//!
//! Between a key and its value the grammar accepts `=`, `:`, `=>`, `:=`, white space and the closing quote of the key.
//! Before a literal it also accepts the names and brackets of `Debug` output. The end of a value depends on the
//! dialect:
//!
//! | dialect | end of the value |
//! |---|---|
//! | query | `&` or `#` |
//! | libpq, environment | white space that does not follow a backslash |
//! | ODBC, ADO | the closing brace or quote, unless it is doubled; `;` before another pair |
//! | JSON, `Debug`, Python | the closing quote of the same depth of escaping, or the closing bracket |
//! | headers | the end of the line; after `Bearer` and `Basic` the end of one token |
//! | XML | the closing tag |
//!
//! Values that show the absence of a secret stay: `None`, `false`, `***`, and a sentence as in
//! `invalid token: expected …`. A number after a plural key stays, too, as in `max_tokens=4096`.
//!
//! Every string given to [`Builder::secret`](crate::Builder::secret) is also removed, at any place in a text, both
//! verbatim and as URLs and JSON encode it.

mod grammar;
mod key;
mod literal;
mod prose;
mod span;
mod token;
mod url;
mod value;

use std::{
    borrow::Cow,
    fmt::{self, Write as _},
};

use self::grammar::MASK;

/// The registered secrets: strings that must appear in no output.
#[derive(Clone, Default)]
pub(crate) struct Secrets(Vec<String>);

impl Secrets {
    /// Adds a secret and its encoded forms. Ignores an empty string.
    pub(crate) fn add(&mut self, secret: String) {
        if !secret.is_empty() {
            self.0.extend(spellings(&secret));
            self.0.push(secret);
            // The longest comes first, so that a shorter secret does not mask part of a longer secret that contains it.
            self.0.sort_by_key(|secret| std::cmp::Reverse(secret.len()));
        }
    }

    /// Replaces the registered secrets and the known shapes of secrets by `***`.
    pub(crate) fn redact(&self, text: &str) -> String {
        // Registered secrets are replaced first, because a mask of a shape could cover part of one and leave the rest.
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

/// Returns the encoded forms of a secret that differ from it: percent-encoded in full, as in the userinfo of a URL, as
/// in a query and as in a form, and with the escapes of JSON.
fn spellings(secret: &str) -> Vec<String> {
    let in_userinfo = |byte: u8| !byte.is_ascii_graphic() || br##""#<>?`{}/:;=@[\]^|"##.contains(&byte);
    let in_query = |byte: u8| !byte.is_ascii_graphic() || br##""#<>'"##.contains(&byte);
    let in_full = |byte: u8| !byte.is_ascii_alphanumeric() && !b"-._~".contains(&byte);
    let mut spellings = vec![
        percent_encoded(secret, in_full),
        percent_encoded(secret, in_userinfo),
        percent_encoded(secret, in_query),
        percent_encoded(secret, in_full).replace("%20", "+"),
    ];
    spellings.extend(spellings.clone().into_iter().map(|spelling| lower_hex(&spelling)));
    let json = serde_json::Value::from(secret).to_string();
    let json = json[1..json.len() - 1].to_owned();
    spellings.push(json.replace('/', "\\/"));
    spellings.push(json);
    spellings.sort_unstable();
    spellings.dedup();
    spellings.retain(|spelling| spelling != secret);
    spellings
}

fn percent_encoded(text: &str, is_encoded: impl Fn(u8) -> bool) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        let mut bytes = [0; 4];
        for byte in c.encode_utf8(&mut bytes).bytes() {
            if is_encoded(byte) {
                let _ = write!(out, "%{byte:02X}");
            } else {
                out.push(char::from(byte));
            }
        }
    }
    out
}

/// Returns a percent-encoded text with lowercase hexadecimal digits.
fn lower_hex(text: &str) -> String {
    let mut parts = text.split('%');
    let mut out = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let (hex, rest) = part.split_at(part.len().min(2));
        out.push('%');
        out.push_str(&hex.to_ascii_lowercase());
        out.push_str(rest);
    }
    out
}

#[cfg(test)]
impl From<&str> for Secrets {
    fn from(secret: &str) -> Self {
        let mut secrets = Self::default();
        secrets.add(secret.to_owned());
        secrets
    }
}

/// Replaces the known shapes of secrets by `***`.
pub(crate) fn shapes(text: &str) -> String {
    grammar::redacted(text)
}

/// Returns whether a key names a secret.
pub(crate) fn is_secret_key(key: &str) -> bool {
    key::kind(key).is_some()
}

/// Returns the text as one line of at most `limit` characters. Replaces control characters by spaces, and `|` by `/`,
/// because `|` starts the performance data of Nagios and ends a field of DogStatsD.
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
