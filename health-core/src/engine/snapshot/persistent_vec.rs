//! The persistent vector: clones share their elements, and a change copies only the path to the changed element.

use std::{slice, sync::Arc};

/// The binary logarithm of the number of children of a branch.
const BITS: u32 = 5;
const WIDTH: usize = 1 << BITS;

/// A vector that is cloned in constant time and changed in logarithmic time. Snapshots share the parts that have not
/// changed between them.
#[derive(Clone, Debug)]
pub(crate) struct PersistentVec<T> {
    root: Arc<Node<T>>,
    length: usize,
    /// The number of levels of branches above the leaves.
    height: u32,
}

#[derive(Clone, Debug)]
enum Node<T> {
    Branch(Vec<Arc<Node<T>>>),
    Leaf(Vec<T>),
}

impl<T> Default for PersistentVec<T> {
    fn default() -> Self {
        Self { root: Arc::new(Node::Leaf(Vec::new())), length: 0, height: 0 }
    }
}

/// Returns the index of the child with the element at `position`, in a node of this height.
fn branch(position: usize, height: u32) -> usize {
    (position >> (height * BITS)) & (WIDTH - 1)
}

impl<T> PersistentVec<T> {
    pub(crate) fn len(&self) -> usize {
        self.length
    }

    pub(crate) fn get(&self, position: usize) -> Option<&T> {
        if position >= self.length {
            return None;
        }
        self.leaf(position).get(position % WIDTH)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &T> {
        Iter { vector: self, leaf: [].iter(), next_leaf: 0 }
    }

    /// Returns the elements of the leaf with this position; an empty slice for a position beyond the end.
    fn leaf(&self, position: usize) -> &[T] {
        let (mut node, mut height) = (&*self.root, self.height);
        loop {
            match node {
                Node::Leaf(elements) => return elements,
                Node::Branch(below) => match below.get(branch(position, height)) {
                    Some(next) => (node, height) = (next, height - 1),
                    None => return &[],
                },
            }
        }
    }
}

impl<T: Clone> PersistentVec<T> {
    /// Returns an element to change. Clones of the vector do not see the change.
    pub(crate) fn get_mut(&mut self, position: usize) -> Option<&mut T> {
        if position >= self.length {
            return None;
        }
        let (mut node, mut height) = (Arc::make_mut(&mut self.root), self.height);
        loop {
            match node {
                Node::Leaf(elements) => return elements.get_mut(position % WIDTH),
                Node::Branch(below) => {
                    node = Arc::make_mut(below.get_mut(branch(position, height))?);
                    height -= 1;
                }
            }
        }
    }

    pub(crate) fn push(&mut self, element: T) {
        if self.length == WIDTH << (self.height * BITS) {
            self.root = Arc::new(Node::Branch(vec![Arc::clone(&self.root)]));
            self.height += 1;
        }
        let position = self.length;
        self.length += 1;
        let (mut node, mut height) = (Arc::make_mut(&mut self.root), self.height);
        loop {
            match node {
                Node::Leaf(elements) => return elements.push(element),
                Node::Branch(below) => {
                    let at = branch(position, height);
                    if at == below.len() {
                        let empty = if height == 1 { Node::Leaf(Vec::new()) } else { Node::Branch(Vec::new()) };
                        below.push(Arc::new(empty));
                    }
                    node = Arc::make_mut(&mut below[at]);
                    height -= 1;
                }
            }
        }
    }
}

struct Iter<'v, T> {
    vector: &'v PersistentVec<T>,
    leaf: slice::Iter<'v, T>,
    /// The position of the first element of the next leaf.
    next_leaf: usize,
}

impl<'v, T> Iterator for Iter<'v, T> {
    type Item = &'v T;

    fn next(&mut self) -> Option<&'v T> {
        loop {
            if let Some(element) = self.leaf.next() {
                return Some(element);
            }
            if self.next_leaf >= self.vector.length {
                return None;
            }
            self.leaf = self.vector.leaf(self.next_leaf).iter();
            self.next_leaf += WIDTH;
        }
    }

    fn fold<B, F: FnMut(B, &'v T) -> B>(self, start: B, mut step: F) -> B {
        let mut folded = self.leaf.fold(start, &mut step);
        let mut next_leaf = self.next_leaf;
        while next_leaf < self.vector.length {
            folded = self.vector.leaf(next_leaf).iter().fold(folded, &mut step);
            next_leaf += WIDTH;
        }
        folded
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let left = self.leaf.len() + self.vector.length.saturating_sub(self.next_leaf);
        (left, Some(left))
    }
}

impl<T: Clone> FromIterator<T> for PersistentVec<T> {
    fn from_iter<I: IntoIterator<Item = T>>(elements: I) -> Self {
        let mut vector = Self::default();
        elements.into_iter().for_each(|element| vector.push(element));
        vector
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_copy_does_not_see_later_changes() {
        let mut vectors: Vec<(PersistentVec<usize>, Vec<usize>)> = vec![(PersistentVec::default(), Vec::new())];
        let mut vector = PersistentVec::default();
        let mut expected = Vec::new();
        for number in 0..3_000 {
            vector.push(number);
            expected.push(number);
            if number % 7 == 0 {
                let position = number * 31 % expected.len();
                *vector.get_mut(position).unwrap() = number + 1_000_000;
                expected[position] = number + 1_000_000;
            }
            if number % 97 == 0 {
                vectors.push((vector.clone(), expected.clone()));
            }
        }
        vectors.push((vector, expected));
        for (vector, expected) in &vectors {
            assert_eq!(vector.len(), expected.len());
            assert_eq!(vector.iter().size_hint(), (expected.len(), Some(expected.len())));
            assert!(vector.iter().eq(expected));
            assert!((0..=expected.len()).all(|position| vector.get(position) == expected.get(position)));
        }
    }

    #[test]
    fn a_change_copies_only_the_way_to_the_element() {
        let mut vector: PersistentVec<Arc<()>> = (0..10_000).map(|_| Arc::new(())).collect();
        let copy = vector.clone();
        *vector.get_mut(5_000).unwrap() = Arc::new(());
        let shared = copy.iter().filter(|element| Arc::strong_count(element) > 1).count();
        assert_eq!(shared, WIDTH - 1);
    }
}
