//! Reading a query string: no allocation, no failure. Pure.

/// The bytes of percent-encoded text; `+` is a space where `form` says so. A `%` without two hexadecimal digits
/// stands for itself.
pub(crate) fn decoded(text: &str, form: bool) -> impl Iterator<Item = u8> + '_ {
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

/// The parameters in order, as sent: key and value, the value empty where there is none.
pub(crate) fn parameters(query: Option<&str>) -> impl Iterator<Item = (&str, &str)> {
    query
        .unwrap_or_default()
        .split('&')
        .filter(|pair| !pair.is_empty())
        .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
}

/// Whether encoded text means `plain`.
pub(crate) fn means(encoded: &str, plain: &str) -> bool {
    decoded(encoded, true).eq(plain.bytes())
}

/// The value of the first parameter of that name, as sent.
pub(crate) fn first<'q>(query: Option<&'q str>, name: &str) -> Option<&'q str> {
    parameters(query).find(|(key, _)| means(key, name)).map(|(_, value)| value)
}

/// What the Kubernetes paths read from a query.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Wishes {
    pub(crate) verbose: bool,
    pub(crate) exclude: bool,
}

pub(crate) fn wishes(query: Option<&str>) -> Wishes {
    let mut wishes = Wishes::default();
    for (key, _) in parameters(query) {
        wishes.verbose |= means(key, "verbose");
        wishes.exclude |= means(key, "exclude");
    }
    wishes
}

/// Every value of `exclude`, decoded; one that is no text is no name either.
pub(crate) fn excluded(query: Option<&str>) -> impl Iterator<Item = String> {
    parameters(query)
        .filter(|(key, _)| means(key, "exclude"))
        .map(|(_, value)| String::from_utf8(decoded(value, true).collect()).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_read_in_order_and_decoded() {
        let query = Some("a=1&verbose&exclude=x%2dy&&exclude=z+w&%76erbose=&format=text&format=json");
        assert_eq!(wishes(query), Wishes { verbose: true, exclude: true });
        assert_eq!(excluded(query).collect::<Vec<_>>(), ["x-y", "z w"]);
        assert_eq!(first(query, "format"), Some("text"));
        assert_eq!(wishes(Some("Verbose=1&excludes=a")), Wishes::default());
        assert_eq!(wishes(None), Wishes::default());
        assert_eq!(decoded("%4", false).collect::<Vec<_>>(), b"%4");
        assert_eq!(excluded(Some("exclude=%ff")).collect::<Vec<_>>(), [""]);
    }
}
