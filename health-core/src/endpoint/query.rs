//! Parses query strings, as pure functions. No function fails, and only `excluded` allocates.

/// Returns the bytes of percent-encoded text. With `form`, `+` is decoded as a space. A `%` without two hexadecimal
/// digits is kept.
pub(super) fn decoded(text: &str, form: bool) -> impl Iterator<Item = u8> + '_ {
    let bytes = text.as_bytes();
    let mut position = 0;
    std::iter::from_fn(move || {
        let byte = *bytes.get(position)?;
        position += 1;
        let digit =
            |at: usize| bytes.get(at).and_then(|b| char::from(*b).to_digit(16)).and_then(|d| u8::try_from(d).ok());
        if byte == b'%'
            && let (Some(high), Some(low)) = (digit(position), digit(position + 1))
        {
            position += 2;
            return Some(high * 16 + low);
        }
        Some(if form && byte == b'+' { b' ' } else { byte })
    })
}

/// Returns the keys and values of the parameters, in order and as sent. A missing value is empty.
pub(super) fn parameters(query: Option<&str>) -> impl Iterator<Item = (&str, &str)> {
    query
        .unwrap_or_default()
        .split('&')
        .filter(|pair| !pair.is_empty())
        .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
}

/// Returns whether encoded text decodes to `plain`.
pub(super) fn means(encoded: &str, plain: &str) -> bool {
    decoded(encoded, true).eq(plain.bytes())
}

/// Returns the value of the first parameter with this name, as sent.
pub(super) fn first<'q>(query: Option<&'q str>, name: &str) -> Option<&'q str> {
    // Most requests have no query.
    query?;
    parameters(query).find(|(key, _)| means(key, name)).map(|(_, value)| value)
}

/// Returns the parameter `refresh`: the number of seconds, 2 to 3600, after which a browser loads the page again. Any
/// other value is ignored.
#[cfg(feature = "html")]
pub(super) fn refresh(query: Option<&str>) -> Option<u16> {
    let sent = first(query, "refresh")?;
    let is_number = (1..=4).contains(&sent.len()) && sent.bytes().all(|byte| byte.is_ascii_digit());
    let seconds: u16 = if is_number { sent.parse().ok()? } else { return None };
    (2..=3_600).contains(&seconds).then_some(seconds)
}

/// The query of a Kubernetes path.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct KubernetesQuery {
    /// Whether the answer lists the checks even if the page passes.
    pub(super) verbose: bool,
    /// Whether the query has `exclude`.
    pub(super) exclude: bool,
}

/// Reads the query of a Kubernetes path.
pub(super) fn kubernetes(query: Option<&str>) -> KubernetesQuery {
    let mut read = KubernetesQuery::default();
    for (key, _) in parameters(query) {
        read.verbose |= means(key, "verbose");
        read.exclude |= means(key, "exclude");
    }
    read
}

/// Returns every value of `exclude`, decoded. A value that is not UTF-8 becomes empty, which is the name of no check.
pub(super) fn excluded(query: Option<&str>) -> impl Iterator<Item = String> {
    parameters(query)
        .filter(|(key, _)| means(key, "exclude"))
        .map(|(_, value)| String::from_utf8(decoded(value, true).collect()).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(feature = "html")]
    #[test]
    fn a_refresh_is_a_number_of_seconds_within_bounds() {
        for (query, expected) in [
            ("refresh=5", Some(5)),
            ("refresh=2", Some(2)),
            ("refresh=3600", Some(3_600)),
            ("format=html&refresh=60", Some(60)),
            ("refresh=60&refresh=5", Some(60)),
            ("refresh=1", None),
            ("refresh=0", None),
            ("refresh=3601", None),
            ("refresh=70000", None),
            ("refresh=-5", None),
            ("refresh=+5", None),
            ("refresh=5;url=https://elsewhere.example", None),
            ("refresh=", None),
            ("refresh", None),
        ] {
            assert_eq!(refresh(Some(query)), expected, "{query}");
        }
        assert_eq!(refresh(None), None);
    }

    #[test]
    fn parameters_are_read_in_order_and_decoded() {
        let query = Some("a=1&verbose&exclude=x%2dy&&exclude=z+w&%76erbose=&format=text&format=json");
        assert_eq!(kubernetes(query), KubernetesQuery { verbose: true, exclude: true });
        assert_eq!(excluded(query).collect::<Vec<_>>(), ["x-y", "z w"]);
        assert_eq!(first(query, "format"), Some("text"));
        assert_eq!(kubernetes(Some("Verbose=1&excludes=a")), KubernetesQuery::default());
        assert_eq!(kubernetes(None), KubernetesQuery::default());
        assert_eq!(decoded("%4", false).collect::<Vec<_>>(), b"%4");
        assert_eq!(excluded(Some("exclude=%ff")).collect::<Vec<_>>(), [""]);
    }
}
