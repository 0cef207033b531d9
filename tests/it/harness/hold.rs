//! Places in a run at which it waits for the test, once each time the test asks for that.

use super::sandbox::Sandbox;

/// A line of shell that becomes `then`, after it has waited for the test as the peer `name` if that was asked for.
pub fn line(sandbox: &Sandbox, name: &str, then: &str) -> String {
    let flag = flag(sandbox, name);
    let connect = format!("connect={name}");
    let held = sandbox.fake_line(&[&connect, "wait", &format!("exec={then}")]);
    format!("rmdir {flag} 2>/dev/null && exec {held}; exec {then}")
}

/// The next one of this name waits.
pub fn once(sandbox: &Sandbox, name: &str) {
    fs_err::create_dir(flag(sandbox, name)).expect("the last one was used up");
}

fn flag(sandbox: &Sandbox, name: &str) -> String {
    sandbox.base.join(format!("hold-{name}")).display().to_string()
}

/// Git asks the peer `checkout` before it writes the file `held`, which is committed here, and the peer `salvage`
/// before it saves a file `precious`.
pub fn git(sandbox: &Sandbox) {
    for (filter, command, name) in
        [("held", "smudge", "checkout"), ("precious", "clean", "salvage")]
    {
        sandbox.git(["config", &format!("filter.{filter}.{command}"), &line(sandbox, name, "cat")]);
        sandbox.git(["config", &format!("filter.{filter}.required"), "false"]);
    }
    sandbox.write(".git/info/attributes", "held filter=held\nprecious filter=precious\n");
    sandbox.write("held", "x\n");
    sandbox.commit("A file to be held at");
}
