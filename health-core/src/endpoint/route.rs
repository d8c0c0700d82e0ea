//! Routing: finds the target of a path, as pure functions. Paths are compared as sent. Only the name of a check is
//! percent-decoded.

use crate::{endpoint::query, model::status::Probe};

/// The route of a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Route<'p> {
    /// The verdict on a target, and the presentation of its answers.
    Verdict(Target<'p>, Presentation),
    /// The metrics page.
    Metrics,
}

/// The presentation of answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Presentation {
    /// A document in a negotiated format, below the base path.
    Document,
    /// Kubernetes text that ends with this name.
    Kubernetes(&'static str),
}

/// The subject of a verdict.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Target<'p> {
    All,
    Probe(Probe),
    Tag(&'p str),
    /// A check, with its name as sent and the probe for which it must count.
    Check(&'p str, Option<Probe>),
}

/// The Kubernetes paths: path, name, and probe; `None` for the full report.
const KUBERNETES: [(&str, &str, Option<Probe>); 4] = [
    ("/livez", "livez", Some(Probe::Liveness)),
    ("/readyz", "readyz", Some(Probe::Readiness)),
    ("/startupz", "startupz", Some(Probe::Startup)),
    ("/healthz", "healthz", None),
];

/// The paths of the probes below the base path.
const PROBES: [(&str, Probe); 3] =
    [("/live", Probe::Liveness), ("/ready", Probe::Readiness), ("/startup", Probe::Startup)];

const METRICS: &str = "/metrics";

/// Returns the route of a path; `None` if the path belongs to the application.
pub(super) fn route<'p>(base: &str, kubernetes: bool, path: &'p str) -> Option<Route<'p>> {
    if let Some(rest) = path.strip_prefix(base) {
        if rest == METRICS {
            return Some(Route::Metrics);
        }
        if let Some(target) = document(rest) {
            return Some(Route::Verdict(target, Presentation::Document));
        }
    }
    if !kubernetes {
        return None;
    }
    KUBERNETES.iter().find_map(|(start, name, probe)| {
        let rest = path.strip_prefix(start)?;
        let target = match (rest, probe) {
            ("", None) => Target::All,
            ("", Some(probe)) => Target::Probe(*probe),
            _ => Target::Check(segment(rest)?, *probe),
        };
        Some(Route::Verdict(target, Presentation::Kubernetes(name)))
    })
}

fn document(rest: &str) -> Option<Target<'_>> {
    if rest.is_empty() {
        return Some(Target::All);
    }
    if let Some((_, probe)) = PROBES.iter().find(|(path, _)| *path == rest) {
        return Some(Target::Probe(*probe));
    }
    if let Some(tag) = rest.strip_prefix("/tags").and_then(segment) {
        return Some(Target::Tag(tag));
    }
    rest.strip_prefix("/checks").and_then(segment).map(|name| Target::Check(name, None))
}

/// Returns the name in `/name`; `None` unless there is exactly one segment, which is not empty.
fn segment(rest: &str) -> Option<&str> {
    rest.strip_prefix('/').filter(|name| !name.is_empty() && !name.contains('/'))
}

/// Returns every path pattern in the syntax of common routers: `{name}` matches one segment.
pub(super) fn patterns(base: &str, kubernetes: bool) -> Vec<String> {
    let mut patterns = vec![base.to_owned()];
    patterns.extend(PROBES.iter().map(|(path, _)| format!("{base}{path}")));
    patterns.push(format!("{base}{METRICS}"));
    patterns.push(format!("{base}/tags/{{name}}"));
    patterns.push(format!("{base}/checks/{{name}}"));
    if kubernetes {
        for (path, _, _) in KUBERNETES {
            patterns.push(path.to_owned());
            patterns.push(format!("{path}/{{name}}"));
        }
    }
    patterns
}

/// Returns the patterns as one regular expression. The dot is the only character of a base path that needs an escape.
pub(super) fn path_regex(patterns: &[String]) -> String {
    let alternatives: Vec<_> = patterns.iter().map(|it| it.replace('.', "\\.").replace("{name}", "[^/]+")).collect();
    format!("(?:{})", alternatives.join("|"))
}

/// Checks that a base path can be routed. Returns its fault otherwise.
pub(super) fn check_base(base: &str) -> Result<(), &'static str> {
    let Some(segments) = base.strip_prefix('/') else { return Err("it must begin with '/'") };
    if segments.split('/').any(str::is_empty) {
        return Err("it must have at least one segment, none of them empty, and no '/' at its end");
    }
    if !base.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'/' | b'_' | b'-' | b'.' | b'~')) {
        return Err("use letters, digits, '_', '-', '.', '~' and '/' only");
    }
    if KUBERNETES.iter().any(|(path, _, _)| *path == base) {
        return Err("it is one of the Kubernetes paths");
    }
    Ok(())
}

/// The name of a check, percent-decoded into a buffer on the stack. No valid name is longer than the buffer.
pub(super) struct Name {
    buffer: [u8; 64],
    length: usize,
}

impl Name {
    pub(super) fn decode(sent: &str) -> Option<Self> {
        let mut name = Self { buffer: [0; 64], length: 0 };
        for byte in query::decoded(sent, false) {
            *name.buffer.get_mut(name.length)? = byte;
            name.length += 1;
        }
        Some(name)
    }

    pub(super) fn as_str(&self) -> &str {
        std::str::from_utf8(&self.buffer[..self.length]).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target(path: &str) -> Option<Target<'_>> {
        match route("/health", true, path)? {
            Route::Verdict(target, _) => Some(target),
            Route::Metrics => None,
        }
    }

    #[test]
    fn paths_are_compared_as_sent() {
        assert_eq!(target("/health"), Some(Target::All));
        assert_eq!(target("/health/live"), Some(Target::Probe(Probe::Liveness)));
        assert_eq!(route("/health", false, "/health/metrics"), Some(Route::Metrics));
        assert_eq!(target("/health/tags/db"), Some(Target::Tag("db")));
        assert_eq!(target("/health/checks/a%62"), Some(Target::Check("a%62", None)));
        assert_eq!(target("/readyz/a"), Some(Target::Check("a", Some(Probe::Readiness))));
        for path in [
            "",
            "/",
            "/health/",
            "//health",
            "/HEALTH",
            "/he%61lth",
            "/healthy",
            "/health/checks",
            "/health/checks/",
            "/health/checks/a/b",
            "/health/live/",
            "/livez/",
            "/livezz",
            "/health/metricss",
            "/health/metrics/",
            "/metrics",
        ] {
            assert_eq!(route("/health", true, path), None, "{path}");
        }
        assert_eq!(route("/health", false, "/livez"), None);
    }

    #[test]
    fn every_pattern_routes() {
        for pattern in patterns("/internal/health", true) {
            let path = pattern.replace("{name}", "x");
            assert!(route("/internal/health", true, &path).is_some(), "{path}");
        }
    }

    #[test]
    fn names_decode_within_bounds() {
        assert_eq!(Name::decode("d%61ta%2Dbase").map(|n| n.as_str().to_owned()), Some("data-base".to_owned()));
        assert_eq!(Name::decode("100%").map(|n| n.as_str().to_owned()), Some("100%".to_owned()));
        assert!(Name::decode(&"x".repeat(65)).is_none());
        assert_eq!(Name::decode("%FF").map(|n| n.as_str().to_owned()), Some(String::new()));
    }

    #[test]
    fn a_base_path_has_plain_segments_only() {
        for good in ["/health", "/a/b", "/-/health.v1"] {
            assert_eq!(check_base(good), Ok(()), "{good}");
        }
        for bad in ["", "/", "health", "/health/", "/a//b", "/{name}", "/a%20b", "/livez"] {
            assert!(check_base(bad).is_err(), "{bad}");
        }
    }
}
