//! Files that are read repeatedly and stay open between readings.

use std::{
    collections::HashMap,
    fs::{self, File},
    io::{self, Read as _, Seek as _},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

/// The error number for a process without a free file descriptor (EMFILE).
pub(crate) const PROCESS_FULL: i32 = 24;
/// The error number for a system without a free file descriptor (ENFILE).
pub(crate) const SYSTEM_FULL: i32 = 23;

/// Returns whether a file could not be opened because all file descriptors are in use.
pub(crate) fn is_out_of_descriptors(error: &io::Error) -> bool {
    cfg!(unix) && matches!(error.raw_os_error(), Some(PROCESS_FULL | SYSTEM_FULL))
}

/// The files below a root directory.
///
/// Every file stays open after it was read. If no file descriptor is free, the open file is read again, so that a check
/// works in a process that is out of descriptors.
#[derive(Clone, Debug)]
pub(crate) struct OpenFiles {
    root: PathBuf,
    open: Arc<Mutex<HashMap<PathBuf, File>>>,
}

impl Default for OpenFiles {
    /// Creates a set of files without a root: paths are used as they are.
    fn default() -> Self {
        Self::from(PathBuf::new())
    }
}

impl From<PathBuf> for OpenFiles {
    fn from(root: PathBuf) -> Self {
        Self { root, open: Arc::default() }
    }
}

impl OpenFiles {
    /// Begins a reading of several files. At its end, open files that it did not read are closed.
    pub(crate) fn reading(&self) -> Reading<'_> {
        let open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        Reading { root: &self.root, open, read: HashMap::new(), unreadable: None }
    }
}

/// One reading of several files.
#[derive(Debug)]
pub(crate) struct Reading<'h> {
    root: &'h Path,
    open: MutexGuard<'h, HashMap<PathBuf, File>>,
    read: HashMap<PathBuf, File>,
    unreadable: Option<io::Error>,
}

impl Reading<'_> {
    /// Returns the text of a file below the root.
    pub(crate) fn read(&mut self, path: impl AsRef<Path>) -> io::Result<String> {
        let path = path.as_ref();
        let text = self.bytes(path).and_then(|bytes| {
            String::from_utf8(bytes).map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))
        });
        text.map_err(|error| {
            let named = format!("{} cannot be read: {error}", self.root.join(path).display());
            io::Error::new(error.kind(), named)
        })
    }

    /// Returns the text of a file below the root, or `None` if the file does not exist. Any other error is kept for
    /// [`unreadable`](Self::unreadable), and `None` is returned.
    pub(crate) fn find(&mut self, path: impl AsRef<Path>) -> Option<String> {
        match self.read(path) {
            Ok(text) => Some(text),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => {
                self.note(error);
                None
            }
        }
    }

    /// Returns the number in a file that contains a single number. Returns `None` if the file does not exist, or if it
    /// contains `max` or -1, which mean that there is no limit. For any other text an error is kept for
    /// [`unreadable`](Self::unreadable), and `None` is returned.
    pub(crate) fn number(&mut self, path: impl AsRef<Path>) -> Option<u64> {
        let path = path.as_ref();
        let text = self.find(path)?;
        self.parse(path, text.trim())
    }

    /// Returns the number after a key in a file of `key number` lines, or `None` if there is none.
    pub(crate) fn field(&mut self, path: impl AsRef<Path>, key: &str) -> Option<u64> {
        let text = self.find(path)?;
        text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(' ')?.trim().parse().ok())
    }

    /// Parses the text of a file as a number. Returns `None` for `max` and -1. For any other text an error is kept for
    /// [`unreadable`](Self::unreadable), and `None` is returned.
    pub(crate) fn parse(&mut self, path: &Path, text: &str) -> Option<u64> {
        if matches!(text, "max" | "-1") {
            return None;
        }
        let number = text.parse().ok();
        if number.is_none() {
            self.note(io::Error::other(format!("{} contains no number", self.root.join(path).display())));
        }
        number
    }

    /// Keeps an error for [`unreadable`](Self::unreadable), if it is the first one.
    pub(crate) fn note(&mut self, error: io::Error) {
        self.unreadable.get_or_insert(error);
    }

    /// Takes the first error of a file that exists and could not be read.
    pub(crate) fn unreadable(&mut self) -> Option<io::Error> {
        self.unreadable.take()
    }

    /// Returns whether a directory exists at this path below the root.
    pub(crate) fn is_directory(&self, path: impl AsRef<Path>) -> bool {
        self.root.join(path).is_dir()
    }

    /// Returns whether anything exists at this path below the root.
    pub(crate) fn exists(&self, path: impl AsRef<Path>) -> bool {
        self.root.join(path).exists()
    }

    /// Returns the names in a directory below the root, or an empty list if it cannot be read.
    pub(crate) fn names(&self, path: impl AsRef<Path>) -> Vec<String> {
        let entries = fs::read_dir(self.root.join(path)).into_iter().flatten().flatten();
        entries.filter_map(|entry| entry.file_name().into_string().ok()).collect()
    }

    /// Returns the bytes of a file below the root.
    pub(crate) fn bytes(&mut self, path: &Path) -> io::Result<Vec<u8>> {
        let path = self.root.join(path);
        let mut file = match File::open(&path) {
            Ok(file) => file,
            Err(error) if is_out_of_descriptors(&error) => {
                // Needs no descriptor, and returns an error if the file does not exist any more.
                fs::metadata(&path)?;
                self.read.remove(&path).or_else(|| self.open.remove(&path)).ok_or(error)?
            }
            Err(error) => return Err(error),
        };
        let mut bytes = Vec::new();
        let read = file.rewind().and_then(|()| file.read_to_end(&mut bytes));
        self.read.insert(path, file);
        read.map(|_| bytes)
    }
}

impl Drop for Reading<'_> {
    fn drop(&mut self) {
        *self.open = std::mem::take(&mut self.read);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_that_are_no_longer_read_are_closed() {
        let root = tempfile();
        let files = OpenFiles::from(root.clone());
        fs::write(root.join("a"), "1").unwrap();
        fs::write(root.join("b"), "max\n").unwrap();
        {
            let mut reading = files.reading();
            assert_eq!((reading.number("a"), reading.number("b"), reading.number("c")), (Some(1), None, None));
            assert!(reading.unreadable().is_none());
        }
        assert_eq!(files.open.lock().unwrap().len(), 2);
        fs::write(root.join("a"), "one").unwrap();
        {
            let mut reading = files.reading();
            assert_eq!(reading.number("a"), None);
            assert!(reading.unreadable().unwrap().to_string().ends_with("a contains no number"));
        }
        assert_eq!(files.open.lock().unwrap().len(), 1);
        fs::remove_dir_all(root).unwrap();
    }

    /// Creates an empty directory of this process.
    fn tempfile() -> PathBuf {
        let folder = std::env::temp_dir().join(format!("health-open-files-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        folder
    }
}
