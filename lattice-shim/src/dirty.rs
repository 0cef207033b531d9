//! Whether the main checkout has changes that the worktree does not see. Only the record says it, and in a large
//! repository git takes its time to find out: it looks beside the run.

use std::time::Duration;

use lattice::git::command;
use lattice::model::failure::Result;
use lattice::process::helper::HelperOutput;

use crate::messages::Message;
use crate::shim::Shim;

const LIMIT: Duration = Duration::from_mins(1);

impl Shim<'_> {
    /// Untracked files are changes, too. Where git cannot say it in time it is not known.
    pub(crate) fn ask_whether_dirty(&mut self) {
        let spec = &self.seat.spec;
        if spec.worktree_path.is_none() {
            return;
        }
        let mut git = command::git(&spec.project_root);
        let own_files = format!(":(exclude,top){}", spec.prefix.join(".lattice").display());
        git.args([
            "--no-optional-locks",
            "status",
            "--porcelain",
            "-z",
            "--ignore-submodules=all",
            "--",
            ":(top)",
        ])
        .arg(own_files);
        drop(self.turns.begin_beside(&git, LIMIT));
    }

    /// What git says of the main checkout, if it has said it.
    pub(crate) fn hear_whether_dirty(&mut self) {
        let answer = self.turns.collect_beside();
        self.note_whether_dirty(answer);
    }

    /// Now at the latest. A stop that comes, or has brought the end, does not wait for it.
    pub(crate) fn settle_whether_dirty(&mut self) -> Result<()> {
        let request = self.seat.run.stop_request();
        let answer = self.turns.await_beside(&|turns| {
            !turns.stops.is_empty() || fs_err::symlink_metadata(&request).is_ok()
        })?;
        self.note_whether_dirty(answer);
        Ok(())
    }

    fn note_whether_dirty(&mut self, answer: Option<(HelperOutput, f64)>) {
        let Some((output, cpu_seconds)) = answer else { return };
        if let Some(gauge) = &mut self.gauge {
            gauge.leave_out(cpu_seconds);
        }
        self.dirty = output.success().then_some(!output.stdout.is_empty());
        if let Some(dirty) = self.dirty {
            self.turns.tell(&Message::Dirty { dirty });
        }
    }
}
