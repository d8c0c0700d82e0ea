//! The grammar of secrets in a text. It reads the text once, from beginning to end.

use super::{
    key, prose,
    span::{Span, before, first, is_word, skip, skip_near, word_end},
    token::{pem, token},
    url::{Run, dsn, userinfo},
    value::value,
};

pub(super) const MASK: &str = "***";

/// Replaces every secret that the grammar finds by [`MASK`].
pub(super) fn redacted(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut run = Run::default();
    let mut at = 0;
    while let Some(c) = first(text, at) {
        let begins_a_word = is_word(c) && !before(text, at).is_some_and(is_word);
        let found = match c {
            ':' => userinfo(text, at, &mut run),
            '-' if text[at..].starts_with("-----") => pem(text, at),
            _ if begins_a_word => word(text, at),
            _ => None,
        };
        let next = match found.filter(|span| span.to > span.from && span.from >= at) {
            Some(span) => {
                out.push_str(&text[at..span.from]);
                out.push_str(MASK);
                at = span.to;
                continue;
            }
            // No secret begins within a word.
            None if is_word(c) => word_end(text, at).max(at + c.len_utf8()),
            None => at + c.len_utf8(),
        };
        out.push_str(&text[at..next]);
        at = next;
    }
    out
}

/// Returns the secret part of a shape that begins with the word here: a known token, an address of Go's MySQL driver,
/// or a key and its value.
fn word(text: &str, at: usize) -> Option<Span> {
    let end = word_end(text, at);
    if let Some(found) = token(text, at).or_else(|| dsn(text, end)) {
        return Some(found).filter(|span| !prose::is_harmless(&text[span.from..span.to]));
    }
    let word = &text[at..end];
    let kind = key::kind(word).or_else(|| is_second_word(text, at, word).then_some(key::Key::Secret));
    // SQL: `SET PASSWORD FOR app = '…'`
    if word.eq_ignore_ascii_case("password")
        && text[end..].len() > 5
        && text.as_bytes()[end..end + 5].eq_ignore_ascii_case(b" for ")
    {
        let sign = skip_near(text, end, 128, |c| !matches!(c, '=' | '\n'));
        let quote = skip_near(text, sign, 8, |c| matches!(c, '=' | ' '));
        if text[quote..].starts_with('\'') && quote > sign {
            let literal = super::literal::literal(text, quote)?;
            return Some(Span { from: literal.from, to: literal.to });
        }
    }
    if let Some(kind) = kind {
        return value(text, at, end, kind);
    }
    // SQL: `IDENTIFIED BY '…'`
    let is_of_sql = word.eq_ignore_ascii_case("by") && ends_with_word(text, at, "identified");
    let quote = skip(text, end, |c| c == ' ');
    if is_of_sql && text[quote..].starts_with(['\'', '"']) {
        let literal = super::literal::literal(text, quote)?;
        return Some(Span { from: literal.from, to: literal.to });
    }
    None
}

/// Returns whether the word is the second one of a key such as `Account Key`.
fn is_second_word(text: &str, at: usize, word: &str) -> bool {
    let is_key = word.eq_ignore_ascii_case("key") && text[..at].ends_with([' ', '.']);
    let start = at.saturating_sub(1);
    is_key && {
        let before = &text[..start];
        let begin = before
            .rfind(|c: char| !is_word(c))
            .map_or(0, |found| found + before[found..].chars().next().map_or(1, char::len_utf8));
        key::is_secret_before_key(&before[begin..])
    }
}

fn ends_with_word(text: &str, at: usize, word: &str) -> bool {
    let before = text[..at].trim_end_matches(' ');
    before
        .len()
        .checked_sub(word.len())
        .and_then(|from| before.get(from..))
        .is_some_and(|last| last.eq_ignore_ascii_case(word))
}
