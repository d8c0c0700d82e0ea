//! Measures a directory that serves as a queue. Green proves that the directory can be read and that the number of
//! files, their total size and the age of the oldest are within their limits. It does not prove that the files are
//! being processed.

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

/// The greatest number of files whose attributes one run reads, so that a very full directory does not keep the check
/// busy.
const LOOKED_AT: u64 = 100_000;

/// Measures the files of a directory that serves as a queue, and compares their number, total size and age with limits.
///
/// Green proves that the directory can be read and that its files are within the limits. It does not prove that the
/// files are being processed.
///
/// The check counts the regular files directly in the directory. It ignores subdirectories and hidden files, whose
/// names begin with `.`. The total size and the age of the oldest file have limits of their own.
///
/// - Least privilege: the right to read the directory and the attributes of its files.
/// - A directory that does not exist or cannot be read is Unhealthy. If the directory has more than 100,000 files, the
///   check only counts the rest, and is Degraded.
/// - The check runs on a thread of its own, so that a network file system that hangs blocks only this thread.
/// - The check keeps the directory open, so that it can count the files when no file descriptor is free. As long as the
///   check is registered, the volume can only be unmounted lazily (`umount -l`).
/// - By default the check counts for the full report only.
/// - Observed values: `files`, `bytes` and `oldest` (in `s`).
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
    /// An open handle of the directory. It is read if the directory cannot be opened because no file descriptor is
    /// free.
    reserve: Arc<Mutex<Option<ReadDir>>>,
}

/// The result of one scan of the directory.
#[derive(Debug, Default)]
struct Found {
    files: u64,
    bytes: u64,
    oldest: Option<SystemTime>,
}

impl SpoolDirectory {
    /// Creates a check of the files in this directory.
    pub fn new(directory: impl Into<PathBuf>) -> Self {
        Self {
            scan: Scan { directory: directory.into(), extension: None, reserve: Arc::default() },
            limits: Limits::default(),
            bytes: Limits::default(),
            age: Limits::default(),
            thread: BlockingThread::default(),
        }
    }

    /// Counts only files with this extension, given without its leading dot: `xml`, or `tar.gz` for names that end in
    /// `.tar.gz`. The comparison is case-sensitive. By default files with any extension count.
    pub fn extension(mut self, extension: impl Into<String>) -> Self {
        self.scan.extension = Some(extension.into());
        self
    }

    limit_methods! {
        warn_above: "Sets the number of files above which the check is Degraded. Default none.",
        fail_above: "Sets the number of files above which the check is Unhealthy. Default none.",
        warn_below: "Sets the number of files below which the check is Degraded. Default none.",
        fail_below: "Sets the number of files below which the check is Unhealthy. Default none.",
    }

    /// Sets the total size of the files, in bytes, above which the check is Degraded. Default none.
    pub fn warn_bytes_above(mut self, bytes: u64) -> Self {
        self.bytes.warn_above = Some(bytes.into());
        self
    }

    /// Sets the total size of the files, in bytes, above which the check is Unhealthy. Default none.
    pub fn fail_bytes_above(mut self, bytes: u64) -> Self {
        self.bytes.fail_above = Some(bytes.into());
        self
    }

    /// Sets the age of the oldest file, since its last change, above which the check is Degraded. Default none.
    pub fn warn_older_than(mut self, age: Duration) -> Self {
        self.age.warn_above = Some(age.as_secs_f64().into());
        self
    }

    /// Sets the age of the oldest file, since its last change, above which the check is Unhealthy. Default none.
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
            // The size and the age of the other files are unknown, so the check cannot be Healthy.
            let message = format!("size and age were read of only {LOOKED_AT} of {} files", found.files);
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
                // The file was removed during the scan.
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

    /// Opens the directory, and opens it once more as a reserve for a time without a free file descriptor.
    fn open(&self) -> io::Result<ReadDir> {
        let mut reserve = self.reserve.lock().unwrap_or_else(PoisonError::into_inner);
        match fs::read_dir(&self.directory) {
            Err(error) if is_out_of_descriptors(&error) => reserve.take().ok_or(error),
            opened => {
                let opened = opened?;
                // The reserve is replaced, because the path may lead to another directory by now.
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

/// Returns whether a name consists of at least one character, a dot and this extension.
fn has_extension(name: &[u8], extension: &[u8]) -> bool {
    name.strip_suffix(extension).is_some_and(|stem| stem.len() > 1 && stem.ends_with(b"."))
}

/// Returns an error for an extension that no file name can have, or that is meant as a pattern or a list.
fn validate_extension(extension: &str) -> Result<(), String> {
    let fault = if extension.is_empty() || extension.starts_with('.') {
        "give the extension without its dot, such as \"xml\""
    } else if extension.contains(['/', '\0']) {
        "a file name contains no slash and no NUL: give only the extension, such as \"xml\""
    } else if extension.contains(['*', '?', '[', '{']) {
        "patterns are not supported: give only the extension, such as \"xml\""
    } else if extension.trim() != extension || extension.contains([',', ';', '|']) {
        "lists and spaces are not supported: give one extension as it is written, such as \"xml\""
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
                Ok(Outcome::unhealthy(format!("the directory {} does not exist", self.scan.directory.display())))
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
         that they are being processed."
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
