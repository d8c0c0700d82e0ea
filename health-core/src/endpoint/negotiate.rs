//! Negotiation of formats, as pure functions: `?format=` selects the format, or without it the `Accept` header does.
//! Only an unknown `?format=` is refused.

use crate::{
    endpoint::{accept::ranges, format::Format, query},
    render::prometheus::Exposition,
};

/// The form in which a document is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Presented {
    Document(Format),
    /// The badge, which an `Accept` header never selects.
    #[cfg(feature = "html")]
    Badge,
}

/// The result of a negotiation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Choice {
    pub(super) presented: Presented,
    /// Whether the choice depends on the `Accept` header.
    pub(super) negotiated: bool,
}

/// The error for a `?format=` with an unknown value.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct UnknownFormat;

/// The offered formats, in the order that resolves a tie of qualities. Text is chosen only if the header accepts none
/// of these, and the status page only if the header names HTML.
const OFFERED: &[Format] = &[
    Format::Json,
    Format::Health,
    #[cfg(feature = "html")]
    Format::Html,
];

/// Chooses the format of a document. `accept` yields the lines of the `Accept` header, which together are one list.
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

/// Chooses the format of the metrics page: OpenMetrics 1.0 if a range names it and its quality is not below the quality
/// of plain text, otherwise plain text. The most specific range decides each quality, as RFC 9110, section 12.5.1,
/// requires.
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

/// Returns the offered format with the highest quality. Returns text if no other format is acceptable, and the default
/// if none is. The most specific range decides the quality of a format.
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

/// Returns whether an `Accept` header comes from a browser: it names HTML, and if it has `*/*`, it also names XHTML.
/// The client of Java's standard library, which probers use, names HTML, but not XHTML:
/// `text/html, image/gif, image/jpeg, *; q=.2, */*; q=.2`.
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
            ("health+json only", "application/health+json", Format::Health),
            ("health+json preferred", "application/json;q=0.5, application/health+json", Format::Health),
            ("a tie of qualities", "application/health+json, application/json", Format::Json),
            ("JSON refused", "application/json;q=0, */*", Format::Health),
            ("text only", "text/plain", Format::Text),
            ("text named twice", "text/plain; charset=utf-8, TEXT/PLAIN;q=0.5", Format::Text),
            ("any kind of text", "text/*", Format::Text),
            ("text and an image", "text/plain, image/png", Format::Text),
            (
                "text, with the other formats refused",
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
    fn the_status_page_is_chosen_only_for_browsers_and_for_html_alone() {
        for (reader, accept, expected) in [
            (
                "Chromium",
                "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,image/apng,*/*;q=0.8,\
                 application/signed-exchange;v=b3;q=0.7",
                Format::Html,
            ),
            ("Firefox", "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", Format::Html),
            ("HTML only", "text/html", Format::Html),
            ("Java", "text/html, image/gif, image/jpeg, *; q=.2, */*; q=.2", Format::Json),
            ("HTML and any type, without XHTML", "text/html, */*;q=0.2", Format::Json),
            ("a tie of qualities", "text/html, application/json", Format::Json),
            ("JSON preferred", "text/html;q=0.9, application/json", Format::Json),
            ("HTML refused", "text/html;q=0, */*", Format::Json),
            ("any kind of text", "text/*", Format::Text),
            ("text preferred to HTML", "text/html;q=0.1, text/plain", Format::Html),
        ] {
            assert_eq!(chosen(accept), expected, "{reader}");
        }
    }

    #[test]
    fn text_with_a_quality_of_zero_is_not_chosen() {
        assert_eq!(chosen("text/plain;q=0.001"), Format::Text);
        assert_eq!(chosen("text/plain;q=0"), Format::Json);
    }

    #[test]
    fn open_metrics_is_chosen_if_named_with_a_quality_not_below_plain_text() {
        for (scraper, accept, expected) in [
            ("curl", Some("*/*"), Exposition::Text),
            ("no Accept header", None, Exposition::Text),
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
                     application/openmetrics-text;version=0.0.1;q=0.4,\
                     text/plain;version=1.0.0;escaping=allow-utf-8;q=0.3,text/plain;version=0.0.4;q=0.2,*/*;q=0.1",
                ),
                Exposition::OpenMetrics,
            ),
            ("an older version only", Some("application/openmetrics-text;version=0.0.1"), Exposition::Text),
            ("text preferred", Some("text/plain, application/openmetrics-text;q=0.9"), Exposition::Text),
            ("OpenMetrics refused", Some("application/openmetrics-text;q=0"), Exposition::Text),
            ("any other type preferred", Some("application/openmetrics-text;q=0.1, */*"), Exposition::Text),
            ("OpenMetrics and any type", Some("application/openmetrics-text, */*"), Exposition::OpenMetrics),
            (
                "quoted versions",
                Some(r#"application/openmetrics-text;version="1.0.0";q=0.9, text/plain;version="0.0.4";q=0.5"#),
                Exposition::OpenMetrics,
            ),
            (
                "an older version and any type",
                Some("application/openmetrics-text;version=0.0.1, */*"),
                Exposition::Text,
            ),
            ("an older version, quoted", Some(r#"application/openmetrics-text;version="0.0.1""#), Exposition::Text),
            ("a range of types", Some("application/*"), Exposition::Text),
            ("no version", Some("APPLICATION/OPENMETRICS-TEXT ; q=0.1"), Exposition::OpenMetrics),
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

    /// RFC 9110, section 5.3: several lines of one header are one list.
    #[test]
    fn several_accept_lines_are_one_list() {
        let format = |lines: &[&str]| document(choose(None, lines.iter().copied(), Format::Json));
        assert_eq!(format(&["text/plain", "application/health+json"]), Ok(Format::Health));
        assert_eq!(format(&["application/json;q=0.5", "application/health+json"]), Ok(Format::Health));
        assert_eq!(format(&["text/plain", "text/plain;q=0.5"]), Ok(Format::Text));
        assert_eq!(format(&["*/*", ""]), Ok(Format::Json));
        let page = |lines: &[&str]| exposition(lines.iter().copied());
        assert_eq!(page(&["text/plain;q=0.5", "application/openmetrics-text;version=1.0.0"]), Exposition::OpenMetrics);
    }
}
