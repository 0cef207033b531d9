//! Real agents, and providers on this machine that they talk to.

use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, Stdio};

use fs_err as fs;
use fs_err::os::unix::fs::symlink;
use serde_json::json;

use super::binaries::{variable, workspace};
use super::call::{Call, command};
use super::sandbox::Sandbox;

/// What no agent may print, and no run keep.
pub const KEY: &str = "sk-planted-0123456789abcdef";

/// `tests/providers/serve.py`, which says what there is to happen.
pub struct Provider {
    child: Child,
    port: String,
}

impl Provider {
    /// `shell` is what its model wants to be run.
    pub fn start(sandbox: &Sandbox, shell: &str) -> Self {
        let script = workspace().join("tests/providers/serve.py");
        let (argv, environment, directory) =
            sandbox.program(["python3".as_ref(), script.as_os_str()]).parts();
        let mut child = command(&argv[0])
            .args(&argv[1..])
            .env_clear()
            .envs(environment)
            .env("PROVIDERS_COMMAND", shell)
            .current_dir(directory)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .expect("there is a Python");
        let mut port = String::new();
        let mut stdout = BufReader::new(child.stdout.take().expect("stdout is a pipe"));
        stdout.read_line(&mut port).expect("it says its port");
        Self { child, port: port.trim().to_owned() }
    }

    /// A call whose agent sees this provider, in which `scene` happens.
    pub fn seen_by(&self, sandbox: &Sandbox, engine: &str, scene: &str, call: Call) -> Call {
        let url = format!("http://127.0.0.1:{}/{scene}", self.port);
        let home = sandbox.base.join("home");
        let configure = |path: &str, text: String| {
            let path = home.join(path);
            fs::create_dir_all(path.parent().expect("a file has a folder")).expect("a home");
            fs::write(path, text).expect("the home is writable");
        };
        match engine {
            "claude" => call
                .env("ANTHROPIC_BASE_URL", url)
                .env("ANTHROPIC_API_KEY", KEY)
                .env("CLAUDE_CODE_MAX_RETRIES", "1"),
            "codex" => {
                configure(".codex/config.toml", codex(&url));
                call.env("CODEX_API_KEY", KEY)
            }
            "gemini" => {
                let settings = json!({
                    "security": {"auth": {"selectedType": "gemini-api-key"}},
                    "privacy": {"usageStatisticsEnabled": false}, "general": {"maxAttempts": 1},
                });
                configure(".gemini/settings.json", settings.to_string());
                call.env("GEMINI_API_KEY", KEY).env("GOOGLE_GEMINI_BASE_URL", url)
            }
            _ => {
                let provider = json!({
                    "npm": "@ai-sdk/openai-compatible", "models": {"m": {"cost": {"input": 3, "output": 15}}},
                    "options": {"baseURL": format!("{url}/v1"), "apiKey": "{env:MOCK_API_KEY}"},
                });
                let settings = json!({
                    "provider": {"mock": provider}, "model": "mock/m", "small_model": "mock/m",
                    "autoupdate": false, "share": "disabled",
                });
                configure(".config/opencode/opencode.json", settings.to_string());
                call.env("MOCK_API_KEY", KEY).env("OPENCODE_DISABLE_MODELS_FETCH", "1")
            }
        }
    }
}

impl Drop for Provider {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

fn codex(url: &str) -> String {
    format!(
        "model = \"m\"\nmodel_provider = \"mock\"\n[model_providers.mock]\nname = \"mock\"\n\
         base_url = \"{url}/v1\"\nenv_key = \"CODEX_API_KEY\"\nwire_api = \"responses\"\n\
         request_max_retries = 1\nstream_max_retries = 1\n"
    )
}

impl Sandbox {
    /// Puts a real agent on the sandbox's PATH; `Err` is the reason where there is none.
    pub fn install_real(&self, engine: &str) -> Result<(), String> {
        let Some(directory) = variable("LATTICE_TEST_AGENTS").map(PathBuf::from) else {
            return Err("LATTICE_TEST_AGENTS names no directory with agents".to_owned());
        };
        let program = directory.join(engine);
        if !program.exists() {
            return Err(format!("{} is not there", program.display()));
        }
        fs::create_dir_all(self.bin()).expect("the sandbox is writable");
        symlink(program, self.bin().join(engine)).expect("the sandbox is writable");
        self.prompt(super::engines::PROMPT);
        Ok(())
    }
}
