//! Credentials in URLs and in the addresses of Go's MySQL driver.

use super::span::{Span, before, first, is_word, skip, skip_near};

/// The maximum number of bytes in which the end of a password is searched.
const FAR: usize = 256;

/// The last run of characters without white space: its beginning, its end and its last `@`. The run is kept, so that it
/// is searched only once.
#[derive(Default)]
pub(super) struct Run {
    begin: usize,
    end: usize,
    last_at: Option<usize>,
}

impl Run {
    /// Returns the end of the run at this place, and the place of its last `@`.
    fn at(&mut self, text: &str, at: usize) -> (usize, Option<usize>) {
        if at < self.begin || at >= self.end {
            self.begin = at;
            self.end = skip(text, at, |c| !c.is_whitespace() && !matches!(c, '"' | '<' | '>'));
            self.last_at = text[at..self.end].rfind('@').map(|found| at + found);
        }
        (self.end, self.last_at.filter(|last| *last >= at))
    }
}

/// Returns the userinfo of a URL, the part before its host.
///
/// The authority ends at the first `/`, `?` or `#`. An unescaped password can contain these characters, too. If the
/// authority has no valid port, it is assumed to contain such a password, and the userinfo ends at the last `@`.
pub(super) fn userinfo(text: &str, at: usize, run: &mut Run) -> Option<Span> {
    // JSON may escape the slashes one or several times.
    let slash = skip_near(text, at + 1, 8, |c| c == '\\');
    let second = skip_near(text, slash + usize::from(text[slash..].starts_with('/')), 8, |c| c == '\\');
    let is_url = second > slash && text[slash..].starts_with('/') && text[second..].starts_with('/');
    let from = is_url.then_some(second + 1)?;
    let (end, last_at) = run.at(text, from);
    let authority_end = from + text[from..end].find(['/', '?', '#']).unwrap_or(end - from);
    let authority = text[from..authority_end].trim_end_matches('\\');
    let is_of_the_web = is_of_the_web(text, at);
    let found = |to| (to > from).then_some(Span { from, to });
    if let Some(own) = authority.rfind('@') {
        let own = from + own;
        // A later `@` belongs to the password, unless it belongs to the query or the path.
        return match last_at {
            Some(last) if last > own && !is_part_of_the_rest(text, own, last, is_of_the_web) => found(last),
            _ => found(own),
        };
    }
    let has_password = !has_valid_ports(authority);
    if let Some(last) = last_at {
        let is_digest = text[last..].starts_with("@sha256:");
        // A password may begin with digits, which look like a port. The paths of databases and brokers contain no `@`.
        let looks_like_one = authority.contains(':') && !is_of_the_web && !is_digest;
        return if has_password || looks_like_one { found(last) } else { None };
    }
    if !has_password || is_of_the_web && authority_end < end {
        return None;
    }
    // In a password with a space or a quote the `@` comes later in the line.
    let line_end = skip_near(text, end, FAR, |c| c != '\n');
    let later = end + text[end..line_end].find('@')?;
    // A JSON string or an attribute ends before the `@`, which belongs to a later one.
    if ["\",", "\":", "\"}", "\"]", "\")", "\">"].iter().any(|end_of_string| text[end..later].contains(end_of_string)) {
        return None;
    }
    first(text, later + 1).is_some_and(|c| is_word(c) || c == '[').then_some(())?;
    found(later)
}

/// Returns whether the scheme before `://` is one whose paths can contain `@`.
fn is_of_the_web(text: &str, at: usize) -> bool {
    ["http", "https", "ws", "wss", "ftp", "file", "s3", "gs", "oci", "docker"]
        .iter()
        .any(|scheme| text[..at].ends_with(scheme) && !before(text, at - scheme.len()).is_some_and(is_word))
}

/// Returns whether an `@` after the `@` of the authority belongs to the query or, for a scheme of the web, to the path.
/// Otherwise it belongs to an unescaped password.
fn is_part_of_the_rest(text: &str, own: usize, last: usize, is_of_the_web: bool) -> bool {
    if is_of_the_web && before(text, last) == Some('/') {
        return true;
    }
    let Some((path, query)) = text[own + 1..last].split_once('?') else { return false };
    let key = query.split('=').next().unwrap_or_default();
    let is_key = key.len() >= 3 && key.chars().all(|c| c.is_ascii_lowercase() || matches!(c, '_' | '-' | '.'));
    let has_host = path.starts_with(is_word) && !path.contains('@');
    query.contains('=') && has_host && is_key && (is_of_the_web || path.contains('/'))
}

/// Returns whether every host of an authority has a numeric port or no port.
fn has_valid_ports(authority: &str) -> bool {
    // Punctuation after a URL does not belong to it.
    authority.trim_end_matches([':', ';', ',', '.', ')']).split(',').all(|host| {
        let host = host.rsplit_once(']').map_or(host, |(_, port)| port);
        host.split_once(':').is_none_or(|(name, port)| {
            let is_port = port.bytes().all(|byte| byte.is_ascii_digit());
            is_port && (!name.is_empty() || authority.starts_with('['))
        })
    })
}

/// Returns the password in `user:password@tcp(host)/database`, where the user ends at `name_end`.
pub(super) fn dsn(text: &str, name_end: usize) -> Option<Span> {
    if !text[name_end..].starts_with(':') {
        return None;
    }
    let from = name_end + 1;
    let end = skip_near(text, from, FAR, |c| !c.is_whitespace());
    let to = ["@tcp(", "@unix(", "@udp(", "@tcp6("].iter().filter_map(|place| text[from..end].rfind(place)).max()?;
    (to > 0).then_some(Span { from, to: from + to })
}
