//! Logs on standard error.

use tracing_subscriber::{Layer as _, filter::Targets, layer::SubscriberExt as _, util::SubscriberInitExt as _};

/// Writes log lines to standard error. `RUST_LOG` sets the levels, such as `info` or `health=debug,info`. Default
/// `info`. A value that cannot be parsed is ignored.
pub(crate) fn to_stderr() {
    let wanted = std::env::var("RUST_LOG").ok().and_then(|wanted| wanted.parse().ok());
    let filter = wanted.unwrap_or_else(|| Targets::new().with_default(tracing::Level::INFO));
    let lines = tracing_subscriber::fmt::layer().with_writer(std::io::stderr).with_ansi(false).with_filter(filter);
    // Fails only if a global subscriber is already set.
    let _ = tracing_subscriber::registry().with(lines).try_init();
}
