//! The probe: a request to an endpoint, its timeout and retries, and the verdicts that pass.

use std::{
    thread,
    time::{Duration, Instant},
};

use crate::{
    ask::{self, Question},
    target::Target,
    token::Token,
    verdict::{State, Verdict},
};

/// The pause between two attempts of a probe that waits.
const PAUSE: Duration = Duration::from_millis(500);

/// The longest timeout and the longest wait: one day.
pub(crate) const LONGEST: Duration = Duration::from_secs(24 * 3600);

/// The verdicts that pass.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Expect {
    /// Only Healthy.
    Healthy,
    /// Healthy or Degraded.
    #[default]
    HealthyOrDegraded,
    /// An answer with this HTTP status code, independent of its body.
    Code(u16),
}

impl Expect {
    /// Returns whether the verdict passes.
    #[must_use]
    pub fn is_met_by(self, verdict: &Verdict) -> bool {
        match self {
            Self::Healthy => verdict.state == State::Healthy,
            Self::HealthyOrDegraded => verdict.state <= State::Degraded,
            Self::Code(code) => verdict.code == Some(code),
        }
    }
}

/// A probe, which requests a health endpoint once or until the verdict passes.
///
/// ```no_run
/// use std::time::Duration;
///
/// use health_probe::{Probe, State, Target};
///
/// # fn main() -> Result<(), String> {
/// let verdict = Probe::to(Target::parse("http://127.0.0.1:8080/readyz")?).wait(Duration::from_secs(60)).ask();
/// assert!(verdict.state <= State::Degraded, "{}", verdict.cause);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
#[must_use]
pub struct Probe {
    pub(crate) target: Target,
    pub(crate) timeout: Duration,
    pub(crate) wait: Option<Duration>,
    pub(crate) expect: Expect,
    pub(crate) token: Option<Token>,
    #[cfg(feature = "https")]
    pub(crate) trust: crate::tls::Trust,
    /// The name of the service to request over gRPC; `None` for a request over HTTP.
    pub(crate) grpc: Option<String>,
}

impl Probe {
    /// Creates a probe that makes one attempt with a timeout of 2 s.
    pub fn to(target: Target) -> Self {
        Self {
            target,
            timeout: Duration::from_secs(2),
            wait: None,
            expect: Expect::default(),
            token: None,
            #[cfg(feature = "https")]
            trust: crate::tls::Trust::default(),
            grpc: None,
        }
    }

    /// Sets the timeout of one attempt, which includes the name look-up. Default 2 s. The maximum is one day.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout.min(LONGEST);
        self
    }

    /// Sets the time for which the probe retries, twice a second, until the verdict passes. Default: one attempt. The
    /// maximum is one day.
    pub fn wait(mut self, wait: Duration) -> Self {
        self.wait = Some(wait.min(LONGEST));
        self
    }

    /// Sets the verdicts that pass, which end [`wait`](Self::wait). Default [`Expect::HealthyOrDegraded`].
    pub fn expect(mut self, expect: Expect) -> Self {
        self.expect = expect;
        self
    }

    /// Sets a bearer token, which can raise the visibility of the answer. A token that is empty or has characters other
    /// than visible ASCII is not sent.
    pub fn token(mut self, token: impl Into<String>) -> Self {
        self.token = Token::new(&token.into());
        self
    }

    /// Sets the PEM file of the certificate authorities that are trusted over https. Default: the authorities of the
    /// platform.
    ///
    /// # Errors
    ///
    /// Returns one sentence that names the fault of the file.
    #[cfg(feature = "https")]
    pub fn ca_file(mut self, path: impl AsRef<std::path::Path>) -> Result<Self, String> {
        self.trust = crate::tls::Trust::of_file(path.as_ref())?;
        Ok(self)
    }

    /// Requests the status of this service over `grpc.health.v1`, instead of a page over HTTP. The empty name means the
    /// server itself.
    #[cfg(feature = "grpc")]
    pub fn grpc(mut self, service: impl Into<String>) -> Self {
        self.grpc = Some(service.into());
        self
    }

    /// Makes the request and returns the verdict. Blocks the calling thread.
    #[must_use]
    pub fn ask(&self) -> Verdict {
        self.timed().0
    }

    /// Makes the request and returns the verdict and the duration of the last attempt.
    pub(crate) fn timed(&self) -> (Verdict, Duration) {
        let until = self.wait.map(|wait| Instant::now() + wait);
        loop {
            let left = until.map(|until| until.saturating_duration_since(Instant::now()));
            // The last attempt has a timeout of at least `PAUSE`, so that it can succeed.
            let timeout = left.map_or(self.timeout, |left| self.timeout.min(left.max(PAUSE)));
            let began = Instant::now();
            let verdict = self.attempt(timeout);
            let took = began.elapsed();
            let over = until.is_none_or(|until| Instant::now() + PAUSE >= until);
            if over || self.expect.is_met_by(&verdict) {
                return (verdict, took);
            }
            thread::sleep(PAUSE);
        }
    }

    fn attempt(&self, timeout: Duration) -> Verdict {
        #[cfg(feature = "grpc")]
        if let Some(service) = &self.grpc {
            return crate::grpc::ask(&self.target, service, self.token.as_ref(), timeout);
        }
        let question = Question {
            target: self.target.clone(),
            token: self.token.clone(),
            #[cfg(feature = "https")]
            trust: self.trust.clone(),
        };
        ask::ask(&question, timeout)
    }
}

/// Returns the output without `--nagios`. Control characters are replaced, because a terminal would interpret them. If
/// another status code was expected, the output begins with the two codes.
pub(crate) fn text(verdict: &Verdict, expect: Expect, verbose: bool) -> String {
    let with = |first: &str, more: &[&str]| {
        let said: Vec<&str> = more.iter().copied().filter(|more| !more.is_empty()).collect();
        let line = if said.is_empty() { first.to_owned() } else { format!("{first}: {}", said.join(", ")) };
        line.chars().map(|c| if c.is_control() { ' ' } else { c }).chain(['\n']).collect::<String>()
    };
    let mut text = match (expect, verdict.code) {
        (Expect::Code(expected), Some(code)) if code != expected => {
            with(&format!("HTTP {code} instead of {expected}"), &[verdict.state.word(), &verdict.cause])
        }
        _ => with(verdict.state.word(), &[&verdict.cause]),
    };
    for check in verdict.checks.iter().filter(|_| verbose) {
        text.push_str(&with(&check.name, &[check.state.word(), &check.reason, &check.message]));
    }
    text
}
