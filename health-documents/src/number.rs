//! Numbers that are valid in JSON, but too large for a float.

/// Returns a document in which numbers that are too large for a float, such as `1e400`, are replaced with `null`.
/// serde_json refuses a document with such a number.
pub(crate) fn without_infinite(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    let (mut is_quoted, mut is_escaped) = (false, false);
    while let Some(c) = rest.chars().next() {
        let mut length = c.len_utf8();
        if !is_quoted && (c == '-' || c.is_ascii_digit()) {
            let is_of_number = |c: char| c.is_ascii_digit() || matches!(c, '-' | '+' | '.' | 'e' | 'E');
            length = rest.find(|c| !is_of_number(c)).unwrap_or(rest.len());
            let is_infinite = rest[..length].parse().is_ok_and(f64::is_infinite);
            out.push_str(if is_infinite { "null" } else { &rest[..length] });
        } else {
            is_quoted ^= c == '"' && !is_escaped;
            is_escaped = is_quoted && c == '\\' && !is_escaped;
            out.push(c);
        }
        rest = &rest[length..];
    }
    out
}
