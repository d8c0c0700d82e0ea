//! Finds the beginning and the end of the value of a key, in each dialect.

use super::{
    key::Key,
    literal::{closing_bracket, literal},
    prose,
    span::{Span, before, first, floor, is_word, skip, skip_near, word_end},
    token::token68,
};

/// The maximum number of bytes in which the end of a value with spaces, or of a tag, is searched. The content of an
/// element may be four times as long.
const FAR: usize = 128;

/// The separator between a key and its value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Separator {
    /// `=`, `==`, `=>`, `:=`, `%3D`
    Equals,
    /// `:`, `%3A`
    Colon,
    /// `<key>`
    Element,
    /// `Key(` before a literal
    Call,
    /// `--key value`, `PASSWORD 'value'`
    Blank,
}

/// Returns the secret part of the value of a key. The key extends from `at` to `key_end`.
pub(super) fn value(text: &str, at: usize, key_end: usize, kind: Key) -> Option<Span> {
    let (separator, behind) = separator(text, at, key_end)?;
    let from = behind_block_sign(text, skip(text, behind, char::is_whitespace));
    let has_space = from > behind;
    if text[behind..from].contains('\n') && !begins_a_structure(text, from) && separator != Separator::Element {
        // The key is the end of its line. The next line is its value only if it consists of a single word.
        let line = text[from..].lines().next().unwrap_or_default().trim_end();
        if line.contains(char::is_whitespace) || line.contains([':', '=']) {
            return None;
        }
    }
    let word = &text[from..skip(text, from, |c| c.is_alphanumeric() || matches!(c, '\'' | '_'))];
    // OpenSSL separates the parts of its messages by colons without spaces.
    let may_be_prose = separator == Separator::Colon && (has_space || before(text, at) == Some(':'));
    let is_scheme = kind == Key::Header && word.eq_ignore_ascii_case("token");
    let is_a_type = word.starts_with(char::is_uppercase) && begins_a_structure(text, from);
    let is_prose =
        may_be_prose && !is_scheme && !is_a_type && prose::continues(word) && follows_a_word(text, from + word.len());
    if is_prose || kind == Key::Secrets && is_a_number(text, from) && !is_of_a_query(text, at) {
        return None;
    }
    if separator == Separator::Element {
        if let Some(content) = text[from..].strip_prefix("<![CDATA[") {
            let begin = text.len() - content.len();
            return masked(text, begin, content.find("]]>").map_or(text.len(), |length| begin + length));
        }
        let tag = skip_near(text, from, 4 * FAR, |c| c != '<');
        // Without a closing tag the element is cut off, or it is a placeholder such as `<token>` in a sentence.
        let to = match text[tag..].starts_with("</") {
            true => tag,
            false if has_space => from,
            false => skip(text, from, |c| !c.is_whitespace() && c != '<'),
        };
        return masked(text, from, to);
    }
    if let Some(span) = structure(text, at, from, separator) {
        return masked(text, span.from, span.to);
    }
    if separator == Separator::Call || starts_a_literal(text, from) {
        return None;
    }
    if has_space && kind != Key::Header && is_another_pair(text, from, separator) {
        return None;
    }
    if kind == Key::Header
        && (separator == Separator::Colon || begins_with_a_scheme(text, from))
        && !is_of_a_query(text, at)
    {
        return header(text, at, from);
    }
    // `PWD` is also the working directory of a shell.
    if &text[at..key_end] == "PWD" && text[from..].starts_with('/') {
        return None;
    }
    // In `token: Bearer …` the mask replaces the scheme, too.
    let begins = if begins_with_a_scheme(text, from) { skip(text, word_end(text, from), |c| c == ' ') } else { from };
    masked(text, from, bare_end(text, at, begins, separator))
}

/// Returns the span, unless it is empty or a value that is no secret.
fn masked(text: &str, from: usize, to: usize) -> Option<Span> {
    (to > from && !prose::is_harmless(&text[from..to])).then_some(Span { from, to })
}

/// Returns the separator after a key, and the place after the separator.
fn separator(text: &str, at: usize, key_end: usize) -> Option<(Separator, usize)> {
    if text[key_end..].starts_with('(') {
        let from = skip(text, key_end + 1, char::is_whitespace);
        return begins_a_structure(text, from).then_some((Separator::Call, key_end + 1));
    }
    let begin = begin_of_dotted(text, at);
    if text[key_end..].starts_with('>') && matches!(before(text, begin), Some('<' | '/')) {
        return (before(text, begin) == Some('<')).then_some((Separator::Element, key_end + 1));
    }
    // An XML element with attributes.
    if text[key_end..].starts_with(' ') && before(text, begin) == Some('<') {
        let end = skip_near(text, key_end, FAR, |c| !matches!(c, '<' | '>'));
        let is_element =
            text[key_end..end].contains('=') && text[end..].starts_with('>') && !text[..end].ends_with('/');
        return is_element.then_some((Separator::Element, end + 1));
    }
    // A tuple in `Debug` output: `("password", "…")`
    let quote = literal_end_of_key(text, at, key_end);
    if let Some(comma) = quote.filter(|quote| text[*quote..].starts_with(", ") && starts_a_literal(text, quote + 2)) {
        return Some((Separator::Colon, comma + 1));
    }
    if let Some(value) = behind_its_name(text, key_end) {
        return Some((Separator::Colon, value));
    }
    // The closing quote of a key, or the closing bracket of an index.
    let unquoted = skip_near(text, key_end, 16, |c| matches!(c, '\\' | '"' | '\'' | '`' | ']'));
    let unquoted = if text[unquoted..].starts_with("%22") { unquoted + 3 } else { unquoted };
    let sign = skip_near(text, unquoted, 80, |c| matches!(c, ' ' | '\t'));
    let rest = &text[sign..];
    for (spelling, separator) in [
        ("=>", Separator::Equals),
        ("==", Separator::Equals),
        ("=", Separator::Equals),
        (":=", Separator::Equals),
        ("!=", Separator::Equals),
        ("%3D", Separator::Equals),
        ("%3d", Separator::Equals),
        ("%3A", Separator::Colon),
        ("%3a", Separator::Colon),
        (":", Separator::Colon),
    ] {
        if rest.starts_with(spelling) {
            // A module path such as `token::…`, or the last part of a URL's path before a colon.
            let is_path = rest.starts_with("::") || separator == Separator::Colon && before(text, at) == Some('/');
            return (!is_path).then_some((separator, sign + spelling.len()));
        }
    }
    if unquoted > key_end || sign == key_end {
        return None;
    }
    let is_an_option = text[begin..].starts_with("--") && !rest.starts_with('-');
    let is_of_sql = rest.starts_with('\'') && text[at..key_end].eq_ignore_ascii_case("password");
    (is_an_option || is_of_sql).then_some((Separator::Blank, sign))
}

/// Returns the place after `"value":` or `value=` if the key is itself the value of `name`, as in
/// `{"name":"TOKEN","value":"…"}`.
fn behind_its_name(text: &str, key_end: usize) -> Option<usize> {
    let quotes = |at| skip_near(text, at, 4, |c| matches!(c, '"' | '\\' | '\''));
    let closing = quotes(key_end);
    let name = quotes(skip_near(text, closing, 4, |c| matches!(c, ',' | ' ')));
    let is_value = text.get(name..name + 5).is_some_and(|name| name.eq_ignore_ascii_case("value"));
    if !is_value || closing == key_end {
        return None;
    }
    let sign = quotes(name + 5);
    text[sign..].starts_with([':', '=']).then_some(sign + 1)
}

/// Returns the place after the closing quote of a key that is the first item of a tuple.
fn literal_end_of_key(text: &str, at: usize, key_end: usize) -> Option<usize> {
    let opening = text[..at].trim_end_matches(['"', '\\']);
    let closing = skip_near(text, key_end, 8, |c| matches!(c, '"' | '\\'));
    (opening.len() < at && opening.ends_with('(') && closing > key_end).then_some(closing)
}

/// Returns the beginning of the content of a YAML block, whose sign `|` or `>` ends the line of the key. Returns `at`
/// if there is no such sign.
fn behind_block_sign(text: &str, at: usize) -> usize {
    let sign = skip_near(text, at, 2, |c| matches!(c, '|' | '>' | '-' | '+'));
    let is_block = sign > at && matches!(first(text, at), Some('|' | '>')) && text[sign..].starts_with('\n');
    if is_block { skip(text, sign, char::is_whitespace) } else { at }
}

/// Returns whether a scheme of the `Authorization` header, followed by a space, begins here.
fn begins_with_a_scheme(text: &str, at: usize) -> bool {
    let end = word_end(text, at);
    let scheme = text[at..end].to_ascii_lowercase();
    let is_known =
        ["apikey", "basic", "bearer", "digest", "hawk", "key", "negotiate", "ntlm", "token"].contains(&scheme.as_str());
    text[end..].starts_with(' ') && (is_known || scheme.starts_with("aws4-"))
}

/// Returns the beginning of the whole key, such as `sasl.password` or `ns:password`, whose last word begins at `at`.
fn begin_of_dotted(text: &str, at: usize) -> usize {
    let near = floor(text, at.saturating_sub(64));
    let key = &text[near..at];
    let other = key.rfind(|c| !is_word(c) && c != '.' && c != ':');
    near + other.map_or(0, |found| found + key[found..].chars().next().map_or(1, char::len_utf8))
}

fn starts_a_literal(text: &str, at: usize) -> bool {
    literal(text, at).is_some()
}

/// Returns whether a literal or a bracket begins here, or the name of a type before a bracket.
fn begins_a_structure(text: &str, at: usize) -> bool {
    starts_a_literal(text, at) || bracket_behind_a_name(text, at).is_some()
}

/// Returns the place of the first bracket in `[…`, `Some(…`, `Pw {…` or `value::String(…`, if a literal or another
/// bracket follows.
fn bracket_behind_a_name(text: &str, at: usize) -> Option<usize> {
    let mut look = at;
    let mut outermost = None;
    // Real values are not nested more deeply.
    for _ in 0..8 {
        look = skip(text, look, |c| c.is_whitespace() || c == '&');
        if starts_a_literal(text, look) {
            return outermost;
        }
        let name_end = skip_near(text, look, 80, |c| c.is_alphanumeric() || matches!(c, '_' | ':' | '<' | '>'));
        let mut bracket = name_end;
        let is_field = text[look..name_end].ends_with(':');
        if is_field && outermost.is_some() {
            // In `Pw { value: "…" }` the value of the field decides.
            look = name_end;
            continue;
        }
        if name_end > look && text[name_end..].starts_with(" {") {
            bracket += 1;
        }
        match first(text, bracket) {
            Some('[' | '(' | '{') if name_end == look || first(text, look).is_some_and(char::is_alphabetic) => {
                outermost = outermost.or(Some(bracket));
                // A number in a list counts as a byte of a secret.
                let inside = skip(text, bracket + 1, char::is_whitespace);
                let is_the_value = name_end == look && look == at;
                if bracket == name_end + 1 && is_a_field(text, inside)
                    || is_the_value
                    || is_a_number(text, inside)
                    || is_masked(text, inside)
                {
                    return outermost;
                }
                look = bracket + 1;
            }
            _ => return None,
        }
    }
    outermost
}

/// Returns whether a field name, followed by `: `, begins here.
fn is_a_field(text: &str, at: usize) -> bool {
    let end = skip_near(text, at, 80, |c| c.is_alphanumeric() || c == '_');
    end > at && text[end..].starts_with(": ")
}

/// Returns whether a value that the driver has masked begins here. tokio-postgres, for example, writes `Some(_)`.
fn is_masked(text: &str, at: usize) -> bool {
    ["***", "_)", "[REDACTED", "<redacted>"].iter().any(|mask| text[at..].starts_with(mask))
}

/// Returns the secret part of a literal or a bracketed value: `"…"`, `Some("…")`, `["…", "…"]`, `{…}`.
fn structure(text: &str, at: usize, from: usize, separator: Separator) -> Option<Span> {
    if let Some(found) = literal(text, from) {
        // In a shell, characters directly after the closing quote belong to the value.
        let goes_on = found.to > found.from && first(text, found.end).is_some_and(is_word);
        return Some(if goes_on {
            Span { from, to: bare_end(text, at, found.end, separator) }
        } else {
            Span { from: found.from, to: found.to }
        });
    }
    let bracket = bracket_behind_a_name(text, from).filter(|_| !is_of_a_query(text, at))?;
    if separator == Separator::Equals && text[bracket..].starts_with('{') && bracket == from {
        return Some(odbc(text, from));
    }
    if separator == Separator::Equals && bracket > from {
        // `password=Some("…")`, or a secret that contains a bracket. The mask replaces all of it.
        let bare = bare_end(text, at, from, separator);
        let to = match closing_bracket(text, bracket) {
            Ok(close) => bare_end(text, at, close + 1, separator).max(close + 1),
            // Without a closing bracket everything that was searched is masked, so that no part is searched twice.
            Err(end) => end,
        };
        return Some(Span { from, to: to.max(bare) });
    }
    let (close, goes_on) = match closing_bracket(text, bracket) {
        Ok(close) => (close, first(text, close + 1).is_some_and(is_word)),
        Err(end) => return Some(Span { from: bracket + 1, to: bare_end(text, at, end, separator).max(end) }),
    };
    if goes_on {
        return Some(Span { from, to: bare_end(text, at, close + 1, separator) });
    }
    Some(leaf(text, bracket, close))
}

/// Returns the value in `{…}` of ODBC, where a doubled `}` belongs to the value.
fn odbc(text: &str, from: usize) -> Span {
    let mut look = from + 1;
    while let Some(found) = text[look..].find('}') {
        let at = look + found;
        if !text[at + 1..].starts_with('}') {
            return Span { from: from + 1, to: at };
        }
        look = at + 2;
    }
    Span { from: from + 1, to: text.len() }
}

/// Returns the secret part between two brackets: the content of a single literal, or else everything.
fn leaf(text: &str, bracket: usize, close: usize) -> Span {
    let last = text[..close].trim_end_matches(|c: char| c.is_whitespace() || matches!(c, ',' | ')' | ']' | '}')).len();
    let mut from = bracket + 1;
    let mut has_fields = false;
    // Names and brackets before the first literal stay readable.
    while from < last {
        from = skip(text, from, |c| c.is_whitespace() || matches!(c, '&' | '(' | '[' | '{'));
        if let Some(found) = literal(text, from) {
            let is_alone = found.end >= last;
            if is_alone {
                return Span { from: found.from, to: found.to.min(close) };
            }
            break;
        }
        let name = skip(text, from, |c| c.is_alphanumeric() || matches!(c, '_' | ':'));
        let opens = skip(text, name, |c| c == ' ');
        let goes_on =
            matches!(first(text, opens), Some('(' | '[' | '{')) || text[from..name].ends_with(':') && opens > name;
        if name == from || !goes_on || !first(text, from).is_some_and(char::is_alphabetic) {
            break;
        }
        has_fields |= text[from..name].ends_with(':');
        from = opens;
    }
    if has_fields {
        let begin = skip(text, bracket + 1, char::is_whitespace).min(close);
        return Span { from: begin, to: text[..close].trim_end().len().max(begin) };
    }
    let begin = from.min(last.max(bracket + 1));
    Span { from: begin, to: last.max(begin) }
}

/// Returns the secret part of a header's value, which ends with its line. After `Bearer` and `Basic` that is one token,
/// and otherwise the whole value.
fn header(text: &str, at: usize, from: usize) -> Option<Span> {
    let scheme_end = word_end(text, from);
    let scheme = &text[from..scheme_end];
    if matches!(scheme.to_ascii_lowercase().as_str(), "bearer" | "basic") {
        let token = skip(text, scheme_end, |c| matches!(c, ' ' | '\t'));
        return match literal(text, token) {
            Some(found) => masked(text, found.from, found.to),
            None => masked(text, token, token68(text, token)),
        };
    }
    // The `Debug` output of a `HeaderMap` shows sensitive values in this way.
    if scheme == "Sensitive" {
        return None;
    }
    let line_end = skip(text, from, |c| !matches!(c, '\n' | '\r'));
    let to = match before(text, at) {
        Some('"' | '\'' | '`') => literal(text, at - 1).map_or(line_end, |whole| whole.to.clamp(from, line_end)),
        _ => line_end,
    };
    masked(text, from, to)
}

/// Returns the end of a value without quotes.
///
/// In a query the value ends at `&` or `#`. Elsewhere it ends at white space, and at `,`, `;` or `&` if another pair
/// follows, so that a secret may contain these characters.
fn bare_end(text: &str, at: usize, from: usize, separator: Separator) -> usize {
    let is_query = is_of_a_query(text, at);
    let mut look = from;
    while let Some(c) = first(text, look) {
        let next = look + c.len_utf8();
        let ends = match c {
            // In libpq's syntax a space after a backslash is part of the value.
            '\\' => {
                let quote = skip(text, next, |c| c == '\\');
                let ends = match first(text, quote) {
                    Some('"' | '\'') => ends_behind(text, quote + 1),
                    // An escaped line end.
                    Some('n' | 'r') => quote == next && is_another_pair(text, quote + 1, Separator::Colon),
                    _ => false,
                };
                if !ends {
                    let is_blank = text[quote..].starts_with(' ') && separator == Separator::Equals && quote == next;
                    look = quote + usize::from(is_blank);
                    continue;
                }
                true
            }
            c if c.is_whitespace() => return blanks(text, at, from, look, separator),
            '"' | '\'' | '`' => is_query && c == '"' || ends_behind(text, next),
            '&' | '#' if is_query => true,
            '<' => text[next..].starts_with('/'),
            '%' if is_query => false,
            ',' | ';' | '&' => !is_query && is_another_pair(text, next, separator),
            _ => false,
        };
        if ends {
            break;
        }
        look = next;
    }
    trimmed(text, from, look)
}

/// Returns whether a key belongs to the query of a URL.
fn is_of_a_query(text: &str, at: usize) -> bool {
    matches!(before(text, at), Some('?' | '&' | '#'))
}

/// Returns the end of the value without the punctuation after it.
fn trimmed(text: &str, from: usize, to: usize) -> usize {
    from + text[from..to].trim_end_matches(['.', ',', ';', ':', '!', '?', ')', ']', '}', '>']).len()
}

/// Returns the end of a value at a space. ADO allows spaces in a value, so a value of ADO continues to the next `;` if
/// another pair or the end follows it.
fn blanks(text: &str, at: usize, from: usize, blank: usize, separator: Separator) -> usize {
    let is_ado = separator == Separator::Equals && matches!(before(text, at), Some(';') | None);
    let line = &text[blank..floor(text, blank + FAR)];
    let end = line.find(['=', '"', '\n']).unwrap_or(line.len());
    match line[..end].rfind(';') {
        Some(semicolon)
            if is_ado
                && (is_another_pair(text, blank + semicolon + 1, separator)
                    || ends_behind(text, blank + semicolon + 1)) =>
        {
            blank + semicolon
        }
        _ => trimmed(text, from, blank),
    }
}

/// Returns whether a further key and its separator begin here.
fn is_another_pair(text: &str, at: usize, separator: Separator) -> bool {
    let from = skip_near(text, at, 8, |c| matches!(c, ' ' | '"' | '\\' | '{' | '\''));
    let end = skip_near(text, from, 48, |c| is_word(c) || matches!(c, '.' | ' '));
    let key = text[from..end].trim_end();
    let behind = skip_near(text, end, 4, |c| matches!(c, '"' | '\\' | '\''));
    // A colon counts as a separator only if the previous pair had a colon, too, or if the key is quoted.
    let may_be_colon = separator == Separator::Colon || behind > end || from > at && text[behind..].starts_with(": ");
    let is_separated = match first(text, behind) {
        Some('=') => !text[behind..].starts_with("=="),
        Some(':') => may_be_colon,
        _ => false,
    };
    // ADO has keys with several words, such as `User Id` and `Initial Catalog`.
    let is_word = !key.contains(' ')
        || key.split(' ').all(|word| word.starts_with(char::is_uppercase))
        || ["user id", "data source", "initial catalog"].contains(&key);
    key.starts_with(char::is_alphabetic) && is_word && is_separated
}

/// Returns whether a value can end here: at the end of the text, or before white space or punctuation that is not
/// followed by a letter, as after a closing quote.
fn ends_behind(text: &str, at: usize) -> bool {
    let at = skip(text, at, |c| matches!(c, '"' | '\'' | '`' | '\\'));
    let Some(c) = first(text, at) else { return true };
    let is_punctuation = matches!(c, ',' | ';' | ':' | '.' | ')' | ']' | '}' | '>');
    let follows = first(text, at + c.len_utf8());
    let is_last = follows.is_none_or(|c| c.is_whitespace() || ",;:)]}>{[(\"'`\\".contains(c));
    c.is_whitespace() || is_punctuation && is_last
}

fn follows_a_word(text: &str, at: usize) -> bool {
    first(text, at).is_none_or(|c| c.is_whitespace() || matches!(c, '.' | ',' | ';' | ':' | '!' | ')' | '"' | '\''))
}

fn is_a_number(text: &str, at: usize) -> bool {
    let end = skip(text, at, |c| c.is_ascii_digit() || c == '.');
    end > at && !first(text, end).is_some_and(is_word)
}
