//! The groups of a builder: tags whose checks are shown in one row. Pure functions.

use std::sync::Arc;

use crate::{
    check::options::Options,
    config::{
        error::BuildError,
        mistakes::Mistakes,
        plan::{RESERVED, check_word, shortened},
    },
    model::group::Group,
};

/// The tags that are groups, in the order of the calls to `Builder::group`.
#[derive(Clone, Debug, Default)]
pub(crate) struct Groups(Vec<Arc<str>>);

impl Groups {
    /// Adds a group. A group that is known already keeps its position.
    pub(crate) fn add(&mut self, tag: Arc<str>) {
        if !self.0.contains(&tag) {
            self.0.push(tag);
        }
    }

    /// Returns the names in order.
    pub(crate) fn names(&self) -> &[Arc<str>] {
        &self.0
    }

    /// Collects invalid names, and names that are reserved for the lifecycle lines of the text output.
    pub(crate) fn check(&self, mistakes: &mut Mistakes) {
        for group in &self.0 {
            let message = match check_word(group) {
                Err(message) => message,
                Ok(()) if RESERVED.contains(&&**group) => "it is reserved for the lifecycle lines of the text output",
                Ok(()) => continue,
            };
            mistakes.push(BuildError::InvalidGroup { group: shortened(group), message });
        }
    }

    /// Returns the group of a check; `None` if the check is in no group. Collects a check that has the name of a group,
    /// and a check with the tags of several groups.
    pub(crate) fn group_of(&self, name: &str, options: &Options, mistakes: &mut Mistakes) -> Option<Group> {
        if self.0.iter().any(|group| **group == *name) {
            mistakes.push(BuildError::NameOfGroup { name: name.to_owned() });
        }
        let is_tag = |group: &Arc<str>| options.tags.iter().any(|tag| **tag == **group);
        let mut found = self.0.iter().enumerate().filter(|(_, group)| is_tag(group));
        let (position, first) = found.next()?;
        let others: Vec<String> = found.map(|(_, group)| group.to_string()).collect();
        if !others.is_empty() {
            let groups = [first.to_string()].into_iter().chain(others).collect();
            mistakes.push(BuildError::SeveralGroups { name: name.to_owned(), groups });
        }
        Some(Group { position, name: Arc::clone(first) })
    }
}
