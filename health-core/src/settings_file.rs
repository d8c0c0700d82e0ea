//! Settings from files and environment variables.

use std::{
    env,
    error::Error,
    ffi::{OsStr, OsString},
    fmt,
    fs::File,
    io::{self, Read as _},
    path::{Path, PathBuf},
    sync::Arc,
};

use crate::config::{
    origin::Origin,
    parse::{self, Format, mistake::SettingsMistake, variables::variables},
    settings::Settings,
};

/// The prefix of environment variables for [`Settings::load`].
const PREFIX: &str = "HEALTH";

/// The maximum size of a file, in bytes.
const LARGEST: u64 = 1 << 20;

impl Settings {
    /// Reads a file, then the environment variables that begin with `HEALTH_`, which override it. The file must exist.
    /// Equivalent to a [`SettingsLoader`] with this file and the prefix `HEALTH`.
    ///
    /// # Errors
    ///
    /// Returns every mistake that can be found without the checks. [`Builder::start`](crate::Builder::start) returns
    /// the others, also with their files and lines or variables.
    pub fn load(path: impl Into<PathBuf>) -> Result<Self, SettingsError> {
        SettingsLoader::new().file(path).environment(PREFIX).load()
    }
}

/// Reads [`Settings`] from files and environment variables. A later source overrides an earlier one, one option at a
/// time.
///
/// The extension of a file selects its format: `.toml`, `.yaml`, `.yml` or `.json`. The size limit of a file is 1 MiB.
/// An empty file sets nothing. A YAML file must be one document without anchors, aliases and tags. A variable sets one
/// option, for instance `HEALTH_CHECKS__DATABASE__TIMEOUT`, `HEALTH_INSERTED__TENANT_42__TIMEOUT` or
/// `HEALTH_DEFAULTS__EVERY`.
///
/// ```
/// use health_core::{Health, SettingsLoader, check_fn};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let directory = std::env::temp_dir().join(format!("health-settings-{}", std::process::id()));
/// # std::fs::create_dir_all(&directory)?;
/// # let path = directory.join("health.toml");
/// std::fs::write(&path, "[checks.license]\ntimeout = \"1s\"\nfailures = 3\n")?;
/// let settings = SettingsLoader::new().file(&path).environment("ORDERS_HEALTH").load()?;
/// # std::fs::remove_dir_all(&directory)?;
/// let health = Health::builder().settings(settings).check("license", check_fn(|| async { Ok(()) })).start()?;
/// assert_eq!(health.report().checks()[0].timeout().as_secs(), 1);
///
/// let variables = [("HEALTH_CHECKS__LICENSE__TIMEOT".into(), "1s".into())];
/// let settings = SettingsLoader::new().variables("HEALTH", variables).load()?;
/// let error = Health::builder().settings(settings).check("license", check_fn(|| async { Ok(()) })).start();
/// let text = error.unwrap_err().to_string();
/// assert!(text.starts_with("HEALTH_CHECKS__LICENSE__TIMEOT: the settings of \"license\" have \"timeot\": "));
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Default)]
#[must_use = "a loader does nothing until `.load()`"]
pub struct SettingsLoader {
    sources: Vec<Source>,
}

/// One source of settings.
#[derive(Clone)]
enum Source {
    File {
        path: PathBuf,
        must_exist: bool,
    },
    /// The environment variables of the process.
    Environment {
        prefix: String,
    },
    /// Environment variables that the caller passes.
    Variables {
        prefix: String,
        variables: Vec<(OsString, OsString)>,
    },
}

impl SettingsLoader {
    /// Creates a loader without sources.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a file that must exist.
    pub fn file(mut self, path: impl Into<PathBuf>) -> Self {
        self.sources.push(Source::File { path: path.into(), must_exist: true });
        self
    }

    /// Adds a file that may be missing. An existing file that cannot be read is an error.
    pub fn optional_file(mut self, path: impl Into<PathBuf>) -> Self {
        self.sources.push(Source::File { path: path.into(), must_exist: false });
        self
    }

    /// Adds the environment variables of the process whose names begin with this prefix and `_`.
    pub fn environment(mut self, prefix: impl Into<String>) -> Self {
        self.sources.push(Source::Environment { prefix: prefix.into() });
        self
    }

    /// Adds these variables, which are read like the environment variables of the process, for instance in a test.
    pub fn variables(
        mut self,
        prefix: impl Into<String>,
        variables: impl IntoIterator<Item = (OsString, OsString)>,
    ) -> Self {
        let variables = variables.into_iter().collect();
        self.sources.push(Source::Variables { prefix: prefix.into(), variables });
        self
    }

    /// Reads every source, in the order in which the sources were added. Blocks the thread while it reads files.
    ///
    /// # Errors
    ///
    /// Returns every mistake that can be found without the checks. [`Builder::start`](crate::Builder::start) returns
    /// the others, also with their files and lines or variables.
    pub fn load(self) -> Result<Settings, SettingsError> {
        let (mut settings, mut mistakes, mut cause) = (Settings::default(), Vec::new(), None);
        for (position, source) in self.sources.into_iter().enumerate() {
            match source {
                Source::File { path, must_exist } => match read(&path) {
                    Ok((format, text)) => {
                        let path: Arc<str> = Arc::from(&*path.to_string_lossy());
                        parse::document(format, &path, &text, &mut settings, &mut mistakes);
                    }
                    Err(Unread::Missing(_)) if !must_exist => {}
                    Err(unread) => {
                        mistakes.push(unread.mistake(path));
                        cause = cause.or(unread.cause());
                    }
                },
                Source::Environment { prefix } => {
                    variables(&prefix, position, env::vars_os(), &mut settings, &mut mistakes);
                }
                Source::Variables { prefix, variables: given } => {
                    variables(&prefix, position, given, &mut settings, &mut mistakes);
                }
            }
        }
        if mistakes.is_empty() { Ok(settings) } else { Err(SettingsError { mistakes, cause }) }
    }
}

impl fmt::Debug for SettingsLoader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Variables are omitted, because their values may be secrets of other programs.
        f.debug_struct("SettingsLoader").field("sources", &self.sources.len()).finish_non_exhaustive()
    }
}

/// The reason for which a file was not read.
enum Unread {
    Missing(Arc<io::Error>),
    Failed(Arc<io::Error>),
    Directory,
    Extension,
    TooLarge,
    NotUtf8 { line: usize, column: usize },
}

impl Unread {
    fn mistake(&self, path: PathBuf) -> SettingsMistake {
        let message = match self {
            Self::NotUtf8 { line, column } => {
                let origin = Origin::File { path: Arc::from(&*path.to_string_lossy()), line: *line, column: *column };
                return SettingsMistake::at(&origin, None, "the file is not UTF-8".to_owned());
            }
            Self::Missing(_) => "there is no such file".to_owned(),
            Self::Failed(error) if error.kind() == io::ErrorKind::PermissionDenied => {
                "permission denied: let this process read the file".to_owned()
            }
            Self::Failed(error) => format!("the file cannot be read: {error}"),
            Self::Directory => "it is a directory: name a file".to_owned(),
            Self::Extension => "unknown format: use the extension .toml, .yaml, .yml or .json".to_owned(),
            Self::TooLarge => "the file is larger than 1 MiB".to_owned(),
        };
        SettingsMistake::of_file(path, message)
    }

    fn cause(&self) -> Option<Arc<io::Error>> {
        match self {
            Self::Missing(error) | Self::Failed(error) => Some(Arc::clone(error)),
            _ => None,
        }
    }
}

impl From<io::Error> for Unread {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::NotFound => Self::Missing(Arc::new(error)),
            io::ErrorKind::IsADirectory => Self::Directory,
            _ => Self::Failed(Arc::new(error)),
        }
    }
}

/// Reads a whole file.
fn read(path: &Path) -> Result<(Format, String), Unread> {
    let file = File::open(path)?;
    if file.metadata()?.is_dir() {
        return Err(Unread::Directory);
    }
    let extension = path.extension().and_then(OsStr::to_str);
    let format = extension.and_then(Format::of).ok_or(Unread::Extension)?;
    let mut bytes = Vec::new();
    if file.take(LARGEST + 1).read_to_end(&mut bytes)? > usize::try_from(LARGEST).unwrap_or(usize::MAX) {
        return Err(Unread::TooLarge);
    }
    match String::from_utf8(bytes) {
        Ok(text) => Ok((format, text)),
        Err(error) => {
            let end = error.utf8_error().valid_up_to();
            let before = String::from_utf8_lossy(&error.as_bytes()[..end]).into_owned();
            let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
            Err(Unread::NotUtf8 { line: before.matches('\n').count() + 1, column })
        }
    }
}

/// The mistakes in the files and environment variables of settings, from [`SettingsLoader::load`].
///
/// The text has one line for each mistake: the file with line and column, or the variable, then the key, what is wrong,
/// and what to use instead.
#[derive(Clone)]
#[non_exhaustive]
pub struct SettingsError {
    mistakes: Vec<SettingsMistake>,
    cause: Option<Arc<io::Error>>,
}

impl SettingsError {
    /// Returns the mistakes, in the order of their sources.
    #[must_use]
    pub fn mistakes(&self) -> &[SettingsMistake] {
        &self.mistakes
    }
}

impl fmt::Display for SettingsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (position, mistake) in self.mistakes.iter().enumerate() {
            write!(f, "{}{mistake}", if position == 0 { "" } else { "\n" })?;
        }
        Ok(())
    }
}

/// Reads like [`Display`](fmt::Display), because a `main` that returns the error prints it in this form.
impl fmt::Debug for SettingsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Error for SettingsError {
    /// Returns the first I/O error of reading a file.
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.cause.as_deref().map(|cause| cause as &(dyn Error + 'static))
    }
}
