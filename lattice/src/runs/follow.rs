//! Reading an engine's output back from its log, as it grows or when it is whole.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::model::engine::evidence::Evidence;
use crate::model::engine::preset::{self, Records};
use crate::model::outcome::Told;
use crate::model::run::Spec;
use crate::process::sparse;

/// Whose output it is, and where in the log it begins.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Source {
    engine: String,
    report_from_message: bool,
    from: u64,
}

/// One engine's part of a log, and what has been understood of it.
#[derive(Debug)]
pub struct Follower {
    source: Source,
    preset: &'static preset::Preset,
    log: File,
    offset: u64,
    evidence: Evidence,
}

impl Source {
    fn preset(&self) -> Option<&'static preset::Preset> {
        preset::by_name(&self.engine).filter(|preset| preset.records != Records::None)
    }
}

impl Follower {
    /// `from`: where the engine's own output begins. `None` where its lines mean nothing to us.
    pub fn open(spec: &Spec, log: &Path, from: u64) -> io::Result<Option<Self>> {
        let engine = spec.engine.clone();
        let source = Source { engine, report_from_message: spec.report_from_message, from };
        if source.preset().is_none() {
            return Ok(None);
        }
        let log = fs_err::File::open(log)?.into_file();
        Ok(Self::begin(source, log))
    }

    /// From the beginning of its output.
    pub fn begin(source: Source, log: File) -> Option<Self> {
        let preset = source.preset()?;
        let evidence = Evidence::new(preset.records, source.report_from_message);
        Some(Self { preset, log, offset: source.from, evidence, source })
    }

    pub fn source(&self) -> &Source {
        &self.source
    }

    /// Everything that has come since. Read back instead of passed on: the log is filled by the kernel (splice(2)).
    pub fn catch_up(&mut self) -> io::Result<()> {
        let mut buffer = [0; 16 * 1024];
        // Of a log that grew too long the middle is gone.
        let gap = sparse::gap(&self.log)?.unwrap_or_default();
        loop {
            if gap.contains(&self.offset) {
                self.evidence.skip();
                self.offset = gap.end;
            }
            let ahead = gap.start.checked_sub(self.offset).filter(|&ahead| ahead > 0);
            let room = ahead.map_or(buffer.len(), |ahead| {
                usize::try_from(ahead).map_or(buffer.len(), |ahead| ahead.min(buffer.len()))
            });
            match self.log.read_at(&mut buffer[..room], self.offset) {
                Ok(0) => return Ok(()),
                Ok(count) => {
                    self.evidence.feed(&buffer[..count]);
                    self.offset += count as u64;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// How many records there were when it told its result; `None` while it is at work.
    pub fn settled(&self) -> Option<u64> {
        let account = self.evidence.account();
        account.is_settled().then_some(account.records)
    }

    /// Whether it stays on purpose behind its result.
    pub fn waits(&self) -> bool {
        self.evidence.account().waits
    }

    pub fn finish(self) -> Told {
        Told { engine: self.preset.kind, account: self.evidence.finish() }
    }
}
