//! Parses the `Accept` header, as pure functions: RFC 9110, sections 12.5.1 (ranges), 12.4.2 (qualities) and 5.6.4
//! (quoted strings).

/// A range of media types that a caller accepts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Range<'a> {
    pub(super) media: &'a str,
    /// The text after the media type: parameters, separated by `;`.
    parameters: &'a str,
}

/// Returns the ranges of all lines of the header, which together are one list.
pub(super) fn ranges<'a>(lines: impl Iterator<Item = &'a str>) -> impl Iterator<Item = Range<'a>> {
    lines.flat_map(|line| parts(line, ',')).filter(|range| !range.is_empty()).map(|range| {
        let (media, parameters) = range.split_once(';').unwrap_or((range, ""));
        Range { media: media.trim(), parameters }
    })
}

impl<'a> Range<'a> {
    /// Returns how specifically the range matches a media type: 2 for the type itself, 1 for `type/*`, 0 for `*/*`;
    /// `None` if it does not match.
    pub(super) fn specificity(self, media: &str) -> Option<u8> {
        let kind = |media: &'a str| media.split_once('/').filter(|(_, subtype)| *subtype == "*").map(|(kind, _)| kind);
        let of_the_offer = media.split('/').next().unwrap_or_default();
        if self.media.eq_ignore_ascii_case(media) {
            Some(2)
        } else if self.media == "*/*" {
            Some(0)
        } else {
            kind(self.media).is_some_and(|kind| kind.eq_ignore_ascii_case(of_the_offer)).then_some(1)
        }
    }

    /// Returns the quality in thousandths. A missing or malformed `q` is 1.
    pub(super) fn quality(self) -> u16 {
        self.parameter("q").and_then(thousandths).unwrap_or(1000)
    }

    /// Returns whether a parameter has this value; `None` if the range does not have the parameter.
    pub(super) fn has(self, name: &str, value: &str) -> Option<bool> {
        self.parameter(name).map(|asked| means(asked, value))
    }

    /// Returns the value of a parameter, as sent.
    fn parameter(self, name: &str) -> Option<&'a str> {
        parts(self.parameters, ';')
            .filter_map(|parameter| parameter.split_once('='))
            .find(|(own, _)| own.trim().eq_ignore_ascii_case(name))
            .map(|(_, value)| value.trim())
    }
}

/// Returns the parts of a list, without the white space around each part. A separator in a quoted string is ignored.
fn parts(list: &str, separator: char) -> impl Iterator<Item = &str> {
    let mut rest = Some(list);
    std::iter::from_fn(move || {
        let list = rest?;
        let (mut is_quoted, mut is_escaped) = (false, false);
        let end = list.find(|c| {
            let ends = c == separator && !is_quoted;
            is_quoted ^= c == '"' && !is_escaped;
            is_escaped = is_quoted && c == '\\' && !is_escaped;
            ends
        });
        rest = end.map(|end| &list[end + 1..]);
        Some(list[..end.unwrap_or(list.len())].trim())
    })
}

/// Returns whether a token or a quoted string equals a text, after the escapes of a quoted string are resolved.
fn means(sent: &str, text: &str) -> bool {
    let Some(quoted) = sent.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')) else { return sent == text };
    let mut is_escaped = false;
    let characters = quoted.chars().filter(|c| {
        is_escaped = *c == '\\' && !is_escaped;
        !is_escaped
    });
    characters.eq(text.chars())
}

/// Parses a quality into thousandths; `None` if it is malformed.
fn thousandths(value: &str) -> Option<u16> {
    let (whole, fraction) = value.split_once('.').unwrap_or((value, ""));
    if fraction.len() > 3 || !fraction.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let digits = fraction.bytes().fold(0, |sum, b| sum * 10 + u16::from(b - b'0'));
    let thousandths = digits * [1000, 100, 10, 1][fraction.len()];
    match whole {
        "0" => Some(thousandths),
        "1" if thousandths == 0 => Some(1000),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use std::iter;

    use super::*;

    fn read(line: &str) -> Vec<(&str, u16)> {
        ranges(iter::once(line)).map(|range| (range.media, range.quality())).collect()
    }

    #[test]
    fn separators_in_a_quoted_string_are_ignored() {
        assert_eq!(read(r#"a/b;profile="x,y";q=0.1, c/d"#), [("a/b", 100), ("c/d", 1000)]);
        assert_eq!(read(r#"a/b;p="x;q=0.9";q=0.2"#), [("a/b", 200)]);
        assert_eq!(read(r#"a/b;p="x\",y";q=0.3, c/d;q=0"#), [("a/b", 300), ("c/d", 0)]);
        assert_eq!(read(r#"a/b;p="x\\";q=0.4, c/d"#), [("a/b", 400), ("c/d", 1000)]);
        assert_eq!(read(r#"a/b;p="never closed, c/d"#), [("a/b", 1000)]);
        assert_eq!(read(" , a/b ; Q = 0.5 ,,"), [("a/b", 500)]);
        let version = |line| ranges(iter::once(line)).next().and_then(|range| range.has("version", "1.0.0"));
        assert_eq!(version(r#"a/b;version="1.0.0""#), Some(true));
        assert_eq!(version(r#"a/b; VERSION="1.\0.0""#), Some(true));
        assert_eq!(version("a/b;version=1.0.0"), Some(true));
        assert_eq!(version("a/b;version=0.0.1"), Some(false));
        assert_eq!(version("a/b"), None);
    }

    #[test]
    fn specificity_tells_an_exact_range_from_a_wildcard() {
        let fits = |range| ranges(iter::once(range)).next().and_then(|range| range.specificity("application/json"));
        assert_eq!(fits("APPLICATION/JSON;q=1"), Some(2));
        assert_eq!(fits("Application/*"), Some(1));
        assert_eq!(fits("*/*"), Some(0));
        assert_eq!(fits("text/*"), None);
        assert_eq!(fits("application"), None);
    }

    /// RFC 9110, section 12.4.2: a quality has at most three decimals and is at most 1.
    #[test]
    fn qualities_are_read_to_the_thousandth() {
        for (value, expected) in [
            ("0", Some(0)),
            ("0.5", Some(500)),
            ("0.05", Some(50)),
            ("0.123", Some(123)),
            ("0.120", Some(120)),
            ("1", Some(1000)),
            ("1.", Some(1000)),
            ("1.000", Some(1000)),
            ("1.001", None),
            ("0.1234", None),
            ("0.x", None),
            ("0./", None),
            ("2", None),
            ("", None),
        ] {
            assert_eq!(thousandths(value), expected, "{value:?}");
        }
    }
}
