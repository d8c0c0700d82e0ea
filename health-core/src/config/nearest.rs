//! Finds the known word that is nearest to a mistyped word. Pure functions.

/// The length up to which words are compared, in characters.
const LONGEST: usize = 64;

/// Returns the candidate that differs least from a word; `None` if it differs in more than a third of the word's
/// characters.
pub(crate) fn nearest<'c>(word: &str, candidates: impl IntoIterator<Item = &'c str>) -> Option<&'c str> {
    let word = word.to_ascii_lowercase();
    let length = word.chars().count();
    if length > LONGEST {
        return None;
    }
    let near = candidates.into_iter().map(|candidate| (distance(&word, candidate), candidate));
    let (distance, candidate) = near.min_by_key(|(distance, _)| *distance)?;
    (distance <= length.div_ceil(3)).then_some(candidate)
}

/// Returns ` (did you mean "…"?)`, or an empty text.
pub(crate) fn hint<'c>(word: &str, candidates: impl IntoIterator<Item = &'c str>) -> String {
    nearest(word, candidates).map(|candidate| format!(" (did you mean {candidate:?}?)")).unwrap_or_default()
}

/// Returns the Levenshtein distance: the number of characters that must be inserted, removed or replaced.
fn distance(from: &str, to: &str) -> usize {
    let to: Vec<char> = to.chars().take(LONGEST).collect();
    let mut row: Vec<usize> = (0..=to.len()).collect();
    for (position, character) in from.chars().enumerate() {
        let mut before = row[0];
        row[0] = position + 1;
        for (column, other) in to.iter().enumerate() {
            let replaced = before + usize::from(character != *other);
            before = row[column + 1];
            row[column + 1] = replaced.min(before + 1).min(row[column] + 1);
        }
    }
    row[to.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_candidate_is_found_for_a_mistyped_word() {
        let options = ["every", "timeout", "failures", "warn_above"];
        for (word, expected) in [
            ("timeot", Some("timeout")),
            ("TIMEOUT", Some("timeout")),
            ("evry", Some("every")),
            ("warn_abvoe", Some("warn_above")),
            ("interval", None),
            ("", None),
            ("zzzzzz", None),
        ] {
            assert_eq!(nearest(word, options), expected, "{word}");
        }
        assert_eq!(nearest("x", []), None);
        assert_eq!(nearest(&"x".repeat(100_000), options), None);
        assert_eq!(hint("evry", options), " (did you mean \"every\"?)");
    }
}
