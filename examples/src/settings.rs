//! The settings of the examples, which come from environment variables. A variable that is not usable ends the program.
//! The message has the name of the variable and never its value, because a mistyped URL still contains its password.

use std::{env, error::Error, fmt, net::SocketAddr, time::Duration};

use deadpool_postgres::tokio_postgres::{self, config::SslMode};
use deadpool_redis::redis::{ConnectionInfo, IntoConnectionInfo as _};
use health_core::SettingsLoader;

/// The length of the shortest secret that is redacted, in bytes. A shorter one would also be redacted inside ordinary
/// words.
const SHORTEST_SECRET: usize = 4;

/// The settings of an example service.
#[derive(Clone)]
pub struct Settings {
    /// `BIND_ADDR`: the address to listen on. Default `127.0.0.1:8080`.
    pub bind: SocketAddr,
    /// `DATABASE_URL`: a PostgreSQL server to check.
    pub database: Option<tokio_postgres::Config>,
    /// `REDIS_URL`: a Redis server to check.
    pub redis: Option<ConnectionInfo>,
    /// `DOGSTATSD_ADDR`: a Datadog Agent that receives service checks, often `127.0.0.1:8125`.
    pub dogstatsd: Option<SocketAddr>,
    /// `DRAIN_SECONDS`: the time for which the service continues to serve after SIGTERM, in seconds. Default 10.
    pub drain: Duration,
    /// `HEALTH_TOKEN`: the bearer token that grants full visibility.
    pub token: Option<String>,
    /// `HEALTH_CONFIG`, a file in TOML, YAML or JSON, and `HEALTH_CHECKS__<CHECK>__<OPTION>`: options of checks.
    pub checks: health_core::Settings,
    /// The texts that are redacted in every output.
    pub secrets: Vec<String>,
}

impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Settings").field("bind", &self.bind).field("drain", &self.drain).finish_non_exhaustive()
    }
}

/// The error for settings that are not usable.
#[derive(Debug)]
pub enum SettingsError {
    /// A variable of the service is not usable.
    Variable {
        /// The name of the variable.
        variable: &'static str,
        /// The description of a valid value.
        expected: &'static str,
    },
    /// The options of checks are not usable. The text names the file and the line, or the variable.
    Checks(health_core::SettingsError),
}

impl fmt::Display for SettingsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Variable { variable, expected } => write!(f, "{variable} is not usable: expected {expected}"),
            Self::Checks(error) => error.fmt(f),
        }
    }
}

impl Error for SettingsError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Variable { .. } => None,
            Self::Checks(error) => error.source(),
        }
    }
}

impl Settings {
    /// Reads the settings from the environment.
    ///
    /// # Errors
    ///
    /// Returns an error for the first variable with a value that is not usable.
    pub fn from_env() -> Result<Self, SettingsError> {
        let mut secrets = Vec::new();
        let bind = read("BIND_ADDR", "an address and a port, such as 127.0.0.1:8080", |text| text.parse().ok())?
            .unwrap_or_else(|| SocketAddr::from(([127, 0, 0, 1], 8080)));
        let database = read(
            "DATABASE_URL",
            "postgres://user:password@host:5432/database without sslmode=require, because this example has no TLS",
            |text| {
                let config: tokio_postgres::Config = text.parse().ok()?;
                secrets.extend(config.get_password().map(|password| String::from_utf8_lossy(password).into_owned()));
                secrets.extend(sent_password(text));
                let reachable = !config.get_hosts().is_empty() || !config.get_hostaddrs().is_empty();
                (reachable && config.get_ssl_mode() != SslMode::Require).then_some(config)
            },
        )?;
        let redis = read(
            "REDIS_URL",
            "redis://user:password@host:6379/0, not rediss://, because this example has no TLS",
            |text| {
                let info = text.into_connection_info().ok()?;
                secrets.extend(info.redis_settings().password().map(str::to_owned));
                secrets.extend(sent_password(text));
                Some(info)
            },
        )?;
        let dogstatsd =
            read("DOGSTATSD_ADDR", "an address and a port, such as 127.0.0.1:8125", |text| text.parse().ok())?;
        let drain = read("DRAIN_SECONDS", "a whole number of seconds from 0 to 3600", |text| {
            text.parse().ok().filter(|seconds| (0..=3600).contains(seconds)).map(Duration::from_secs)
        })?
        .unwrap_or(Duration::from_secs(10));
        let token = read("HEALTH_TOKEN", "text in UTF-8", |text| Some(text.to_owned()))?;
        secrets.extend(token.clone());
        let checks = checks()?;
        secrets.retain(|secret| secret.len() >= SHORTEST_SECRET);
        Ok(Self { bind, database, redis, dogstatsd, drain, token, checks, secrets })
    }
}

/// Reads the settings of checks: first the file, then the environment variables, which override it.
pub(crate) fn checks() -> Result<health_core::Settings, SettingsError> {
    let mut loader = SettingsLoader::new();
    if let Some(path) = env::var_os("HEALTH_CONFIG") {
        loader = loader.file(path);
    }
    loader.environment("HEALTH").load().map_err(SettingsError::Checks)
}

/// Reads one variable; `None` if it is not set.
fn read<T>(
    variable: &'static str,
    expected: &'static str,
    parse: impl FnOnce(&str) -> Option<T>,
) -> Result<Option<T>, SettingsError> {
    match env::var(variable) {
        Ok(text) => parse(&text).map(Some).ok_or(SettingsError::Variable { variable, expected }),
        Err(env::VarError::NotPresent) => Ok(None),
        Err(env::VarError::NotUnicode(_)) => Err(SettingsError::Variable { variable, expected }),
    }
}

/// Returns the password of a URL as it is written, which differs from the real password if it is percent-encoded.
fn sent_password(url: &str) -> Option<String> {
    let (_, rest) = url.split_once("://")?;
    let (userinfo, _) = rest.rsplit_once('@')?;
    userinfo.split_once(':').map(|(_, password)| password.to_owned())
}
