//! Black-box tests of both binaries. The list of modules is the plan; each line says what belongs there.

/// What the tests stand on. Tests in it are about the harness itself.
mod harness;

/// That the fake engine and the waits can be trusted: what connects, lives, hides, dies.
mod fakes;
