//! Logs on standard error.

use tracing_subscriber::{Layer as _, filter::Targets, layer::SubscriberExt as _, util::SubscriberInitExt as _};

/// Logs what `RUST_LOG` asks for (`info`, or `health=debug,info`), by default from `info` on. What cannot be read in it
/// is ignored.
pub(crate) fn to_stderr() {
    let wanted = std::env::var("RUST_LOG").ok().and_then(|wanted| wanted.parse().ok());
    let filter = wanted.unwrap_or_else(|| Targets::new().with_default(tracing::Level::INFO));
    let lines = tracing_subscriber::fmt::layer().with_writer(std::io::stderr).with_ansi(false).with_filter(filter);
    // Only fails if logs go somewhere already.
    let _ = tracing_subscriber::registry().with(lines).try_init();
}
