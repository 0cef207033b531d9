//! Which of some known words somebody may have meant.

/// The known word most like `word`, without regard to case and dashes: one that begins it or is begun by it, else
/// the one with the fewest edits between them.
pub(crate) fn nearest<'a>(word: &str, known: &[&'a str]) -> Option<&'a str> {
    let word = word.to_lowercase().replace('-', "_");
    let rank = |candidate: &&&str| {
        let related = candidate.starts_with(&word) || word.starts_with(**candidate);
        (!related || word.is_empty(), edits(&word, candidate))
    };
    known.iter().min_by_key(rank).copied()
}

/// Levenshtein's distance: insertions, deletions and replacements of one character.
fn edits(one: &str, other: &str) -> usize {
    let other: Vec<char> = other.chars().collect();
    let mut row: Vec<usize> = (0..=other.len()).collect();
    for (index, left) in one.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = index + 1;
        for (column, right) in other.iter().enumerate() {
            let replaced = diagonal + usize::from(left != *right);
            diagonal = row[column + 1];
            row[column + 1] = replaced.min(diagonal + 1).min(row[column] + 1);
        }
    }
    row[other.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distances() {
        for (one, other, expected) in
            [("", "", 0), ("abc", "", 3), ("kitten", "sitting", 3), ("env", "evn", 2)]
        {
            assert_eq!(edits(one, other), expected, "{one} {other}");
            assert_eq!(edits(other, one), expected, "{other} {one}");
        }
    }

    #[test]
    fn beginnings_come_before_distance() {
        let known = ["actor", "timeout_minutes", "idle_timeout_minutes", "worktree"];
        for (word, expected) in
            [("timeout", "timeout_minutes"), ("work-tree", "worktree"), ("Actro", "actor")]
        {
            assert_eq!(nearest(word, &known), Some(expected), "{word}");
        }
        assert_eq!(nearest("", &known), Some("actor"));
        assert_eq!(nearest("x", &[]), None);
    }
}
