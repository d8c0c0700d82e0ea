//! Parts of a text, and helpers that move through a text. All places are byte offsets.

/// A part of a text that a mask replaces: the bytes from `from` up to, but not including, `to`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Span {
    pub(super) from: usize,
    pub(super) to: usize,
}

/// Returns whether a character belongs to a word, such as a key or a token.
pub(super) fn is_word(c: char) -> bool {
    c.is_alphanumeric() || matches!(c, '_' | '-')
}

/// Returns the end of the word that begins here. The dashes of a PEM block do not belong to a word.
pub(super) fn word_end(text: &str, at: usize) -> usize {
    let rest = &text[at..];
    let end = rest.find(|c| !is_word(c)).unwrap_or(rest.len());
    at + rest[..end].find("-----").filter(|dashes| *dashes > 0).unwrap_or(end)
}

/// Returns the character before this place.
pub(super) fn before(text: &str, at: usize) -> Option<char> {
    text[..at].chars().next_back()
}

/// Returns the character at this place.
pub(super) fn first(text: &str, at: usize) -> Option<char> {
    text[at..].chars().next()
}

/// Returns the first place from here whose character is not skipped, or the end of the text.
pub(super) fn skip(text: &str, at: usize, skipped: impl Fn(char) -> bool) -> usize {
    text[at..].find(|c| !skipped(c)).map_or(text.len(), |length| at + length)
}

/// Returns the first place from here whose character is not skipped, but looks at most `near` bytes ahead.
pub(super) fn skip_near(text: &str, at: usize, near: usize, skipped: impl Fn(char) -> bool) -> usize {
    skip(&text[..floor(text, at + near)], at, skipped)
}

/// Returns the greatest character boundary that is not beyond this place.
pub(super) fn floor(text: &str, mut at: usize) -> usize {
    at = at.min(text.len());
    while !text.is_char_boundary(at) {
        at -= 1;
    }
    at
}
