//! A ring of the last records in bounded memory. A record is appended to memory that earlier copies share, and is never
//! copied.

use std::{
    fmt,
    marker::PhantomData,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
};

/// The maximum number of records that are kept.
pub(crate) const KEPT: usize = 60;

/// A record that can be packed into three words of 32 bits.
pub(crate) trait Packed {
    fn pack(&self) -> [u32; 3];
    fn unpack(words: [u32; 3]) -> Self;
}

/// A block of records. A word is written once, before any copy of the ring counts its record, and is not changed after
/// that.
type Block<const LENGTH: usize> = [[AtomicU32; 3]; LENGTH];

/// Returns the number of blocks of this length that a ring needs. A ring needs one more block than its records fill,
/// because the newest block may be nearly empty while the oldest contains a single record that is still kept.
pub(crate) const fn blocks(length: usize) -> usize {
    KEPT.div_ceil(length) + 1
}

/// The last 60 records. A copy shares the records, and does not see records that are appended to another copy.
///
/// Records may be appended only to the copy with the most records. The writer of results owns that copy.
pub(crate) struct Ring<T, const LENGTH: usize, const BLOCKS: usize> {
    blocks: [Option<Arc<Block<LENGTH>>>; BLOCKS],
    /// The number of records appended so far, including those that are no longer kept.
    appended: usize,
    record: PhantomData<T>,
}

impl<T, const LENGTH: usize, const BLOCKS: usize> Default for Ring<T, LENGTH, BLOCKS> {
    fn default() -> Self {
        Self { blocks: [const { None }; BLOCKS], appended: 0, record: PhantomData }
    }
}

impl<T, const LENGTH: usize, const BLOCKS: usize> Clone for Ring<T, LENGTH, BLOCKS> {
    fn clone(&self) -> Self {
        Self { blocks: self.blocks.clone(), appended: self.appended, record: PhantomData }
    }
}

impl<T: Packed, const LENGTH: usize, const BLOCKS: usize> Ring<T, LENGTH, BLOCKS> {
    /// Appends a record.
    pub(crate) fn push(&mut self, record: T) {
        let (block, place) = Self::place(self.appended);
        if place == 0 {
            self.blocks[block] =
                Some(Arc::new([const { [AtomicU32::new(0), AtomicU32::new(0), AtomicU32::new(0)] }; LENGTH]));
        }
        if let Some(block) = &self.blocks[block] {
            // Relaxed is enough: publishing the copy that counts this record orders these writes before its readers.
            for (word, value) in block[place].iter().zip(record.pack()) {
                word.store(value, Ordering::Relaxed);
            }
        }
        self.appended += 1;
    }

    /// Iterates over the records, newest first.
    pub(crate) fn iter(&self) -> impl DoubleEndedIterator<Item = T> + ExactSizeIterator {
        (0..self.appended.min(KEPT)).map(|age| {
            let (block, place) = Self::place(self.appended - 1 - age);
            let words = self.blocks[block].as_ref().map(|block| &block[place]);
            T::unpack(words.map_or([0; 3], |words| [0, 1, 2].map(|at: usize| words[at].load(Ordering::Relaxed))))
        })
    }

    /// Returns the block of a record and the position in the block.
    fn place(number: usize) -> (usize, usize) {
        (number / LENGTH % BLOCKS, number % LENGTH)
    }
}

impl<T: Packed + fmt::Debug, const LENGTH: usize, const BLOCKS: usize> fmt::Debug for Ring<T, LENGTH, BLOCKS> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    impl Packed for u32 {
        fn pack(&self) -> [u32; 3] {
            [*self, !*self, *self]
        }

        fn unpack([number, inverse, again]: [u32; 3]) -> Self {
            assert_eq!((number, number), (!inverse, again));
            number
        }
    }

    #[test]
    fn a_copy_keeps_its_records_while_others_are_appended() {
        keeps_its_records::<15, { blocks(15) }>();
        keeps_its_records::<7, { blocks(7) }>();
        keeps_its_records::<1, { blocks(1) }>();
    }

    fn keeps_its_records<const LENGTH: usize, const BLOCKS: usize>() {
        let mut ring: Ring<u32, LENGTH, BLOCKS> = Ring::default();
        let mut copies = vec![ring.clone()];
        for number in 0..400_u32 {
            ring.push(number);
            copies.push(ring.clone());
        }
        for (appended, copy) in copies.iter().enumerate() {
            let expected: Vec<u32> = (0..u32::try_from(appended).unwrap()).rev().take(KEPT).collect();
            assert_eq!(copy.iter().len(), expected.len());
            assert_eq!(copy.iter().collect::<Vec<_>>(), expected);
            assert_eq!(copy.iter().rev().collect::<Vec<_>>(), expected.into_iter().rev().collect::<Vec<_>>());
        }
    }
}
