//! Tells `--version` which commit it was built from: `LATTICE_COMMIT`, else what git says of these sources.
//!
//! Only release builds ask git: a build that is thrown away need not be made again at every commit. Where there is
//! no git, or the sources are no part of a repository, the version stands alone.

use std::path::Path;
use std::process::Command;

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rerun-if-env-changed=LATTICE_COMMIT");
    let version = variable("CARGO_PKG_VERSION").expect("cargo names the version");
    let commit = variable("LATTICE_COMMIT").or_else(|| {
        let is_release = variable("PROFILE").as_deref() == Some("release");
        is_release.then(of_sources).flatten()
    });
    let behind = commit.map(|commit| format!(" ({commit})")).unwrap_or_default();
    println!("cargo:rustc-env=LATTICE_VERSION_TEXT={version}{behind}");
}

/// Its short name and its day, and whether the sources differ from it.
fn of_sources() -> Option<String> {
    // Unpacked inside somebody else's repository they are none of its files.
    git(&["ls-files", "--error-unmatch", "build.rs"])?;
    let name = git(&["log", "-1", "--format=%h %cs", "--abbrev=10"])?;
    let changed = !git(&["status", "--porcelain", "--untracked-files=no", "--", ".."])?.is_empty();
    let watched =
        [git(&["rev-parse", "--git-path", "HEAD"]), git(&["rev-parse", "--git-path", "logs/HEAD"])];
    let sources = ["src", "../lattice-shim/src", "../Cargo.lock"].map(|path| Some(path.to_owned()));
    for path in watched.into_iter().chain(sources).flatten().filter(|path| Path::new(path).exists())
    {
        println!("cargo:rerun-if-changed={path}");
    }
    Some(if changed { format!("{name}, changed") } else { name })
}

#[expect(
    clippy::disallowed_methods,
    reason = "a build script has no other place to start git from"
)]
fn git(words: &[&str]) -> Option<String> {
    let output = Command::new("git").args(words).output().ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

#[expect(clippy::disallowed_methods, reason = "cargo speaks to a build script through variables")]
fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}
