//! What the examples read from the environment. What cannot be read ends them, with the variable's name and never its
//! value: a mistyped URL still has its password in it.

use std::{env, error::Error, fmt, net::SocketAddr, time::Duration};

use deadpool_postgres::tokio_postgres::{self, config::SslMode};
use deadpool_redis::redis::{ConnectionInfo, IntoConnectionInfo as _};
use health_core::SettingsLoader;

/// Shorter secrets would be found in ordinary words when they are removed from output.
const SHORTEST_SECRET: usize = 4;

/// The settings of an example service.
#[derive(Clone)]
pub struct Settings {
    /// `BIND_ADDR`: where to listen; default `127.0.0.1:8080`.
    pub bind: SocketAddr,
    /// `DATABASE_URL`: a PostgreSQL server to check.
    pub database: Option<tokio_postgres::Config>,
    /// `REDIS_URL`: a Redis server to check.
    pub redis: Option<ConnectionInfo>,
    /// `DOGSTATSD_ADDR`: a Datadog Agent, often `127.0.0.1:8125`, that is sent service checks.
    pub dogstatsd: Option<SocketAddr>,
    /// `DRAIN_SECONDS`: how long to keep serving after SIGTERM; default 10.
    pub drain: Duration,
    /// `HEALTH_TOKEN`: the bearer token that shows everything.
    pub token: Option<String>,
    /// `HEALTH_CONFIG`, a file in TOML, YAML or JSON, and `HEALTH_CHECKS__<CHECK>__<OPTION>`: options of checks.
    pub checks: health_core::Settings,
    /// What must appear in no output.
    pub secrets: Vec<String>,
}

impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Settings").field("bind", &self.bind).field("drain", &self.drain).finish_non_exhaustive()
    }
}

/// Settings that cannot be used.
#[derive(Debug)]
pub enum SettingsError {
    /// A variable of the service.
    Variable {
        /// The name of the variable.
        variable: &'static str,
        /// What it must be.
        expected: &'static str,
    },
    /// The options of checks. The text names the file and the line, or the variable.
    Checks(health_core::SettingsError),
}

impl fmt::Display for SettingsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Variable { variable, expected } => write!(f, "{variable} cannot be used: expected {expected}"),
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
    /// Reads the environment.
    ///
    /// # Errors
    ///
    /// The first variable that is set to something that cannot be used.
    pub fn from_env() -> Result<Self, SettingsError> {
        let mut secrets = Vec::new();
        let bind = read("BIND_ADDR", "an address and a port, such as 127.0.0.1:8080", |text| text.parse().ok())?
            .unwrap_or_else(|| SocketAddr::from(([127, 0, 0, 1], 8080)));
        let database = read(
            "DATABASE_URL",
            "postgres://user:password@host:5432/database, and no sslmode=require, as this example has no TLS",
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
            "redis://user:password@host:6379/0, and no rediss://, as this example has no TLS",
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

/// Reads what operators say about the checks: first the file, then the variables, which overrule it.
pub(crate) fn checks() -> Result<health_core::Settings, SettingsError> {
    let mut loader = SettingsLoader::new();
    if let Some(path) = env::var_os("HEALTH_CONFIG") {
        loader = loader.file(path);
    }
    loader.environment("HEALTH").load().map_err(SettingsError::Checks)
}

/// Reads one variable, if it is set.
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

/// The password of a URL as it was written, which percent-encoding can make differ from the one meant.
fn sent_password(url: &str) -> Option<String> {
    let (_, rest) = url.split_once("://")?;
    let (userinfo, _) = rest.rsplit_once('@')?;
    userinfo.split_once(':').map(|(_, password)| password.to_owned())
}
