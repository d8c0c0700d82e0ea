//! Quoted values and brackets, in the syntax of JSON, Rust's `Debug`, Python, SQL, ODBC and shells.

use super::span::{before, first, skip};

/// A quoted value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Literal {
    /// The place after the opening quote.
    pub(super) from: usize,
    /// The place of the closing quote, or of the backslashes that escape it, or the end of the text.
    pub(super) to: usize,
    /// The place after the closing quote.
    pub(super) end: usize,
}

/// Returns the literal that begins here: `"…"`, `'…'`, `` `…` ``, `“…”`, `\"…\"` at any depth of escaping, `b"…"` or
/// `r#"…"#`.
pub(super) fn literal(text: &str, at: usize) -> Option<Literal> {
    let at = prefix(text, at);
    let hashes = skip(text, at, |c| c == '#') - at;
    if hashes > 0 {
        return raw(text, at, hashes);
    }
    let opening = skip(text, at, |c| c == '\\');
    let depth = opening - at;
    let quote = first(text, opening)?;
    let closing = match quote {
        '"' | '\'' | '`' => quote,
        '“' => '”',
        '‘' => '’',
        _ => return None,
    };
    let from = opening + quote.len_utf8();
    if depth == 0 && quote == '"' && text[opening..].starts_with("\"\"\"") {
        let from = opening + 3;
        if let Some(length) = text[from..].find("\"\"\"") {
            return Some(Literal { from, to: from + length, end: from + length + 3 });
        }
    }
    let mut look = from;
    while let Some(found) = text[look..].find(closing) {
        let position = look + found;
        let end = position + closing.len_utf8();
        let backslashes = text[from..position].bytes().rev().take_while(|byte| *byte == b'\\').count();
        // Each depth of escaping doubles the backslashes before an inner quote and adds one.
        let closes =
            if (depth + 1).is_power_of_two() { backslashes % (2 * (depth + 1)) == depth } else { backslashes == depth };
        // SQL and ADO double an inner quote.
        let is_doubled =
            depth == 0 && position > from && matches!(closing, '\'' | '"') && text[end..].starts_with(closing);
        if closes && !is_doubled {
            return Some(Literal { from, to: position - depth, end });
        }
        look = if closes { end + closing.len_utf8() } else { end };
    }
    Some(Literal { from, to: text.len(), end: text.len() })
}

/// Returns the place after the prefix letters of a literal, such as `b` or `r`.
fn prefix(text: &str, at: usize) -> usize {
    let letters = skip(text, at, |c| matches!(c, 'b' | 'r' | 'c' | 'u' | 'f' | 'B' | 'R' | 'N'));
    let quote = skip(text, letters, |c| c == '#');
    let is_literal = letters - at <= 2 && matches!(first(text, quote), Some('"' | '\''));
    if is_literal && (quote == letters || text[at..letters].contains('r')) { letters } else { at }
}

/// Returns the literal of `r#"…"#`, whose hashes begin here.
fn raw(text: &str, at: usize, hashes: usize) -> Option<Literal> {
    let from = at + hashes + 1;
    if !text[at + hashes..].starts_with('"') || before(text, at) != Some('r') {
        return None;
    }
    let closing = format!("\"{}", "#".repeat(hashes));
    Some(match text[from..].find(&closing) {
        Some(length) => Literal { from, to: from + length, end: from + length + closing.len() },
        None => Literal { from, to: text.len(), end: text.len() },
    })
}

/// Returns the place of the bracket that closes the bracket here. Brackets within double quotes do not count.
///
/// # Errors
///
/// Returns the place at which the search ended without a match: a closing bracket of another kind, or the end of the
/// text.
pub(super) fn closing_bracket(text: &str, at: usize) -> Result<usize, usize> {
    let mut open = Vec::new();
    let mut look = at;
    while let Some(c) = first(text, look) {
        match c {
            '(' => open.push(')'),
            '[' => open.push(']'),
            '{' => open.push('}'),
            ')' | ']' | '}' => {
                if open.pop() != Some(c) {
                    return Err(look);
                }
                if open.is_empty() {
                    return Ok(look);
                }
            }
            '"' | '\\' => {
                look = match literal(text, look) {
                    Some(literal) => literal.end,
                    None => skip(text, look, |c| c == '\\'),
                };
                continue;
            }
            _ => {}
        }
        look += c.len_utf8();
    }
    Err(text.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_literal_ends_at_its_own_quote() {
        for (text, inside, rest) in [
            (r#""k7q" x"#, "k7q", " x"),
            (r#""k7\"q" x"#, r#"k7\"q"#, " x"),
            (r#""k7\\" x"#, r"k7\\", " x"),
            (r#"\"k7q\" x"#, "k7q", " x"),
            (r#"\"k7\\\"q\" x"#, r#"k7\\\"q"#, " x"),
            (r#"\\\"k7q\\\" x"#, "k7q", " x"),
            ("'k7''q' x", "k7''q", " x"),
            ("'' x", "", " x"),
            ("\"\" x", "", " x"),
            (r##"r#"k7"q"# x"##, r#"k7"q"#, " x"),
            ("b'k7q' x", "k7q", " x"),
            ("br\"k7q\" x", "k7q", " x"),
            ("`k7q` x", "k7q", " x"),
            ("“k7q” x", "k7q", " x"),
            ("\"k7q", "k7q", ""),
        ] {
            let literal = literal(text, 0).unwrap();
            assert_eq!((&text[literal.from..literal.to], &text[literal.end..]), (inside, rest), "{text}");
        }
        assert_eq!(literal("k7q", 0), None);
        assert_eq!(literal("br", 0), None);
    }

    #[test]
    fn a_bracket_is_closed_by_its_own_kind() {
        assert_eq!(closing_bracket("[a(b)\"]\"]x", 0), Ok(8));
        assert_eq!(closing_bracket("[a)", 0), Err(2));
        assert_eq!(closing_bracket("[a", 0), Err(2));
    }
}
