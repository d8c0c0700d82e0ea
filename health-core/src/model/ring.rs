//! The last records of a kind, in bounded memory. A record is appended to memory that earlier copies share, and never
//! copied again.

use std::{
    fmt,
    marker::PhantomData,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

/// The number of records that are kept.
pub(crate) const KEPT: usize = 60;

/// The number of records in one block.
const BLOCK: usize = 15;
/// The blocks with the last records: the newest may be nearly empty, and the oldest hold one that is still kept.
const BLOCKS: usize = KEPT / BLOCK + 1;

/// A record in two words.
pub(crate) trait Packed {
    fn pack(&self) -> [u64; 2];
    fn unpack(words: [u64; 2]) -> Self;
}

/// Records of one block. A word is written once, before any copy of the ring counts its record, and not changed after it.
type Block = [[AtomicU64; 2]; BLOCK];

/// The last 60 records. A copy shares the records, and does not see those that are appended to another copy.
///
/// One copy at a time may be appended to: the one with the most records. The writer of results has it.
pub(crate) struct Ring<T> {
    blocks: [Option<Arc<Block>>; BLOCKS],
    /// The number of all records ever appended.
    appended: usize,
    record: PhantomData<T>,
}

impl<T> Default for Ring<T> {
    fn default() -> Self {
        Self { blocks: Default::default(), appended: 0, record: PhantomData }
    }
}

impl<T> Clone for Ring<T> {
    fn clone(&self) -> Self {
        Self { blocks: self.blocks.clone(), appended: self.appended, record: PhantomData }
    }
}

impl<T: Packed> Ring<T> {
    pub(crate) fn push(&mut self, record: T) {
        let (block, place) = Self::place(self.appended);
        if place == 0 {
            self.blocks[block] = Some(Arc::default());
        }
        if let Some(block) = &self.blocks[block] {
            // The publication of the copy that counts this record orders these writes before its readers.
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
            T::unpack(words.map_or([0; 2], |words| [0, 1].map(|at: usize| words[at].load(Ordering::Relaxed))))
        })
    }

    fn place(number: usize) -> (usize, usize) {
        (number / BLOCK % BLOCKS, number % BLOCK)
    }
}

impl<T: Packed + fmt::Debug> fmt::Debug for Ring<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    impl Packed for u64 {
        fn pack(&self) -> [u64; 2] {
            [*self, !*self]
        }

        fn unpack([number, inverse]: [u64; 2]) -> Self {
            assert_eq!(number, !inverse);
            number
        }
    }

    #[test]
    fn a_copy_keeps_its_records_while_others_are_appended() {
        let mut ring = Ring::default();
        let mut copies = vec![ring.clone()];
        for number in 0..400_u64 {
            ring.push(number);
            copies.push(ring.clone());
        }
        for (appended, copy) in copies.iter().enumerate() {
            let expected: Vec<u64> = (0..appended as u64).rev().take(KEPT).collect();
            assert_eq!(copy.iter().len(), expected.len());
            assert_eq!(copy.iter().collect::<Vec<_>>(), expected);
            assert_eq!(copy.iter().rev().collect::<Vec<_>>(), expected.into_iter().rev().collect::<Vec<_>>());
        }
    }
}
