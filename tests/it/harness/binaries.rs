//! Where the binaries under test are: `LATTICE_BIN_DIR`, else built once, beside the test executable.

use std::env;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use super::call::command;

/// The directory that holds `lattice`, `lattice-shim` and `fake-engine`.
pub fn directory() -> &'static Path {
    static DIRECTORY: OnceLock<PathBuf> = OnceLock::new();
    DIRECTORY.get_or_init(|| match variable("LATTICE_BIN_DIR") {
        Some(given) => fs_err::canonicalize(given).expect("LATTICE_BIN_DIR is a directory"),
        None => build(),
    })
}

/// The target directory of the tests themselves.
pub fn target() -> PathBuf {
    let executable = env::current_exe().expect("the running test knows its path");
    executable.ancestors().nth(3).expect("cargo puts tests into <target>/<profile>/deps").to_owned()
}

pub fn lattice() -> PathBuf {
    directory().join("lattice")
}

pub fn fake_engine() -> String {
    fake("fake-engine")
}

/// The root of the workspace.
pub fn workspace() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("the package is a folder of the workspace")
}

/// `cargo test --workspace` builds no binary of another package, so a stale one would be tested without this.
fn build() -> PathBuf {
    let executable = env::current_exe().expect("the running test knows its path");
    let profile =
        executable.ancestors().nth(2).expect("cargo puts tests into <target>/<profile>/deps");
    let target = profile.parent().expect("the profile is a folder of the target directory");
    let mut cargo = command(variable("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.args([
        "build",
        "-q",
        "--bins",
        "-p",
        "lattice",
        "-p",
        "lattice-shim",
        "-p",
        "lattice-tests",
    ]);
    if profile.ends_with("release") {
        cargo.arg("--release");
    }
    cargo.current_dir(workspace()).env("CARGO_TARGET_DIR", target);
    let status = cargo.status().expect("cargo starts");
    assert!(status.success(), "cargo build of the binaries under test: {status}");
    profile.to_owned()
}

/// A program of this package's fakes.
pub fn fake(name: &str) -> String {
    directory().join(name).into_os_string().into_string().expect("the target directory is UTF-8")
}

#[expect(
    clippy::disallowed_methods,
    reason = "a test's settings are variables, read here and nowhere else"
)]
pub fn variable(name: &str) -> Option<OsString> {
    env::var_os(name)
}
