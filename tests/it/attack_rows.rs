//! Every known attack on the design has a test that is named by it, or a reason in ARCHITECTURE.md why it has none.

use std::collections::BTreeSet;

use fs_err as fs;

use crate::harness::binaries::workspace;
use crate::tidy::sources;

/// F are those that would break a promise in an ordinary interleaving, S serious ones, M minor ones.
const ROWS: [(char, usize); 3] = [('F', 11), ('S', 23), ('M', 19)];

/// The heading of the list, and how a row of it begins.
const HEADING: &str = "\n## Attacks without a test\n";

fn rows() -> impl Iterator<Item = String> {
    ROWS.into_iter()
        .flat_map(|(kind, last)| (1..=last).map(move |number| format!("{kind}{number}")))
}

/// The row that a test is named by: `F3` for `f3_…`.
fn row_of(test: &str) -> Option<String> {
    let (row, _) = test.split_once('_')?;
    let row = row.to_ascii_uppercase();
    rows().any(|known| known == row).then_some(row)
}

/// The functions of a source that are tests.
fn tests(text: &str) -> impl Iterator<Item = &str> {
    text.split("#[test]\n").skip(1).filter_map(|behind| {
        let (_, name) = behind.split_once("fn ")?;
        name.split('(').next()
    })
}

/// The rows that the list names: each line of its table begins with one.
fn excused(architecture: &str) -> BTreeSet<String> {
    let (_, list) = architecture.split_once(HEADING).expect("ARCHITECTURE.md has the list");
    let list = list.split("\n## ").next().unwrap_or_default();
    let cells = list.lines().filter_map(|line| line.strip_prefix("| ")?.split_once(" |"));
    let words = cells.flat_map(|(cell, _)| cell.split([',', ' ']));
    words.filter(|word| rows().any(|row| row == *word)).map(str::to_owned).collect()
}

#[test]
fn every_attack_has_a_test_or_a_reason() {
    let tested: BTreeSet<String> = sources()
        .iter()
        .flat_map(|source| tests(&source.text).filter_map(row_of).collect::<Vec<_>>())
        .collect();
    let architecture = fs::read_to_string(workspace().join("ARCHITECTURE.md")).unwrap();
    let excused = excused(&architecture);
    let neither: Vec<_> =
        rows().filter(|row| !tested.contains(row) && !excused.contains(row)).collect();
    let both: Vec<_> = tested.intersection(&excused).collect();
    assert!(neither.is_empty(), "neither a test nor a reason: {neither:?}");
    assert!(both.is_empty(), "a test and a reason why there is none: {both:?}");
}

#[test]
fn the_check_of_attacks_can_fail() {
    let source = "#[test]\nfn f3_a() {}\n#[test]\n#[cfg(unix)]\nfn m20_b() {}\nfn s1_c() {}\n";
    assert_eq!(tests(source).collect::<Vec<_>>(), ["f3_a", "m20_b"]);
    assert_eq!(tests(source).filter_map(row_of).collect::<Vec<_>>(), ["F3"]);
    assert_eq!(row_of("f3"), None);
    assert_eq!(row_of("f12_x"), None);
    let list = format!(
        "x{HEADING}\nText.\n\n| row | why |\n| --- | --- |\n| M14, M3 | S1 |\n\n## More\n| F1 | x |\n"
    );
    assert_eq!(excused(&list), BTreeSet::from(["M14".to_owned(), "M3".to_owned()]));
}
