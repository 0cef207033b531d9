//! A pseudo-terminal (pty(7)) with a program in its foreground: what it shows, and keys that are typed into it.

use std::io::{Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::process::{Child, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};

use fs_err as fs;
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{Winsize, tcsetwinsize};

use super::call::{Call, command};
use super::waiting::{SOON, eventually};

pub struct Screen {
    child: Child,
    keys: std::fs::File,
    shown: Arc<Mutex<Vec<u8>>>,
    reader: JoinHandle<()>,
}

impl Screen {
    /// Starts the call as the leader of a session whose controlling terminal has so many columns.
    pub fn start(call: Call, columns: u16) -> Self {
        let (argv, environment, directory) = call.parts();
        let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).expect("a pseudo-terminal");
        grantpt(&master).expect("grantpt");
        unlockpt(&master).expect("unlockpt");
        resize(&master, columns);
        let name = ptsname(&master, Vec::new()).expect("ptsname").into_string().expect("ASCII");
        let open = || Stdio::from(terminal(&name));
        let mut setsid = command("setsid");
        // A shell in the background ignores what its keys would send, and hands that on.
        let like_a_shell = ["env", "--default-signal=INT,QUIT"];
        setsid.args(["--ctty", "--wait"]).args(like_a_shell).args(argv).current_dir(directory);
        setsid.env_clear().envs(environment).env("TERM", "xterm");
        let child = setsid.stdin(open()).stdout(open()).stderr(open()).spawn().expect("setsid(1)");
        drop(setsid);
        let shown = Arc::new(Mutex::new(Vec::new()));
        let keys = std::fs::File::from(master);
        let reader = keys.try_clone().expect("a descriptor");
        let sink = Arc::clone(&shown);
        let reader = thread::spawn(move || collect(reader, &sink));
        Self { child, keys, shown, reader }
    }

    /// Somebody draws the window to another width.
    pub fn resize(&self, columns: u16) {
        resize(&self.keys, columns);
    }

    pub fn press(&mut self, keys: &str) {
        self.keys.write_all(keys.as_bytes()).expect("the terminal takes keys");
    }

    /// Everything that was sent to the terminal so far.
    pub fn shown(&self) -> String {
        String::from_utf8_lossy(&self.shown.lock().expect("no reader panics")).into_owned()
    }

    /// Waits until the text has been sent, and answers everything up to then.
    #[track_caller]
    pub fn until(&self, text: &str) -> String {
        eventually(&format!("{text:?} on the screen"), SOON, || {
            let shown = self.shown();
            if shown.contains(text) { Ok(shown) } else { Err(shown) }
        })
    }

    /// Waits until the text has been sent so often.
    #[track_caller]
    pub fn until_times(&self, text: &str, times: usize) -> String {
        eventually(&format!("{times} times {text:?} on the screen"), SOON, || {
            let shown = self.shown();
            if shown.matches(text).count() >= times { Ok(shown) } else { Err(shown) }
        })
    }

    /// The exit status and everything that was shown.
    #[track_caller]
    pub fn finish(mut self) -> (Option<i32>, String) {
        let status = eventually("the program on the screen ends", SOON, || {
            let ended = self.child.try_wait().map_err(|error| error.to_string())?;
            ended.ok_or_else(|| self.shown())
        });
        // What was sent last may still be on its way.
        eventually("the terminal is closed", SOON, || {
            if self.reader.is_finished() { Ok(()) } else { Err(self.shown()) }
        });
        (status.code(), self.shown())
    }
}

fn resize(terminal: impl AsFd, columns: u16) {
    let size = Winsize { ws_row: 24, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
    tcsetwinsize(terminal, size).expect("a window size");
}

fn terminal(name: &str) -> OwnedFd {
    let opened = fs::OpenOptions::new().read(true).write(true).open(name);
    opened.expect("the terminal's other side").into_parts().0.into()
}

fn collect(mut from: std::fs::File, sink: &Mutex<Vec<u8>>) {
    let mut block = [0; 4096];
    // EIO: the last descriptor of the other side has been closed.
    while let Ok(count @ 1..) = from.read(&mut block) {
        sink.lock().expect("no writer panics").extend_from_slice(&block[..count]);
    }
}
