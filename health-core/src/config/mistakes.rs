//! Collects the mistakes in a configuration, so that one start reports all of them. Pure functions.

use crate::config::error::BuildError;
#[cfg(feature = "serde")]
use crate::config::origin::Origins;

/// The mistakes found so far, and the places where options were set.
#[derive(Debug, Default)]
pub(crate) struct Mistakes {
    found: Vec<BuildError>,
    #[cfg(feature = "serde")]
    pub(crate) origins: Origins,
}

impl Mistakes {
    /// Adds a mistake.
    pub(crate) fn push(&mut self, mistake: BuildError) {
        self.found.push(mistake);
    }

    /// Returns the value of a result, or collects its error.
    pub(crate) fn collect<T>(&mut self, result: Result<T, BuildError>) -> Option<T> {
        result.map_err(|mistake| self.push(mistake)).ok()
    }

    /// Returns the number of mistakes.
    pub(crate) fn len(&self) -> usize {
        self.found.len()
    }

    /// Returns `Ok` if there are no mistakes.
    ///
    /// # Errors
    ///
    /// Returns the only mistake, or several as [`BuildError::Several`], each with the places where its options were
    /// set.
    pub(crate) fn result(self) -> Result<(), BuildError> {
        #[cfg(feature = "serde")]
        let mut found: Vec<BuildError> = self.found.into_iter().map(|mistake| self.origins.locate(mistake)).collect();
        #[cfg(not(feature = "serde"))]
        let mut found = self.found;
        match found.len() {
            0 => Ok(()),
            1 => Err(found.remove(0)),
            _ => Err(BuildError::Several { mistakes: found }),
        }
    }
}
