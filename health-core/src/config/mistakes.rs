//! The mistakes of a builder, collected so that one attempt tells them all. Pure.

use crate::config::error::BuildError;
#[cfg(feature = "serde")]
use crate::config::origin::Origins;

/// The mistakes of a builder, and where the options that can be part of one were set.
#[derive(Debug, Default)]
pub(crate) struct Mistakes {
    found: Vec<BuildError>,
    #[cfg(feature = "serde")]
    pub(crate) origins: Origins,
}

impl Mistakes {
    pub(crate) fn push(&mut self, mistake: BuildError) {
        self.found.push(mistake);
    }

    /// Returns the value of a result, or collects its error.
    pub(crate) fn collect<T>(&mut self, result: Result<T, BuildError>) -> Option<T> {
        result.map_err(|mistake| self.push(mistake)).ok()
    }

    pub(crate) fn len(&self) -> usize {
        self.found.len()
    }

    /// Returns the one mistake, or all of them as [`BuildError::Several`], each with the places that it comes from.
    ///
    /// # Errors
    ///
    /// There is a mistake.
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
