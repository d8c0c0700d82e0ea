//! The URL of a health page, and its parser, which does no I/O.

use std::{fmt, path::PathBuf};

/// The address of a health page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    pub(crate) place: Place,
    /// Whether the request uses TLS.
    pub(crate) is_https: bool,
    /// The path and the query, as sent.
    pub(crate) path: String,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// Host and port; the host without brackets.
    Tcp(String, u16),
    /// A Unix socket.
    Unix(PathBuf),
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(host, port) if host.contains(':') => write!(f, "[{host}]:{port}"),
            Self::Tcp(host, port) => write!(f, "{host}:{port}"),
            Self::Unix(path) => write!(f, "{}", path.display()),
        }
    }
}

impl Target {
    /// Parses `http://HOST[:PORT][/PATH]`, `https://…` (with the feature `https`) or `unix:/SOCKET[:/PATH]`. The
    /// default port is 80, and 443 for https. The default path is `/`.
    ///
    /// # Errors
    ///
    /// Returns one sentence that names the fault of the URL. It does not repeat a password in the URL.
    pub fn parse(url: &str) -> Result<Self, String> {
        let Some((scheme, rest)) = url.split_once(':') else {
            return Err("the URL must begin with http://, https:// or unix:".to_owned());
        };
        let is_https = scheme.eq_ignore_ascii_case("https");
        if is_https && !cfg!(feature = "https") {
            return Err("this program was built without the feature https".to_owned());
        }
        let (place, path) = match scheme.to_ascii_lowercase().as_str() {
            "unix" => unix(rest)?,
            "http" | "https" => {
                let rest = rest.strip_prefix("//").ok_or("after http: there must be //")?;
                http(rest, if is_https { 443 } else { 80 })?
            }
            _ => return Err("the URL must begin with http://, https:// or unix:".to_owned()),
        };
        let path = path.split('#').next().unwrap_or_default();
        if path.bytes().any(|byte| !byte.is_ascii_graphic()) {
            return Err("the URL's path has a character that must be percent-encoded".to_owned());
        }
        let path = match path {
            "" => "/".to_owned(),
            path if path.starts_with('/') => path.to_owned(),
            query => format!("/{query}"),
        };
        Ok(Self { place, is_https, path })
    }

    /// Returns the value of the `Host` header.
    pub(crate) fn host(&self) -> String {
        match &self.place {
            // The zone of an address has a meaning only on this machine, so it is not sent: RFC 6874, section 4.
            Place::Tcp(host, port) => {
                let address = host.split('%').next().unwrap_or_default().to_owned();
                let host = Place::Tcp(address, *port).to_string();
                // The default port of a scheme is not sent (RFC 9110, section 4.2), because proxies compare the header
                // with host names.
                let default = if self.is_https { ":443" } else { ":80" };
                host.strip_suffix(default).map_or(host.clone(), ToOwned::to_owned)
            }
            Place::Unix(_) => "localhost".to_owned(),
        }
    }
}

fn http(rest: &str, default_port: u16) -> Result<(Place, &str), String> {
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (authority, path) = rest.split_at(end);
    if authority.contains('@') {
        return Err("the URL must not have a user in it: use --token-file or --token-env".to_owned());
    }
    let (host, port) = match authority.strip_prefix('[') {
        Some(rest) => {
            let (host, after) = rest.split_once(']').ok_or("the URL has a [ without ]")?;
            (host, after.strip_prefix(':').or(after.is_empty().then_some("")))
        }
        None => authority.split_once(':').map_or((authority, Some("")), |(host, port)| (host, Some(port))),
    };
    // The % before a zone is percent-encoded in a URL: RFC 6874.
    let host = if authority.starts_with('[') { host.replacen("%25", "%", 1) } else { host.to_owned() };
    let port = match port {
        Some("") => default_port,
        Some(port) => port.parse().map_err(|_| "the URL's port must be a number from 1 to 65535".to_owned())?,
        None => return Err("after ] there must be a : and a port, or the path".to_owned()),
    };
    if host.is_empty() || !host.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err("the URL must have a host: http://HOST:PORT/PATH".to_owned());
    }
    Ok((Place::Tcp(host, port), path))
}

fn unix(rest: &str) -> Result<(Place, &str), String> {
    let (socket, path) = rest.find(":/").map_or((rest, ""), |at| (&rest[..at], &rest[at + 1..]));
    if !socket.starts_with('/') {
        return Err("after unix: there must be the socket's absolute path: unix:/run/app.sock:/readyz".to_owned());
    }
    Ok((Place::Unix(PathBuf::from(socket)), path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn valid_urls_are_parsed() {
        for (url, place, path) in [
            ("http://127.0.0.1:8080/readyz", "127.0.0.1:8080", "/readyz"),
            ("HTTP://app", "app:80", "/"),
            ("http://app:8080?verbose", "app:8080", "/?verbose"),
            ("http://[::1]:8080/health?format=json#x", "[::1]:8080", "/health?format=json"),
            ("http://[::1]/livez", "[::1]:80", "/livez"),
            ("http://[fe80::1%25eth0]:8080/livez", "[fe80::1%eth0]:8080", "/livez"),
            ("http://[fe80::1%eth0]/livez", "[fe80::1%eth0]:80", "/livez"),
            ("unix:/run/app.sock:/readyz", "/run/app.sock", "/readyz"),
            ("unix:/run/app.sock", "/run/app.sock", "/"),
        ] {
            let target = Target::parse(url).unwrap();
            assert_eq!((target.place.to_string().as_str(), target.path.as_str()), (place, path), "{url}");
        }
    }

    #[test]
    fn https_urls_are_accepted_only_with_the_feature() {
        let target = Target::parse("HTTPS://app/readyz");
        if cfg!(feature = "https") {
            assert_eq!(
                target.map(|target| (target.place.to_string(), target.is_https)),
                Ok(("app:443".to_owned(), true))
            );
        } else {
            assert!(target.unwrap_err().contains("without the feature https"));
        }
    }

    #[test]
    fn the_host_header_has_neither_a_zone_nor_a_default_port() {
        assert_eq!(Target::parse("http://[fe80::1%25eth0]:8080/").unwrap().host(), "[fe80::1]:8080");
        assert_eq!(Target::parse("http://app:8080/").unwrap().host(), "app:8080");
        assert_eq!(Target::parse("http://app/").unwrap().host(), "app");
        assert_eq!(Target::parse("http://[::1]:80/").unwrap().host(), "[::1]");
        assert_eq!(Target::parse("http://app:180/").unwrap().host(), "app:180");
    }

    #[test]
    fn invalid_urls_are_errors_that_say_what_to_change() {
        for (url, message) in [
            ("", "must begin with"),
            ("127.0.0.1:8080", "must begin with"),
            ("ftp://x", "must begin with"),
            ("http:/x", "there must be //"),
            ("http:///readyz", "must have a host"),
            ("http://user:hunter2@app/", "must not have a user"),
            ("http://app:80x/", "must be a number"),
            ("http://app:65536/", "must be a number"),
            ("http://[::1/", "[ without ]"),
            ("http://[::1]x/", "after ]"),
            ("http://app/a b", "percent-encoded"),
            ("http://app/\r\nx: y", "percent-encoded"),
            ("unix:app.sock", "absolute path"),
        ] {
            let error = Target::parse(url).unwrap_err();
            assert!(error.contains(message) && !error.contains("hunter2"), "{url}: {error}");
        }
    }
}
