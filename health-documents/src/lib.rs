//! Reads the health document of a service in any of these dialects. The crate does no I/O: it takes bytes, and returns
//! a status and components.
//!
//! | dialect | Healthy | Degraded | Unhealthy |
//! |---|---|---|---|
//! | health-core | `healthy` | `degraded` | `unhealthy` |
//! | [`application/health+json`] | `pass` `ok` `up` | `warn` | `fail` `error` `down` |
//! | [MicroProfile] | `UP` | - | `DOWN` |
//! | [Spring Boot] | `UP` | `UNKNOWN`, and every other code in capitals | `DOWN` `OUT_OF_SERVICE` |
//! | [ASP.NET] | `Healthy` 2 | `Degraded` 1 | `Unhealthy` 0 |
//! | others | the words above | | `failed` `critical` and similar words |
//! | Kubernetes | `ok`, `… check passed` | `[+]name ok (degraded)` | `[-]name failed`, `… check failed` |
//!
//! Each dialect is recognized by the members that contain its components, and names its components in its own way:
//!
//! - health-core: `checks`, an object of objects. A component has its name and its `reason`.
//! - `application/health+json`: `checks`, or `details` in older drafts, an object of arrays. The name of a component is
//!   the part of the key before the `:`, and its status is the worst of its measurements.
//! - MicroProfile: `checks`, an array. Version 1.0 has `outcome` and `state` in place of `status`. The name of a
//!   component is its `name`.
//! - Spring Boot: `components`, or `details` in versions 2.0 and 2.1; version 1 has the components next to `status`.
//!   The name of a component is its path. A composite is listed only if it is worse than all of its parts. Spring
//!   answers codes that it does not define with 200, so they count as Degraded.
//! - ASP.NET: `entries` or `results`, in camel case or Pascal case. A status is a word, or a `HealthStatus` as a
//!   number. A text of one word is read, too.
//! - others: `checks`, an object of words or an array. The name of a component in an array is its `name`, `component`,
//!   `componentName`, `id`, `key` or `service`, or otherwise its position.
//! - Kubernetes: a text of `[+]` and `[-]` lines and a closing line.
//!
//! [`application/health+json`]: https://datatracker.ietf.org/doc/html/draft-inadarei-api-health-check-06
//! [MicroProfile]: https://github.com/microprofile/microprofile-health
//! [Spring Boot]: https://docs.spring.io/spring-boot/reference/actuator/endpoints.html#actuator.endpoints.health
//! [ASP.NET]: https://learn.microsoft.com/aspnet/core/host-and-deploy/health-checks
//!
//! Words are compared without regard to case. Everything else is not a health document: prose, HTML, a redirect, a
//! status that no dialect defines. A byte-order mark and white space around a document are skipped. A JSON object is
//! read with every media type. A text with the media type of HTML or JSON can be a single word, but not Kubernetes
//! text.
//!
//! Details are not read, because they belong to the other service and can contain its secrets. Messages are read, and
//! can contain secrets, too.
//!
//! ```
//! use health_documents::{Status, read};
//!
//! let spring = br#"{"status":"DOWN","components":{"db":{"status":"DOWN"},"disk":{"status":"UP"}}}"#;
//! let document = read(503, "application/vnd.spring-boot.actuator.v3+json", spring).ok_or("no health document")?;
//! assert_eq!(document.status, Status::Unhealthy);
//! assert_eq!(document.causes()[0].to_string(), "db unhealthy");
//! assert_eq!(read(302, "text/plain", b"OK"), None);
//! # Ok::<(), &str>(())
//! ```
#![cfg_attr(docsrs, feature(doc_cfg))]
#![warn(missing_docs)]

mod document;
mod json;
mod number;
mod text;
mod word;

pub use crate::document::{Component, Document, Status};

/// Reads the body of an answer with this HTTP status code and media type. Returns `None` if the body is not a health
/// document, or if the code is below 200 or from 300 to 399, because a redirect is not the answer of the service (RFC
/// 9110, section 15.4). The caller must judge every other code.
#[must_use]
pub fn read(code: u16, content_type: &str, body: &[u8]) -> Option<Document> {
    if code < 200 || (300..400).contains(&code) {
        return None;
    }
    // A parser may ignore a byte-order mark: RFC 8259, section 8.1.
    let body = body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body).trim_ascii();
    let content_type = content_type.to_ascii_lowercase();
    let text = std::str::from_utf8(body).ok()?;
    if content_type.contains("json") || text.starts_with('{') {
        // Some services send a word without quotes as JSON.
        return json::read(text).or_else(|| text::read(text, true));
    }
    text::read(text, content_type.contains("html") || text.starts_with('<'))
}

#[cfg(test)]
mod tests;

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
mod readme {}
