//! The terminal that the answer goes to: how big it is, and a second screen on it.

use std::io::{self, Write};

use rustix::termios::tcgetwinsize;

use lattice::model::failure::Result;

use super::out::Out;

/// Columns and rows of a terminal.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Size {
    pub(crate) columns: usize,
    pub(crate) rows: usize,
}

/// `None` where stdout is no terminal, or one that does not say.
pub(crate) fn stdout_size() -> Option<Size> {
    size(io::stdout())
}

pub(crate) fn stderr_size() -> Option<Size> {
    size(io::stderr())
}

fn size(of: impl std::os::fd::AsFd) -> Option<Size> {
    let size = tcgetwinsize(of).ok()?;
    let size = Size { columns: size.ws_col.into(), rows: size.ws_row.into() };
    (size.columns > 0 && size.rows > 0).then_some(size)
}

/// The alternate screen, without a cursor (xterm's ctlseqs: DECSET 1049 and 25). Dropping it, also by a panic,
/// gives the first one back as it was.
pub(crate) struct Alternate<'a> {
    out: &'a Out,
}

impl<'a> Alternate<'a> {
    pub(crate) fn enter(out: &'a Out) -> Result<Self> {
        let screen = Self { out };
        out.bytes(b"\x1b[?1049h\x1b[?25l")?;
        Ok(screen)
    }

    /// Draws over what is there, so that nothing flickers.
    pub(crate) fn show(&self, lines: &[String]) -> Result<()> {
        let mut text = String::from("\x1b[H");
        for (index, line) in lines.iter().enumerate() {
            let begin = if index == 0 { "" } else { "\r\n" };
            text.extend([begin, line, "\x1b[K"]);
        }
        text += "\x1b[J";
        self.out.bytes(text.as_bytes())?;
        self.out.flush()
    }
}

impl Drop for Alternate<'_> {
    fn drop(&mut self) {
        // Straight to the terminal as well: the buffered stream may be the thing that failed.
        let restored = self.out.flush().is_ok();
        let written = io::stdout().write_all(b"\x1b[?25h\x1b[?1049l");
        if !restored || written.and_then(|()| io::stdout().flush()).is_err() {
            // The terminal is gone, and with it what there was to restore.
        }
    }
}
