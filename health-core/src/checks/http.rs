//! An HTTP service. Green proves that one request over the application's own client got an accepted code, and the
//! expected headers and body if there are any. It does not prove that the service does its work; for that,
//! [`Upstream`](crate::Upstream) requests the health of the service.

use std::{fmt, ops::RangeInclusive, pin::pin, time::Duration};

use async_trait::async_trait;
use bytes::Bytes;
use reqwest::{
    Client, Method, Response, Url,
    header::{HeaderMap, HeaderName, HeaderValue},
};

use tokio::{select, time::timeout};

#[cfg(feature = "serde")]
use crate::check::setting::Setting;
use crate::{
    check::{
        Check, CheckResult,
        deadline::time_left,
        error::{CheckError, InvalidCheck, chain, classify},
        outcome::Outcome,
    },
    model::status::{Impact, Reason},
};

/// The maximum number of times that a request is sent. It is sent again if its connection ends. A client that several
/// checks and the application share keeps several connections to a service, which the service may close at the same
/// time.
const ATTEMPTS: usize = 3;
/// The maximum number of bytes that are read of a body that is searched for a text.
const SEARCHED: usize = 1 << 20;
/// The maximum number of bytes that are read of any other body. It is read so that its connection can be used again.
const DRAINED: usize = 64 << 10;

/// Sends a GET or HEAD request over the application's own [`reqwest::Client`], with the TLS, the proxies, the
/// connection pool and the name resolution of that client.
///
/// Green proves that one request got an accepted code, and the expected headers and body if there are any. It does not
/// prove that the service does its work.
///
/// - Least privilege: what the service requires for this one request.
/// - The check is Optional unless `.critical()` is called, because it checks another service.
/// - A redirect is not accepted unless [`follow_redirects`](Self::follow_redirects) is called. Whether redirects are
///   followed is a setting of the client. Build the client with `redirect(Policy::none())` to keep it from sending the
///   second request.
/// - The whole answer must arrive within the deadline. If the body is not searched, only its first 64 KiB are read.
/// - A keep-alive connection that ends during the request is not an outage: the request is sent again, at most twice.
/// - If there is no answer in half of the deadline, the request is sent once more, over another connection, and the
///   first answer counts. If several keep-alive connections are dead and were not closed, each such run uses up two of
///   these connections. Over HTTP/2 the client has a single connection, and its own `http2_keep_alive_interval` detects
///   that it is dead.
/// - To judge the duration of a run, use `.slow_above(..)`.
/// - A code that is not accepted is `failed`; 401, 403 and 407 are `rejected`.
/// - Observed value: `code`.
///
/// ```no_run
/// use std::time::Duration;
/// use health_core::{CheckExt, Health, Http};
///
/// # fn example(client: reqwest::Client) -> Result<(), health_core::BuildError> {
/// let search = Http::get(client, "http://search.internal/status").accept_codes(200..=299).body_contains("ready");
/// let health = Health::builder().check("search", search.slow_above(Duration::from_millis(500))).start()?;
/// # drop(health);
/// # Ok(())
/// # }
/// ```
#[must_use]
pub struct Http {
    target: Target,
    codes: Vec<RangeInclusive<u16>>,
    body_contains: Option<String>,
    expected_headers: Vec<(String, String)>,
}

impl Http {
    /// Creates a check that sends a GET request to this URL. A URL without a host, or with a scheme other than `http`
    /// and `https`, is a build error.
    pub fn get(client: Client, url: impl Into<String>) -> Self {
        Self::new(client, Method::GET, url.into())
    }

    /// Creates a check that sends a HEAD request to this URL. A URL without a host, or with a scheme other than `http`
    /// and `https`, is a build error.
    pub fn head(client: Client, url: impl Into<String>) -> Self {
        Self::new(client, Method::HEAD, url.into())
    }

    fn new(client: Client, method: Method, url: String) -> Self {
        Self {
            target: Target::new(client, method, &url),
            codes: Vec::new(),
            body_contains: None,
            expected_headers: Vec::new(),
        }
    }

    /// Adds a range of accepted status codes. Can be called several times. Default 200 to 299. An empty range, or one
    /// with a code outside of 100 to 599, is a build error.
    pub fn accept_codes(mut self, codes: RangeInclusive<u16>) -> Self {
        self.codes.push(codes);
        self
    }

    /// Sets a text that the body must contain. A body longer than 1 MiB is Unhealthy. Default none. An empty text, and
    /// a check that sends HEAD, are build errors.
    pub fn body_contains(mut self, text: impl Into<String>) -> Self {
        self.body_contains = Some(text.into());
        self
    }

    /// Adds a header to the request, such as one with a token. Its value appears in no output. A name or a value that
    /// cannot be sent is a build error.
    pub fn header(mut self, name: impl AsRef<str>, value: impl AsRef<str>) -> Self {
        self.target.send(name.as_ref(), value.as_ref());
        self
    }

    /// Adds a header that the answer must have with exactly this value. Can be called several times. Default none.
    pub fn expect_header(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.expected_headers.push((name.into(), value.into()));
        self
    }

    /// Accepts an answer that the client got by following redirects. Default: such an answer is Unhealthy with
    /// `failed`.
    pub fn follow_redirects(mut self) -> Self {
        self.target.follow = true;
        self
    }

    fn judge(&self, answer: &Answer) -> Outcome {
        let accepted = if self.codes.is_empty() {
            (200..=299).contains(&answer.code)
        } else {
            self.codes.iter().any(|codes| codes.contains(&answer.code))
        };
        if !accepted {
            return refused(answer.code);
        }
        for (name, value) in &self.expected_headers {
            let mut lines = answer.headers.get_all(name.as_str()).iter();
            if !lines.any(|line| line.as_bytes() == value.as_bytes()) {
                return Outcome::unhealthy(format!("the answer has no header {name} with the expected value"));
            }
        }
        match &self.body_contains {
            Some(_) if answer.is_cut => Outcome::unhealthy("the answer is longer than 1 MiB"),
            Some(text) if !contains(&answer.body, text.as_bytes()) => {
                Outcome::unhealthy("the answer does not contain the expected text")
            }
            _ => Outcome::healthy(),
        }
    }
}

/// Returns the outcome of a code that is not accepted.
pub(super) fn refused(code: u16) -> Outcome {
    let reason = if matches!(code, 401 | 403 | 407) { Reason::Rejected } else { Reason::Failed };
    Outcome::unhealthy(format!("the service answers with the code {code}")).reason(reason)
}

fn contains(bytes: &[u8], text: &[u8]) -> bool {
    text.is_empty() || bytes.windows(text.len()).any(|window| window == text)
}

#[async_trait]
impl Check for Http {
    async fn check(&self) -> CheckResult {
        let limit = if self.body_contains.is_some() { SEARCHED } else { DRAINED };
        let answer = self.target.ask(limit).await?;
        Ok(self.judge(&answer).observe("code", answer.code, ""))
    }

    fn impact(&self) -> Impact {
        Impact::Optional
    }

    fn proves(&self) -> &'static str {
        "One request got an accepted code, and the expected headers and body if there are any. It does not prove that \
         the service does its work."
    }

    fn validate(&self) -> Result<(), InvalidCheck> {
        self.target.validate()?;
        if self.body_contains.is_some() && self.target.method == Method::HEAD {
            return Err(("body_contains(..) needs a body, and HEAD has none: use Http::get".to_owned()).into());
        }
        if self.body_contains.as_deref() == Some("") {
            return Err(("body_contains(\"\") matches every body: use the text to search for".to_owned()).into());
        }
        if self.codes.iter().any(|codes| codes.is_empty() || *codes.start() < 100 || *codes.end() > 599) {
            return Err(("accept_codes(..) takes codes from 100 to 599, the smaller first".to_owned()).into());
        }
        match self.expected_headers.iter().find(|(name, _)| HeaderName::try_from(name.as_str()).is_err()) {
            Some((name, _)) => Err(format!("expect_header({name:?}, ..) is not the name of a header").into()),
            None => Ok(()),
        }
    }

    #[cfg(feature = "serde")]
    fn settings(&self) -> Vec<&'static str> {
        vec!["accept_codes"]
    }

    /// Replaces the codes that the application's code accepts: an operator sets the whole list, not an addition to it.
    #[cfg(feature = "serde")]
    fn apply_setting(&mut self, option: &str, value: &Setting) -> Result<bool, InvalidCheck> {
        if option != "accept_codes" {
            return Ok(false);
        }
        let words: Vec<String> = match value.value() {
            // A list may contain numbers.
            serde_json::Value::Array(codes) => codes.iter().map(|code| code.to_string().replace('"', "")).collect(),
            serde_json::Value::Number(code) => vec![code.to_string()],
            _ => value.words()?,
        };
        let codes: Option<Vec<_>> = words.iter().map(|word| codes(word)).collect();
        let codes = codes.filter(|codes| !codes.is_empty());
        self.codes = codes.ok_or_else(|| value.refused("use codes and ranges of codes, such as \"200-299, 401\""))?;
        Ok(true)
    }
}

/// Reads one code, or a range of codes such as `200-299`.
#[cfg(feature = "serde")]
fn codes(word: &str) -> Option<RangeInclusive<u16>> {
    let (first, last) = word.split_once('-').unwrap_or((word, word));
    Some(first.trim().parse().ok()?..=last.trim().parse().ok()?)
}

impl fmt::Debug for Http {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Http").field("target", &self.target).finish_non_exhaustive()
    }
}

/// The request of a check or a webhook: its client, method, URL and headers.
pub(crate) struct Target {
    client: Client,
    method: Method,
    url: Option<Url>,
    headers: HeaderMap,
    pub(super) follow: bool,
    error: Option<String>,
}

/// The answer to a request.
pub(super) struct Answer {
    pub(super) code: u16,
    pub(super) headers: HeaderMap,
    pub(super) body: Vec<u8>,
    /// Whether the body was longer than the limit.
    pub(super) is_cut: bool,
}

impl Target {
    pub(crate) fn new(client: Client, method: Method, url: &str) -> Self {
        let (url, error) = match Url::parse(url) {
            Ok(url) if matches!(url.scheme(), "http" | "https") && url.has_host() => (Some(url), None),
            // The message omits the URL, because a mistyped one may contain a password.
            Ok(_) => {
                (None, Some("the URL is not usable: it must begin with http:// or https:// and a host".to_owned()))
            }
            Err(error) => (None, Some(format!("the URL is not usable: {error}; use http://host/path"))),
        };
        Self { client, method, url, headers: HeaderMap::new(), follow: false, error }
    }

    /// Sets a header and replaces earlier headers of the same name.
    #[cfg(feature = "webhook")]
    pub(crate) fn send_instead(&mut self, name: &str, value: &str) {
        self.headers.remove(name);
        self.send(name, value);
    }

    pub(crate) fn send(&mut self, name: &str, value: &str) {
        match (HeaderName::try_from(name), HeaderValue::try_from(value)) {
            (Ok(name), Ok(mut value)) => {
                value.set_sensitive(true);
                self.headers.append(name, value);
            }
            _ => {
                let error = format!("header({name:?}, ..) cannot be sent: use letters, digits and visible ASCII");
                self.error.get_or_insert(error);
            }
        }
    }

    pub(crate) fn validate(&self) -> Result<(), String> {
        self.error.clone().map_or(Ok(()), Err)
    }

    /// Sends an idempotent request and reads the answer. Holds at most `limit` bytes of the body and one chunk. Without
    /// an answer in half of the time the request is sent once more, because the other end of a keep-alive connection
    /// may be gone without having closed the connection. The first answer counts.
    pub(super) async fn ask(&self, limit: usize) -> Result<Answer, CheckError> {
        let patience = time_left().map_or(Duration::MAX, |left| left / 2);
        let mut first = pin!(self.exchange(limit));
        if let Ok(answer) = timeout(patience, &mut first).await {
            return answer;
        }
        let mut second = pin!(self.exchange(limit));
        let (error, other) = select! {
            biased;
            answer = &mut first => match answer {
                Ok(answer) => return Ok(answer),
                Err(error) => (error, second),
            },
            answer = &mut second => match answer {
                Ok(answer) => return Ok(answer),
                Err(error) => (error, first),
            },
        };
        // If the other request gets no answer, the known error is returned before the deadline.
        let rest = time_left().map_or(Duration::MAX, |left| left.mul_f64(0.95));
        match timeout(rest, other).await {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(_)) | Err(_) => Err(error),
        }
    }

    async fn exchange(&self, limit: usize) -> Result<Answer, CheckError> {
        let mut attempts = 1;
        let (mut response, is_elsewhere) = loop {
            match self.send_once(Bytes::new()).await {
                Err(Unsent::Failed(error)) if attempts < ATTEMPTS && is_of_a_dying_connection(&error) => attempts += 1,
                answer => break answer?,
            }
        };
        if !self.follow && is_elsewhere {
            let message = "the service redirects to another URL: use the final URL, or call .follow_redirects()";
            return Err(CheckError::new(message));
        }
        let (body, is_cut) = read(&mut response, limit).await?;
        Ok(Answer { code: response.status().as_u16(), headers: std::mem::take(response.headers_mut()), body, is_cut })
    }

    /// Sends the request once and waits for the head of the answer. Also returns whether the answer came from another
    /// URL, because the client followed a redirect.
    #[cfg(feature = "webhook")]
    pub(crate) async fn send_out(&self, body: Bytes) -> Result<(Response, bool), CheckError> {
        Ok(self.send_once(body).await?)
    }

    async fn send_once(&self, body: Bytes) -> Result<(Response, bool), Unsent> {
        let Some(url) = &self.url else { return Err(Unsent::NoUrl) };
        let mut request = self.client.request(self.method.clone(), url.clone()).headers(self.headers.clone());
        if !body.is_empty() {
            request = request.body(body);
        }
        let request = request.build()?;
        // The URL as it is sent: its credentials are in a header now, and a fragment is not sent.
        let mut sent = request.url().clone();
        sent.set_fragment(None);
        let response = self.client.execute(request).await?;
        let is_elsewhere = *response.url() != sent;
        Ok((response, is_elsewhere))
    }
}

/// The reason why a request has no answer.
enum Unsent {
    NoUrl,
    Failed(reqwest::Error),
}

impl From<reqwest::Error> for Unsent {
    fn from(error: reqwest::Error) -> Self {
        Self::Failed(error)
    }
}

impl From<Unsent> for CheckError {
    fn from(error: Unsent) -> Self {
        match error {
            Unsent::NoUrl => Self::new("there is no usable URL"),
            Unsent::Failed(error) => explain(error),
        }
    }
}

/// Returns whether the connection on which the request was sent ended before the answer. A service may close a
/// keep-alive connection at any time, also while the next request is sent.
fn is_of_a_dying_connection(error: &reqwest::Error) -> bool {
    error.is_request() && !error.is_connect() && !error.is_timeout()
}

/// Reads a body up to a limit in bytes, and returns whether it was longer.
pub(crate) async fn read(response: &mut Response, limit: usize) -> Result<(Vec<u8>, bool), CheckError> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(explain)? {
        let room = limit.saturating_sub(body.len());
        body.extend_from_slice(&chunk[..chunk.len().min(room)]);
        if chunk.len() > room {
            return Ok((body, true));
        }
    }
    Ok((body, false))
}

impl fmt::Debug for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let host = self.url.as_ref().and_then(Url::host_str);
        f.debug_struct("Target").field("method", &self.method).field("host", &host).finish_non_exhaustive()
    }
}

/// Converts an error of reqwest, with its reason. The message omits the URL.
fn explain(error: reqwest::Error) -> CheckError {
    let error = error.without_url();
    let reason = reason(&error);
    CheckError::from(error).reason(reason)
}

fn reason(error: &reqwest::Error) -> Reason {
    if error.is_timeout() {
        return Reason::Timeout;
    }
    if let Some(reason) = classify(error) {
        return reason;
    }
    let text = chain(error).to_ascii_lowercase();
    let says = |words: &[&str]| words.iter().any(|word| text.contains(word));
    if error.is_connect() {
        let refused_by_tls = says(&["certificate", "tls", "ssl", "handshake"]);
        return if refused_by_tls { Reason::Rejected } else { Reason::Unreachable };
    }
    // The connection ended during the answer. hyper exposes these kinds of its errors only as texts.
    if says(&["connection closed", "connection error", "end of file", "broken pipe"]) {
        return Reason::Unreachable;
    }
    Reason::Failed
}
