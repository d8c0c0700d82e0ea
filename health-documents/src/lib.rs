//! Reads the health document of a service, in any of these dialects. Pure: takes bytes, and returns a state and components.
//!
//! | dialect | known by | Healthy | Degraded | Unhealthy | a component |
//! |---|---|---|---|---|---|
//! | health-core | `checks`, an object of objects | `healthy` | `degraded` | `unhealthy` | its name and `reason` |
//! | [`application/health+json`](https://datatracker.ietf.org/doc/html/draft-inadarei-api-health-check-06) | `checks`, or `details` before, an object of arrays | `pass` `ok` `up` | `warn` | `fail` `error` `down` | what stands before the `:`, the worst of its measurements |
//! | [MicroProfile](https://github.com/microprofile/microprofile-health) | `checks`, an array; 1.0 has `outcome` and `state` | `UP` | - | `DOWN` | `name` |
//! | [Spring Boot](https://docs.spring.io/spring-boot/reference/actuator/endpoints.html#actuator.endpoints.health) | `components`; `details` in 2.0 and 2.1; beside `status` in 1 | `UP` | `UNKNOWN`, and every other code in capitals, which Spring answers with 200 | `DOWN` `OUT_OF_SERVICE` | its path; a composite if nothing within it says as much |
//! | [ASP.NET](https://learn.microsoft.com/aspnet/core/host-and-deploy/health-checks) | `entries` or `results`, in any case; a number as `HealthStatus`; a text of one word | `Healthy` 2 | `Degraded` 1 | `Unhealthy` 0 | its name |
//! | others | `checks`, an object of words or an array | the words above | | `failed` `critical` and the like | `name`, `component`, `componentName`, `id`, else its position |
//! | Kubernetes | text of `[+]` and `[-]` lines and a closing line | `ok`, `… check passed` | `[+]name ok (degraded)` | `[-]name failed`, `… check failed` | its name |
//!
//! Words are compared without case. What is none of these is no document: prose, HTML, a redirect, a status that no dialect
//! knows. A byte-order mark and white space before a document are skipped, and the media type decides nothing but that HTML is
//! no text of Kubernetes. Details are not read: they are the other service's, and may hold its secrets, as may messages, which are read.
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

mod document;
mod json;
mod number;
mod text;
mod word;

pub use crate::document::{Component, Document, Status};

/// Reads the body of an answer with this code and media type. Returns `None` if it is no health document.
///
/// The code decides that a redirect is no answer (RFC 9110, section 15.4); what else it means is for the caller to say.
#[must_use]
pub fn read(code: u16, content_type: &str, body: &[u8]) -> Option<Document> {
    if code < 200 || (300..400).contains(&code) {
        return None;
    }
    // RFC 8259, section 8.1: the mark may be ignored.
    let body = body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body).trim_ascii();
    let content_type = content_type.to_ascii_lowercase();
    let text = std::str::from_utf8(body).ok()?;
    if content_type.contains("json") || text.starts_with('{') {
        // Some send a word without its quotes as JSON.
        return json::read(text).or_else(|| text::read(text, true));
    }
    text::read(text, content_type.contains("html") || text.starts_with('<'))
}

#[cfg(test)]
mod tests;

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
mod readme {}
