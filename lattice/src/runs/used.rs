//! What agents have used that a run's worker asked by itself: told in a file of the run, counted at its end.

use std::io::Write;
use std::path::Path;

use super::directory::RunDir;
use super::untrusted;
use crate::model::failure::Result;
use crate::model::mask::Mask;
use crate::model::usage::Share;

/// Some thousand agents. What is behind it does not count.
const LONGEST: u64 = 1 << 20;

/// One more, as one write: several may tell at once.
pub fn tell(path: &Path, share: &Share) -> Result<()> {
    let Some(value) = share.to_value() else { return Ok(()) };
    let mut file = fs_err::OpenOptions::new().append(true).create(true).open(path)?;
    Ok(file.write_all(format!("{value}\n").as_bytes())?)
}

/// Without anybody's secrets, and where those are not known without names.
pub(super) fn told(run: &RunDir, mask: Option<&Mask>) -> Vec<Share> {
    let text = untrusted::read(&run.usage(), LONGEST).ok().flatten().unwrap_or_default();
    let mut shares = Share::read(&text);
    for name in shares.iter_mut().flat_map(Share::names) {
        *name = name.take().and_then(|name| Some(mask?.apply(&name)));
    }
    shares
}
