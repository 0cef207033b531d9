//! `lattice completions`

use clap::Args;
use clap_complete::Shell;
use clap_complete::env::Shells;

use lattice::model::failure::{Failure, Result};

use super::session::Session;

/// The variable by which a shell asks this program what a word may become.
pub(crate) const VARIABLE: &str = "LATTICE_COMPLETE";

/// A file in `$fpath` is the body of the function `_lattice` (zshmisc(1), AUTOLOADING FUNCTIONS): without this the first
/// Tab would only define what the second one needs.
const ZSH_AUTOLOAD: &str = "
if [[ ${funcstack[1]-} == _lattice ]]; then
    _clap_dynamic_completer_lattice \"$@\"
fi
";

/// Print the script that completes lattice's words in a shell
///
/// Commands and options, and what is there just now: workers, tasks, and runs.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  lattice completions bash > ~/.local/share/bash-completion/completions/lattice
  lattice completions zsh > ~/.local/share/zsh/site-functions/_lattice     (a directory in $fpath)
  lattice completions fish > ~/.config/fish/completions/lattice.fish
  source <(lattice completions bash)                                       (for this shell only)")]
pub(crate) struct CompletionsArgs {
    #[arg(value_enum)]
    shell: Shell,
}

pub(crate) fn completions(session: &Session, args: &CompletionsArgs) -> Result<()> {
    let shells = Shells::builtins();
    let shell = shells
        .completer(&args.shell.to_string())
        .ok_or_else(|| Failure::internal(format!("no completions for {}", args.shell)))?;
    let mut script = Vec::new();
    shell
        .write_registration(VARIABLE, "lattice", "lattice", "lattice", &mut script)
        .map_err(|error| Failure::internal(error.to_string()))?;
    if args.shell == Shell::Zsh {
        script.extend_from_slice(ZSH_AUTOLOAD.as_bytes());
    }
    session.out.bytes(&script)
}
