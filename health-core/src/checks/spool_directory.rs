//! A directory that serves as a queue. Green proves that it can be read and that the number of files, their size and the
//! age of the oldest are within their limits; it does not prove that anyone works the files off.

use std::{
    fs::{self, ReadDir},
    io,
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, SystemTime},
};

use async_trait::async_trait;

use super::{
    limits::{check_settings, limit_methods},
    open_files::is_out_of_descriptors,
};
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
/// - It keeps the directory open, so that it can count when no further descriptor is free. So the volume cannot be unmounted
///   while the check is registered, but lazily (`umount -l`).
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
    /// The directory, open and not yet read. It is read if it cannot be opened because all descriptors are in use.
    reserve: Arc<Mutex<Option<ReadDir>>>,
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
            scan: Scan { directory: directory.into(), extension: None, reserve: Arc::default() },
            limits: Limits::default(),
            bytes: Limits::default(),
            age: Limits::default(),
            thread: BlockingThread::default(),
        }
    }

    /// Counts files with this extension only, given without its dot: `xml`, or `tar.gz` for names that end in `.tar.gz`.
    /// Upper and lower case differ.
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
        for entry in self.open()? {
            let entry = entry?;
            let name = entry.file_name();
            let name = name.as_encoded_bytes();
            let wanted = self.extension.as_deref().is_none_or(|extension| has_extension(name, extension.as_bytes()));
            if name.starts_with(b".") || !wanted {
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

    /// Opens the directory, and once more for a time without a free descriptor.
    fn open(&self) -> io::Result<ReadDir> {
        let mut reserve = self.reserve.lock().unwrap_or_else(PoisonError::into_inner);
        match fs::read_dir(&self.directory) {
            Err(error) if is_out_of_descriptors(&error) => reserve.take().ok_or(error),
            opened => {
                let opened = opened?;
                // Anew, because the name may stand for another directory than it did.
                *reserve = fs::read_dir(&self.directory).ok();
                Ok(opened)
            }
        }
    }

    /// Fills the reserve if it is empty.
    fn fill_reserve(&self) {
        let mut reserve = self.reserve.lock().unwrap_or_else(PoisonError::into_inner);
        if reserve.is_none() {
            *reserve = fs::read_dir(&self.directory).ok();
        }
    }
}

/// Whether a name ends in a dot and this extension, with something in front of the dot.
fn has_extension(name: &[u8], extension: &[u8]) -> bool {
    name.strip_suffix(extension).is_some_and(|stem| stem.len() > 1 && stem.ends_with(b"."))
}

/// Returns what is wrong with an extension: one that no name can have, or that means a pattern.
fn validate_extension(extension: &str) -> Result<(), String> {
    let fault = if extension.is_empty() || extension.starts_with('.') {
        "give the extension without its dot, such as \"xml\""
    } else if extension.contains(['/', '\0']) {
        "no file name has a slash or a NUL in it: give the extension alone, such as \"xml\""
    } else if extension.contains(['*', '?', '[', '{']) {
        "patterns are not matched: give the extension alone, such as \"xml\""
    } else if extension.trim() != extension || extension.contains([',', ';', '|']) {
        "one extension is matched as it is written: give it alone and without blanks, such as \"xml\""
    } else {
        return Ok(());
    };
    Err(format!("extension({extension:?}) matches no file: {fault}"))
}

#[async_trait]
impl Check for SpoolDirectory {
    async fn check(&self) -> CheckResult {
        let scan = self.scan.clone();
        let counted = self.thread.run(move || {
            let counted = scan.run();
            scan.fill_reserve();
            counted
        });
        match counted.await? {
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

    fn proves(&self) -> &'static str {
        "The directory can be read, and its files are within the limits of number, size and age. It does not prove \
         that anyone works them off."
    }

    fn validate(&self) -> Result<(), InvalidCheck> {
        if self.scan.directory.as_os_str().is_empty() {
            return Err(("the path of the directory is empty: name it".to_owned()).into());
        }
        self.scan.extension.as_deref().map_or(Ok(()), validate_extension)?;
        self.limits.validate_count()?;
        self.bytes.validate_count()?;
        Ok(self.age.validate_count()?)
    }

    check_settings! {
        limits in limits;
        warn_bytes_above: bytes.warn_above = number;
        fail_bytes_above: bytes.fail_above = number;
        warn_older_than: age.warn_above = seconds;
        fail_older_than: age.fail_above = seconds;
    }
}
