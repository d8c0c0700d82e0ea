//! Negotiation of formats: `?format=` first, else the `Accept` header. Pure. Only an unknown `?format=` is refused.

use crate::{
    endpoint::{accept::ranges, format::Format, query},
    render::prometheus::Exposition,
};

/// What a document is answered as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Presented {
    Document(Format),
    /// The badge, which no `Accept` header asks for.
    #[cfg(feature = "html")]
    Badge,
}

/// The answer to a request for a document.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Choice {
    pub(super) presented: Presented,
    /// Whether the `Accept` header took part in the choice.
    pub(super) negotiated: bool,
}

/// The error of a `?format=` that names no known format.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct UnknownFormat;

/// The formats on offer, in the order that settles a tie. Text is chosen only if the header accepts nothing else, and the
/// status page only if the header names it.
const OFFERED: &[Format] = &[
    Format::Json,
    Format::Health,
    #[cfg(feature = "html")]
    Format::Html,
];

/// Chooses the format of a document. `accept` are the lines of the header, which are one list.
pub(super) fn choose<'a>(
    query: Option<&str>,
    accept: impl Iterator<Item = &'a str> + Clone,
    default: Format,
) -> Result<Choice, UnknownFormat> {
    if let Some(asked) = query::first(query, "format") {
        #[cfg(feature = "html")]
        if query::means(asked, "svg") {
            return Ok(Choice { presented: Presented::Badge, negotiated: false });
        }
        let format = Format::ALL.iter().find(|format| query::means(asked, format.word())).ok_or(UnknownFormat)?;
        return Ok(Choice { presented: Presented::Document(*format), negotiated: false });
    }
    let is_any = accept.clone().all(|line| matches!(line, "*/*" | ""));
    let format = if is_any { default } else { best(&accept, default) };
    Ok(Choice { presented: Presented::Document(format), negotiated: true })
}

/// Chooses the format of the metrics page: OpenMetrics 1.0 if a range names it and its quality is not below that of plain
/// text. The closest range decides the quality of each, as RFC 9110, section 12.5.1, says.
pub(super) fn exposition<'a>(accept: impl Iterator<Item = &'a str> + Clone) -> Exposition {
    const OPEN: &str = "application/openmetrics-text";
    let quality_of = |media: &str, version: &str| {
        let fitting = ranges(accept.clone()).filter_map(|range| {
            let is_this_version = range.has("version", version);
            let specificity = range.specificity(media).filter(|_| is_this_version != Some(false))?;
            Some((specificity, is_this_version, range.quality()))
        });
        fitting.max().map_or(0, |(_, _, quality)| quality)
    };
    let is_named = ranges(accept.clone())
        .any(|range| range.media.eq_ignore_ascii_case(OPEN) && range.has("version", "1.0.0") != Some(false));
    let (open, text) = (quality_of(OPEN, "1.0.0"), quality_of("text/plain", "0.0.4"));
    if is_named && open > 0 && open >= text { Exposition::OpenMetrics } else { Exposition::Text }
}

/// Returns the offered format of the highest quality; text if it alone is acceptable; the default if nothing is. The closest
/// range decides the quality of a format.
fn best<'a>(accept: &(impl Iterator<Item = &'a str> + Clone), default: Format) -> Format {
    let quality_of = |format: Format| {
        #[cfg(feature = "html")]
        if format == Format::Html && !is_of_a_reader(accept) {
            return 0;
        }
        let own = format.content_type().split(';').next().unwrap_or_default();
        let fitting = ranges(accept.clone()).filter_map(|range| Some((range.specificity(own)?, range.quality())));
        fitting.max().map_or(0, |(_, quality)| quality)
    };
    // The configured default wins a tie.
    let mut best = (default, quality_of(default));
    for format in OFFERED {
        let quality = quality_of(*format);
        if quality > best.1 {
            best = (*format, quality);
        }
    }
    if best.1 == 0 && quality_of(Format::Text) > 0 { Format::Text } else { best.0 }
}

/// Whether an `Accept` header is that of a reader of pages: it names HTML, and XHTML beside it where it takes anything else,
/// too. Java's own client names HTML, and is used by probers: `text/html, image/gif, image/jpeg, *; q=.2, */*; q=.2`.
#[cfg(feature = "html")]
fn is_of_a_reader<'a>(accept: &(impl Iterator<Item = &'a str> + Clone)) -> bool {
    let names = |media: &str| ranges(accept.clone()).any(|range| range.media.eq_ignore_ascii_case(media));
    names("text/html") && (names("application/xhtml+xml") || !names("*/*"))
}

#[cfg(test)]
mod tests {
    use std::iter;

    use super::*;

    fn document(choice: Result<Choice, UnknownFormat>) -> Result<Format, UnknownFormat> {
        match choice?.presented {
            Presented::Document(format) => Ok(format),
            #[cfg(feature = "html")]
            Presented::Badge => Err(UnknownFormat),
        }
    }

    fn chosen(accept: &str) -> Format {
        document(choose(None, iter::once(accept), Format::Json)).unwrap()
    }

    #[test]
    fn real_probers_get_the_format_that_they_read() {
        for (prober, accept, expected) in [
            ("curl", "*/*", Format::Json),
            ("kubectl", "application/json, */*", Format::Json),
            ("Consul", "text/plain, text/*, */*", Format::Json),
            (
                "Prometheus",
                "application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,\
                 text/plain;version=0.0.4;q=0.5,*/*;q=0.1",
                Format::Json,
            ),
            ("a health+json reader", "application/health+json", Format::Health),
            ("one that prefers it", "application/json;q=0.5, application/health+json", Format::Health),
            ("one that ties", "application/health+json, application/json", Format::Json),
            ("one that refuses JSON", "application/json;q=0, */*", Format::Health),
            ("one that wants text", "text/plain", Format::Text),
            ("one that insists", "text/plain; charset=utf-8, TEXT/PLAIN;q=0.5", Format::Text),
            ("one that wants a kind of text", "text/*", Format::Text),
            ("one that takes images, too", "text/plain, image/png", Format::Text),
            (
                "one that refuses the others",
                "text/plain, application/json;q=0, application/health+json;q=0",
                Format::Text,
            ),
            ("nothing acceptable", "image/png", Format::Json),
            ("nonsense", ";;;,,q=", Format::Json),
            ("all refused", "*/*;q=0", Format::Json),
            ("upper case", "APPLICATION/HEALTH+JSON", Format::Health),
            ("a quoted comma", r#"application/health+json;profile="a,b";q=0.1, application/json;q=0.5"#, Format::Json),
            ("a quoted quality", r#"application/json;p=";q=1";q=0.1, application/health+json;q=0.5"#, Format::Health),
            ("a bad quality", "application/health+json;q=9, application/json;q=0.9", Format::Health),
        ] {
            assert_eq!(chosen(accept), expected, "{prober}");
        }
    }

    #[cfg(feature = "html")]
    #[test]
    fn the_status_page_is_for_those_who_name_html() {
        for (reader, accept, expected) in [
            (
                "Chromium",
                "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,image/apng,*/*;q=0.8,\
                 application/signed-exchange;v=b3;q=0.7",
                Format::Html,
            ),
            ("Firefox", "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", Format::Html),
            ("a reader of HTML alone", "text/html", Format::Html),
            ("Java", "text/html, image/gif, image/jpeg, *; q=.2, */*; q=.2", Format::Json),
            ("one that names HTML and takes anything, but no page of a browser", "text/html, */*;q=0.2", Format::Json),
            ("one that ties", "text/html, application/json", Format::Json),
            ("one that prefers JSON", "text/html;q=0.9, application/json", Format::Json),
            ("one that refuses HTML", "text/html;q=0, */*", Format::Json),
            ("one that takes any text", "text/*", Format::Text),
            ("one that takes any text and HTML less", "text/html;q=0.1, text/plain", Format::Html),
        ] {
            assert_eq!(chosen(accept), expected, "{reader}");
        }
    }

    #[test]
    fn text_that_nobody_asks_for_is_not_chosen() {
        assert_eq!(chosen("text/plain;q=0.001"), Format::Text);
        assert_eq!(chosen("text/plain;q=0"), Format::Json);
    }

    #[test]
    fn open_metrics_is_chosen_if_accepted_and_not_below_plain_text() {
        for (scraper, accept, expected) in [
            ("curl", Some("*/*"), Exposition::Text),
            ("nobody in particular", None, Exposition::Text),
            (
                "Prometheus 2",
                Some(
                    "application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,\
                     text/plain;version=0.0.4;q=0.5,*/*;q=0.1",
                ),
                Exposition::OpenMetrics,
            ),
            (
                "Prometheus 3",
                Some(
                    "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.5,\
                     application/openmetrics-text;version=0.0.1;q=0.4,text/plain;version=1.0.0;escaping=allow-utf-8;q=0.3,\
                     text/plain;version=0.0.4;q=0.2,*/*;q=0.1",
                ),
                Exposition::OpenMetrics,
            ),
            ("one that knows an older one", Some("application/openmetrics-text;version=0.0.1"), Exposition::Text),
            ("one that prefers text", Some("text/plain, application/openmetrics-text;q=0.9"), Exposition::Text),
            ("one that refuses it", Some("application/openmetrics-text;q=0"), Exposition::Text),
            ("one that wants anything else more", Some("application/openmetrics-text;q=0.1, */*"), Exposition::Text),
            ("one that takes anything, too", Some("application/openmetrics-text, */*"), Exposition::OpenMetrics),
            (
                "one that quotes",
                Some(r#"application/openmetrics-text;version="1.0.0";q=0.9, text/plain;version="0.0.4";q=0.5"#),
                Exposition::OpenMetrics,
            ),
            (
                "one that knows an older one and takes anything",
                Some("application/openmetrics-text;version=0.0.1, */*"),
                Exposition::Text,
            ),
            ("one that quotes an older one", Some(r#"application/openmetrics-text;version="0.0.1""#), Exposition::Text),
            ("one that wants a kind", Some("application/*"), Exposition::Text),
            ("one without a version", Some("APPLICATION/OPENMETRICS-TEXT ; q=0.1"), Exposition::OpenMetrics),
        ] {
            assert_eq!(exposition(accept.into_iter()), expected, "{scraper}");
        }
    }

    #[test]
    fn the_first_format_parameter_decides() {
        let choose = |query| choose(Some(query), iter::once("application/json"), Format::Json);
        assert_eq!(
            choose("format=health&format=nope"),
            Ok(Choice { presented: Presented::Document(Format::Health), negotiated: false })
        );
        assert_eq!(
            choose("format=te%78t"),
            Ok(Choice { presented: Presented::Document(Format::Text), negotiated: false })
        );
        assert_eq!(choose("format=nope&format=json"), Err(UnknownFormat));
        assert_eq!(choose("format"), Err(UnknownFormat));
        assert_eq!(choose("format=HTML"), Err(UnknownFormat));
        #[cfg(feature = "html")]
        for (query, presented) in [("format=html", Presented::Document(Format::Html)), ("format=svg", Presented::Badge)]
        {
            assert_eq!(choose(query), Ok(Choice { presented, negotiated: false }));
        }
        assert_eq!(choose("x=1"), Ok(Choice { presented: Presented::Document(Format::Json), negotiated: true }));
    }

    #[test]
    fn a_configured_default_wins_ties_only() {
        let choose = |accept: Option<&str>| document(choose(None, accept.into_iter(), Format::Health));
        assert_eq!(choose(None), Ok(Format::Health));
        assert_eq!(choose(Some("image/png")), Ok(Format::Health));
        assert_eq!(choose(Some("application/json, */*")), Ok(Format::Health));
        assert_eq!(choose(Some("application/json")), Ok(Format::Json));
    }

    /// RFC 9110, 5.3: several lines are one list.
    #[test]
    fn lines_of_accept_are_one_list() {
        let format = |lines: &[&str]| document(choose(None, lines.iter().copied(), Format::Json));
        assert_eq!(format(&["text/plain", "application/health+json"]), Ok(Format::Health));
        assert_eq!(format(&["application/json;q=0.5", "application/health+json"]), Ok(Format::Health));
        assert_eq!(format(&["text/plain", "text/plain;q=0.5"]), Ok(Format::Text));
        assert_eq!(format(&["*/*", ""]), Ok(Format::Json));
        let page = |lines: &[&str]| exposition(lines.iter().copied());
        assert_eq!(page(&["text/plain;q=0.5", "application/openmetrics-text;version=1.0.0"]), Exposition::OpenMetrics);
    }
}
