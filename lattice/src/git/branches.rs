//! The names of local branches, without starting git, and the tasks that they are named after.

use std::io;
use std::path::Path;

use fs_err::DirEntry;

const PREFIX: &str = "refs/heads";

/// In the order of git: by their bytes. A name that is not text is passed over, and so is a repository that keeps
/// its branches in another way than as files (git-init(1), `--ref-format`).
pub fn local(common_dir: &Path) -> io::Result<Vec<String>> {
    let mut names = Vec::new();
    collect(&common_dir.join(PREFIX), "", &mut names)?;
    match fs_err::read(common_dir.join("packed-refs")) {
        Ok(packed) => {
            let packed = String::from_utf8_lossy(&packed).into_owned();
            let refs = packed.lines().filter_map(|line| line.split_once(' '));
            let heads = refs.filter_map(|(_, name)| name.strip_prefix(PREFIX)?.strip_prefix('/'));
            names.extend(heads.map(str::to_owned));
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(error),
    }
    names.sort();
    names.dedup();
    Ok(names)
}

/// A branch `a/b` is the file `b` in the directory `a`.
fn collect(dir: &Path, above: &str, names: &mut Vec<String>) -> io::Result<()> {
    let entries = match fs_err::read_dir(dir) {
        // All are packed.
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        other => other?,
    };
    for entry in entries {
        let entry: DirEntry = entry?;
        let Ok(name) = entry.file_name().into_string() else { continue };
        let name = format!("{above}{name}");
        if entry.file_type()?.is_dir() {
            collect(&entry.path(), &format!("{name}/"), names)?;
        } else if Path::new(&name).extension() != Some("lock".as_ref()) {
            names.push(name);
        }
    }
    Ok(())
}

/// Whether a text has a short ID in it, in any case: `feat/lat-4-parser` is about `LAT-4` and not about `LAT-42`.
pub fn names_short_id(text: &str, short_id: &str) -> bool {
    let (text, short_id) = (text.to_ascii_uppercase(), short_id.to_ascii_uppercase());
    !short_id.is_empty()
        && text.match_indices(&short_id).any(|(at, found)| {
            let before = text[..at].chars().next_back();
            let after = text[at + found.len()..].chars().next();
            !before.is_some_and(|c| c.is_ascii_alphabetic())
                && !after.is_some_and(|c| c.is_ascii_alphanumeric())
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loose_and_packed_branches_are_one_list() {
        let dir = tempfile::tempdir().unwrap();
        assert!(local(dir.path()).unwrap().is_empty());
        let heads = dir.path().join("refs/heads");
        fs_err::create_dir_all(heads.join("feat")).unwrap();
        for name in ["main", "feat/b", "feat/b.lock"] {
            fs_err::write(heads.join(name), "x").unwrap();
        }
        let packed =
            "# pack-refs with: peeled\n1 refs/heads/feat/a\n1 refs/heads/main\n1 refs/tags/t\n^2\n";
        fs_err::write(dir.path().join("packed-refs"), packed).unwrap();
        assert_eq!(local(dir.path()).unwrap(), ["feat/a", "feat/b", "main"]);
    }

    #[test]
    fn short_ids_are_whole_words() {
        for text in ["feat/LAT-4-parser", "lat-4", "fix-lat-4", "(LAT-4)", "4LAT-4_x"] {
            assert!(names_short_id(text, "LAT-4"), "{text}");
        }
        for text in ["", "LAT-42", "FLAT-4", "LAT-4x", "LAT 4"] {
            assert!(!names_short_id(text, "LAT-4"), "{text}");
        }
        assert!(!names_short_id("x", ""));
    }
}
