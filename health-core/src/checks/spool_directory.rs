//! A directory that serves as a queue. Green proves that it can be read and that the number of files, their size and the
//! age of the oldest are within their limits; it does not prove that anyone works the files off.

use std::{
    ffi::OsStr,
    fs, io,
    path::PathBuf,
    time::{Duration, SystemTime},
};

use async_trait::async_trait;

use super::limits::limit_methods;
use crate::{
    check::{
        Check, CheckResult,
        blocking::BlockingThread,
        error::{CheckError, InvalidCheck},
        outcome::Outcome,
    },
    model::{
        observed::{Limits, Number},
        status::{Membership, Reason, Status},
    },
};

/// More files than these are not looked at one by one: a directory so full must not keep the check busy.
const LOOKED_AT: u64 = 100_000;

/// The files of a directory that is a processing queue.
///
/// Regular files directly in it are counted, hidden ones (their name begins with `.`) and directories are not. The limits
/// are those of the number of files; the oldest file's age and the sum of the sizes have their own.
///
/// - Least privilege: reading the directory and asking for its files' attributes.
/// - A directory that does not exist, or cannot be read, is Unhealthy. Of more than 100,000 files the rest is only counted,
///   and that is Degraded.
/// - It runs on one thread of its own, so that a network file system that hangs costs that thread and no more.
/// - A measure, by itself for the full report only. Observed: `files`, `bytes` and `oldest` (in `s`).
///
/// ```
/// use std::time::Duration;
/// use health_core::{Health, SpoolDirectory};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), health_core::BuildError> {
/// let spool = SpoolDirectory::new("/var/spool/orders")
///     .warn_above(1_000)
///     .fail_above(10_000)
///     .warn_older_than(Duration::from_secs(600))
///     .extension("xml");
/// let health = Health::builder().check("orders", spool).start()?;
/// # drop(health);
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
#[must_use]
pub struct SpoolDirectory {
    scan: Scan,
    limits: Limits,
    bytes: Limits,
    age: Limits,
    thread: BlockingThread,
}

#[derive(Clone, Debug)]
struct Scan {
    directory: PathBuf,
    extension: Option<String>,
}

/// What is in the directory.
#[derive(Debug, Default)]
struct Found {
    files: u64,
    bytes: u64,
    oldest: Option<SystemTime>,
}

impl SpoolDirectory {
    /// Counts the files of this directory.
    pub fn new(directory: impl Into<PathBuf>) -> Self {
        Self {
            scan: Scan { directory: directory.into(), extension: None },
            limits: Limits::default(),
            bytes: Limits::default(),
            age: Limits::default(),
            thread: BlockingThread::default(),
        }
    }

    /// Counts files with this extension only, given without its dot.
    pub fn extension(mut self, extension: impl Into<String>) -> Self {
        self.scan.extension = Some(extension.into());
        self
    }

    limit_methods! {
        warn_above: "Degraded above this number of files.",
        fail_above: "Unhealthy above this number of files.",
        warn_below: "Degraded below this number of files.",
        fail_below: "Unhealthy below this number of files.",
    }

    /// Degraded above this many bytes in all.
    pub fn warn_bytes_above(mut self, bytes: u64) -> Self {
        self.bytes.warn_above = Some(bytes.into());
        self
    }

    /// Unhealthy above this many bytes in all.
    pub fn fail_bytes_above(mut self, bytes: u64) -> Self {
        self.bytes.fail_above = Some(bytes.into());
        self
    }

    /// Degraded if a file was last changed longer ago.
    pub fn warn_older_than(mut self, age: Duration) -> Self {
        self.age.warn_above = Some(age.as_secs_f64().into());
        self
    }

    /// Unhealthy if a file was last changed longer ago.
    pub fn fail_older_than(mut self, age: Duration) -> Self {
        self.age.fail_above = Some(age.as_secs_f64().into());
        self
    }

    fn judge(&self, found: &Found) -> Outcome {
        let age = found.oldest.map_or(0.0, |at| at.elapsed().unwrap_or_default().as_secs_f64());
        let age = Number::from((age * 10.0).round() / 10.0);
        let mut outcome = self
            .limits
            .judge(found.files.into(), "files")
            .and(self.bytes.judge(found.bytes.into(), "bytes"))
            .and(self.age.judge(age, "s since the oldest file changed"));
        if found.files > LOOKED_AT {
            // What was not looked at cannot be green.
            let message = format!("only {LOOKED_AT} of {} files were looked at", found.files);
            outcome = outcome.worsened(Status::Degraded, Reason::Threshold, message);
        }
        outcome
            .observe_within("files", found.files, "files", self.limits)
            .observe_within("bytes", found.bytes, "bytes", self.bytes)
            .observe_within("oldest", age, "s", self.age)
    }
}

impl Scan {
    fn run(&self) -> io::Result<Found> {
        let mut found = Found::default();
        for entry in fs::read_dir(&self.directory)? {
            let entry = entry?;
            let name = entry.file_name();
            let path = std::path::Path::new(&name);
            let wanted = self.extension.as_deref().is_none_or(|it| path.extension() == Some(OsStr::new(it)));
            if name.as_encoded_bytes().starts_with(b".") || !wanted {
                continue;
            }
            if found.files >= LOOKED_AT {
                found.files += 1;
                continue;
            }
            let attributes = match entry.metadata() {
                Ok(attributes) if attributes.is_file() => attributes,
                Ok(_) => continue,
                // Worked off while we looked.
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                Err(error) => return Err(error),
            };
            found.files += 1;
            found.bytes += attributes.len();
            let at = attributes.modified()?;
            found.oldest = Some(found.oldest.map_or(at, |oldest| oldest.min(at)));
        }
        Ok(found)
    }
}

#[async_trait]
impl Check for SpoolDirectory {
    async fn check(&self) -> CheckResult {
        let scan = self.scan.clone();
        match self.thread.run(move || scan.run()).await? {
            Ok(found) => Ok(self.judge(&found)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                Ok(Outcome::unhealthy(format!("there is no directory {}", self.scan.directory.display())))
            }
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
                Err(CheckError::new(format!("{} cannot be read: {error}", self.scan.directory.display()))
                    .reason(Reason::Rejected))
            }
            Err(error) => Err(error.into()),
        }
    }

    fn membership(&self) -> Membership {
        Membership::ReportOnly
    }

    fn validate(&self) -> Result<(), InvalidCheck> {
        if self.scan.directory.as_os_str().is_empty() {
            return Err(("the path of the directory is empty: name it".to_owned()).into());
        }
        if self.scan.extension.as_deref().is_some_and(|it| it.starts_with('.') || it.is_empty()) {
            return Err(("give the extension without its dot, such as \"xml\"".to_owned()).into());
        }
        self.limits.validate_count()?;
        self.bytes.validate_count()?;
        Ok(self.age.validate_count()?)
    }
}
