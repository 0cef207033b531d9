//! What differs from run to run beside identifiers: short forms of runs and commits, durations, numbers of the system.
//! Each stand-in is as wide as what it stands for, so that columns stay where they are.

/// Fields whose values nobody can foresee, in JSON and as `name: value`.
const MEASURED: [&str; 19] = [
    "age_seconds",
    "boot_id",
    "bytes",
    "cpu_seconds",
    "duration_seconds",
    "engine_pid",
    "file_system",
    "host",
    "lattice_version",
    "max_rss_kb",
    "pgid",
    "pid",
    "pid_namespace",
    "remaining_seconds",
    "start_ticks",
    "store",
    "supervisor_pid",
    "umask",
    "wall_seconds",
];

/// Words behind which a process number comes.
const BEFORE_PID: [&str; 4] = ["PID ", "process ", "warden ", "shim "];

/// `tails`: the last six characters of identifiers that have been seen, and their labels.
pub(super) fn settle(text: &str, tails: &[(String, String)]) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let at_word = !out.ends_with(|c: char| c.is_ascii_alphanumeric());
        let taken = if at_word { token(rest, &out, tails) } else { None };
        let (length, written) = taken.unwrap_or_else(|| (first.len_utf8(), first.to_string()));
        out.push_str(&written);
        rest = &rest[length..];
    }
    out
}

/// The length and the stand-in of what `text` begins with.
fn token(text: &str, before: &str, tails: &[(String, String)]) -> Option<(usize, String)> {
    if let Some(name) = field(before) {
        let length = text.find([',', '\n']).unwrap_or(text.len());
        return MEASURED.contains(&name).then(|| (length, "#".to_owned())).or_else(|| {
            // A number of a field is no commit, however long it is.
            let digits = text.bytes().take_while(u8::is_ascii_digit).count();
            (digits > 0).then(|| (digits, text[..digits].to_owned()))
        });
    }
    let word: &str = text.split(|c: char| !c.is_ascii_alphanumeric()).next().unwrap_or_default();
    let (length, behind) = (word.len(), &text[word.len()..]);
    if let Some((_, label)) = tails.iter().find(|(tail, _)| tail == word) {
        return Some((length, label.clone()));
    }
    let lower = |b: u8| b.is_ascii_digit() || b.is_ascii_lowercase();
    if length == 26 && word.bytes().all(lower) && behind.starts_with('-') {
        let random = behind[1..].bytes().take_while(|b| lower(*b)).count();
        return Some((length + 1 + random, "<worktree>".to_owned()));
    }
    let hexadecimal = word.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
    if hexadecimal && (length == 8 || length == 7 && before.ends_with("@ ")) {
        return Some((length, "<commit>".to_owned()));
    }
    let number = text.bytes().take_while(|b| b.is_ascii_digit() || *b == b'.').count();
    if number == 0 {
        return None;
    }
    if BEFORE_PID.iter().any(|words| before.ends_with(words)) {
        return Some((number, "<pid>".to_owned()));
    }
    // `0.211 s` and the `3s` of an age; `10s` is somebody's choice.
    let is_fraction = text[..number].contains('.') && text[number..].starts_with(" s");
    let is_age = number == 1 && word.len() == 2 && word.ends_with('s');
    (is_fraction || is_age).then(|| (number, "#".to_owned()))
}

/// The name of the field whose value comes next: `"name": ` or, on a line of its own, `name: `.
fn field(before: &str) -> Option<&str> {
    let line = before.rsplit('\n').next().unwrap_or_default();
    let name = line.trim_start().strip_suffix(": ")?;
    let quoted = name.rsplit_once(['{', ' ']).map_or(name, |(_, name)| name);
    let bare = quoted.strip_prefix('"').and_then(|name| name.strip_suffix('"'));
    let is_name = |name: &&str| name.bytes().all(|b| b == b'_' || b.is_ascii_lowercase());
    bare.or(Some(name)).filter(is_name)
}

#[test]
fn what_is_chosen_stays_and_what_is_measured_does_not() {
    let tails = [("J6TXXV".to_owned(), "<~ev3>".to_owned())];
    let text = "HI-1  4s  10s  J6TXXV  3128d5be  (0.211 s) PID 152\n  \"pid\": 15, \"timeout\": 12345678\n\
                \x20 cpu_seconds: 0.009\nw/01m7yqfbb2e33m8nds9898aqsa-q3khfyxd/x 12 bytes, limit: 5";
    let settled = "HI-1  #s  10s  <~ev3>  <commit>  (# s) PID <pid>\n  \"pid\": #, \"timeout\": 12345678\n\
                   \x20 cpu_seconds: #\nw/<worktree>/x 12 bytes, limit: 5";
    assert_eq!(settle(text, &tails), settled);
}
