//! The index from names to positions, which snapshots share: a hash table with open addressing in a persistent vector.

use std::hash::{BuildHasher as _, RandomState};

use crate::engine::snapshot::persistent_vec::PersistentVec;

/// An index from names to positions. The index stores no names. The caller passes a function that returns the name at a
/// position.
#[derive(Clone, Debug, Default)]
pub(crate) struct NameIndex {
    hasher: RandomState,
    /// The slots. Their number is a power of two, and at least half of them are free. A free slot has 0, and a full
    /// slot has a position plus one.
    slots: PersistentVec<usize>,
    length: usize,
}

impl NameIndex {
    /// Returns the position of a name. Allocates nothing.
    pub(crate) fn find<'n>(&self, name: &str, name_at: impl Fn(usize) -> Option<&'n str>) -> Option<usize> {
        let mut slot = self.first_slot(name)?;
        loop {
            let position = self.slots.get(slot)?.checked_sub(1)?;
            if name_at(position) == Some(name) {
                return Some(position);
            }
            slot = (slot + 1) % self.slots.len();
        }
    }

    /// Adds a name, whose position is one more than the last.
    pub(crate) fn push<'n>(&mut self, name: &str, name_at: impl Fn(usize) -> Option<&'n str>) {
        if (self.length + 1) * 2 > self.slots.len() {
            let slots = (self.slots.len() * 2).max(8);
            self.slots = (0..slots).map(|_| 0).collect();
            for position in 0..self.length {
                if let Some(name) = name_at(position) {
                    self.fill(name, position);
                }
            }
        }
        self.fill(name, self.length);
        self.length += 1;
    }

    fn fill(&mut self, name: &str, position: usize) {
        let Some(mut slot) = self.first_slot(name) else { return };
        while self.slots.get(slot).is_some_and(|full| *full > 0) {
            slot = (slot + 1) % self.slots.len();
        }
        if let Some(free) = self.slots.get_mut(slot) {
            *free = position + 1;
        }
    }

    fn first_slot(&self, name: &str) -> Option<usize> {
        let slots = u64::try_from(self.slots.len()).ok().filter(|slots| *slots > 0)?;
        usize::try_from(self.hasher.hash_one(name) % slots).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_is_found_at_its_position_and_no_other_is() {
        let names: Vec<String> = (0..1_000).map(|number| format!("name-{number}")).collect();
        let name_at = |position: usize| names.get(position).map(String::as_str);
        let mut index = NameIndex::default();
        assert_eq!(index.find("name-0", name_at), None);
        for (position, name) in names.iter().enumerate() {
            index.push(name, name_at);
            assert_eq!(index.find(name, name_at), Some(position));
        }
        assert!(names.iter().enumerate().all(|(position, name)| index.find(name, name_at) == Some(position)));
        assert_eq!(index.find("name-1000", name_at), None);
    }
}
