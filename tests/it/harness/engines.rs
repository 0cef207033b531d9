//! Agents' tools by their names on the sandbox's PATH.

use std::path::{Path, PathBuf};

use fs_err as fs;
use serde_json::{Value, json};

use super::binaries;
use super::sandbox::Sandbox;

/// What the sandbox's agents are asked, where a test does not say it.
pub const PROMPT: &str = "Review {{task.short_id}}.\n";

/// A recorded stream.
pub fn stream(name: &str) -> String {
    let path = binaries::workspace().join(format!("tests/streams/{name}.jsonl"));
    path.into_os_string().into_string().expect("the workspace has a UTF-8 path")
}

impl Sandbox {
    pub fn bin(&self) -> PathBuf {
        self.base.join("bin")
    }

    /// A tool that does these steps once it has accepted its command line, and `prompts/p.md`.
    pub fn install(&self, engine: &str, steps: &[&str]) {
        let bin = self.bin();
        fs::create_dir_all(&bin).expect("the sandbox is writable");
        for (binary, name) in [("stand-in", engine), ("fake-engine", "fake-engine")] {
            link(&binaries::directory().join(binary), &bin.join(name));
        }
        let socket = format!("socket={}", self.socket.path().display());
        let steps: Vec<&str> = [socket.as_str()].into_iter().chain(steps.iter().copied()).collect();
        fs::write(bin.join(format!("{engine}.steps")), steps.join("\n")).expect("it is writable");
        if !self.project.join("prompts/p.md").exists() {
            self.prompt(PROMPT);
        }
    }

    /// `prompts/p.md`, committed where there is a repository.
    pub fn prompt(&self, text: &str) {
        self.write("prompts/p.md", text);
        if self.project.join(".git").exists() {
            self.git(["add", "prompts"]);
            self.git(["commit", "-q", "--allow-empty", "-m", "Ask for something"]);
        }
    }

    /// An agent in a worktree, with further keys.
    pub fn agent(&self, engine: &str, keys: &Value) {
        let mut definition = json!({
            "engine": engine, "worktree": true, "prompt_file": "prompts/p.md", "grace_seconds": 1,
            "env": {"set": {"IS_SANDBOX": "1"}},
        });
        for (key, value) in keys.as_object().expect("keys are an object") {
            definition[key] = value.clone();
        }
        self.worker("Agent", definition);
    }

    /// The end of a run of an agent that prints a stream and exits.
    #[track_caller]
    pub fn agent_ends(&self, engine: &str, name: &str, code: u8) -> Value {
        self.install(engine, &[&format!("cat={}", stream(name)), &format!("exit={code}")]);
        self.agent(engine, &json!({}));
        self.run_to_end("Agent")
    }

    /// What the tool was given.
    #[track_caller]
    pub fn seen(&self, engine: &str) -> Value {
        let bytes = fs::read(self.bin().join(format!("{engine}.seen"))).expect("it was started");
        serde_json::from_slice(&bytes).expect("it notes JSON")
    }
}

/// A tool that is being executed cannot be overwritten, but its name can be given to another one.
fn link(from: &Path, to: &Path) {
    if !to.exists() && fs::hard_link(from, to).is_err() {
        fs::copy(from, to).map(drop).expect("the sandbox has room");
    }
}
