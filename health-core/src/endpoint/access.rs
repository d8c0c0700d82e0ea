//! Access: the visibility of a caller, which is decided once per request.

use std::{
    fmt,
    panic::{self, AssertUnwindSafe},
    sync::Arc,
};

use subtle::ConstantTimeEq as _;

use crate::{endpoint::message::Request, model::status::Visibility};

/// The length of the shortest accepted token, in bytes. A shorter token grants nothing.
const SHORTEST_TOKEN: usize = 16;

/// A grant of full visibility.
#[derive(Clone)]
pub(super) enum Grant {
    /// A grant to requests for which the application's closure returns `true`.
    Closure(Arc<dyn Fn(&Request<'_>) -> bool + Send + Sync>),
    /// A grant to requests with `Authorization: Bearer` and this token.
    Bearer(Arc<[u8]>),
}

impl fmt::Debug for Grant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Closure(_) => "Closure(..)",
            Self::Bearer(_) => "Bearer(***)",
        })
    }
}

impl Grant {
    pub(super) fn bearer(token: &str) -> Option<Self> {
        (token.len() >= SHORTEST_TOKEN).then(|| Self::Bearer(Arc::from(token.as_bytes())))
    }

    fn given_to(&self, request: &Request<'_>) -> bool {
        match self {
            // A panic counts as a refusal.
            Self::Closure(ask) => panic::catch_unwind(AssertUnwindSafe(|| ask(request))).unwrap_or(false),
            Self::Bearer(token) => bearer(request).is_some_and(|sent| sent.as_bytes().ct_eq(token).into()),
        }
    }
}

/// Returns the visibility of a caller: Full if any grant accepts the request, otherwise `ordinary`.
pub(super) fn visibility(request: &Request<'_>, grants: &[Grant], ordinary: Visibility) -> Visibility {
    if grants.iter().any(|grant| grant.given_to(request)) { Visibility::Full } else { ordinary }
}

fn bearer<'r>(request: &Request<'r>) -> Option<&'r str> {
    let (scheme, token) = request.header("authorization")?.trim().split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim_start())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sees(grants: &[Grant], authorization: Option<&str>) -> Visibility {
        let header = |name: &str| authorization.filter(|_| name == "authorization");
        let lines = |name: &str, line: usize| header(name).filter(|_| line == 0);
        let request = Request::new("GET", "/health", None, None, &lines);
        visibility(&request, grants, Visibility::Checks)
    }

    #[test]
    fn only_the_whole_token_grants() {
        let grants: Vec<Grant> =
            ["sixteen-bytes-ok", "another-token-of-ours"].into_iter().filter_map(Grant::bearer).collect();
        for (authorization, expected) in [
            (Some("Bearer sixteen-bytes-ok"), Visibility::Full),
            (Some("bearer  another-token-of-ours"), Visibility::Full),
            (Some("Bearer sixteen-bytes-o"), Visibility::Checks),
            (Some("Bearer sixteen-bytes-oksixteen-bytes-ok"), Visibility::Checks),
            (Some("Basic sixteen-bytes-ok"), Visibility::Checks),
            (Some("Bearer "), Visibility::Checks),
            (Some("Bearer"), Visibility::Checks),
            (None, Visibility::Checks),
        ] {
            assert_eq!(sees(&grants, authorization), expected, "{authorization:?}");
        }
    }

    #[test]
    fn short_tokens_and_panics_grant_nobody() {
        assert!(Grant::bearer("").is_none() && Grant::bearer("fifteen-bytes-x").is_none());
        let panics = Grant::Closure(Arc::new(|_| panic!("no")));
        assert_eq!(sees(&[panics], Some("Bearer x")), Visibility::Checks);
    }
}
