//! Recorded streams of every engine, cut anywhere, against what they must be understood as.

use super::argv::{Run, argv};
use super::class::Class;
use super::evidence::Evidence;
use super::preset::{self, Preset, Travel};
use super::{Account, verdict};
use crate::model::definition::{Definition, EngineKind, parse};
use crate::model::ids::RunId;
use crate::model::outcome::{Exit, Reason};

macro_rules! stream {
    ($name:literal) => {
        include_bytes!(concat!("../../../../tests/streams/", $name, ".jsonl"))
    };
}

fn account(kind: EngineKind, stream: &[u8]) -> Account {
    let mut evidence = Evidence::new(preset::preset(kind).records, true);
    evidence.feed(stream);
    evidence.finish()
}

const CLEAN: Exit = Exit { code: Some(0), signal: None };

fn exited(code: i32) -> Exit {
    Exit { code: Some(code), signal: None }
}

/// `None`: the engine did its work.
#[track_caller]
fn check(kind: EngineKind, stream: &[u8], exit: Exit, expected: Option<(Reason, Option<Class>)>) {
    let account = account(kind, stream);
    let verdict = verdict::of(preset::preset(kind), &account, exit, false);
    let found = verdict.as_ref().map(|verdict| (verdict.reason, verdict.class));
    assert_eq!(found, expected, "{verdict:?} of {account:?}");
    if let Some(verdict) = verdict {
        assert!(verdict.sentence.chars().count() <= 200, "{}", verdict.sentence);
        assert!(verdict.sentence.starts_with(kind.name()), "{}", verdict.sentence);
    }
}

#[test]
fn work_that_was_done() {
    check(EngineKind::Claude, stream!("claude-fine"), CLEAN, None);
    check(EngineKind::Claude, stream!("claude-background"), CLEAN, None);
    check(EngineKind::Codex, stream!("codex-fine"), CLEAN, None);
    check(EngineKind::Gemini, stream!("gemini-fine"), CLEAN, None);
    check(EngineKind::Opencode, stream!("opencode-fine"), CLEAN, None);
}

#[test]
fn an_exit_of_zero_that_lies() {
    use EngineKind::{Claude, Codex, Gemini, Opencode};
    let denied = Some((Reason::EngineError, Some(Class::Permissions)));
    check(Claude, stream!("claude-denied"), CLEAN, denied);
    check(Codex, stream!("codex-denied"), CLEAN, denied);
    check(Gemini, stream!("gemini-denied"), CLEAN, denied);
    check(Codex, stream!("codex-declined"), CLEAN, denied);
    check(Gemini, stream!("gemini-mode"), CLEAN, denied);
    check(Opencode, stream!("opencode-denied"), CLEAN, denied);
    check(Opencode, stream!("opencode-rule"), CLEAN, denied);
    let unknown = Some((Reason::EngineError, None));
    check(Claude, stream!("claude-interrupted"), CLEAN, unknown);
    check(Opencode, stream!("opencode-length"), CLEAN, unknown);
    check(Opencode, stream!("opencode-model"), CLEAN, unknown);
    let nothing = Some((Reason::NoResult, None));
    check(Codex, stream!("codex-cut"), CLEAN, nothing);
    check(Gemini, stream!("gemini-cut"), CLEAN, nothing);
    check(Opencode, stream!("opencode-cut"), CLEAN, nothing);
    for kind in [Claude, Codex, Gemini, Opencode] {
        check(kind, b"", CLEAN, nothing);
        check(kind, b"{\"type\":", CLEAN, nothing);
        check(kind, b"hello\n[1,2]\n{}\n{\"type\":7}\n\xff\xfe\n", CLEAN, nothing);
    }
}

#[test]
fn an_exit_that_is_not_what_the_record_says() {
    let fine = stream!("claude-fine");
    check(EngineKind::Claude, fine, exited(1), Some((Reason::Exited, None)));
    let killed = Exit { code: None, signal: Some(9) };
    check(EngineKind::Claude, fine, killed, Some((Reason::Signaled, None)));
    check(EngineKind::Codex, stream!("codex-cut"), killed, Some((Reason::Signaled, None)));
    let lingering = account(EngineKind::Claude, fine);
    assert_eq!(verdict::of(preset::preset(EngineKind::Claude), &lingering, killed, true), None);
}

#[test]
fn classes_from_records() {
    use Class::{Auth, Budget, Context, Model, Network, RateLimit, Server};
    use EngineKind::{Claude, Codex, Gemini, Opencode};
    let cases: &[(EngineKind, &[u8], Class)] = &[
        (Claude, stream!("claude-auth"), Auth),
        (Claude, stream!("claude-401"), Auth),
        (Claude, stream!("claude-402"), Budget),
        (Claude, stream!("claude-429"), RateLimit),
        (Claude, stream!("claude-529"), RateLimit),
        (Claude, stream!("claude-500"), Server),
        (Claude, stream!("claude-404"), Model),
        (Claude, stream!("claude-network"), Network),
        (Claude, stream!("claude-budget"), Budget),
        (Claude, stream!("claude-turns"), Budget),
        (Claude, stream!("claude-long"), Context),
        (Codex, stream!("codex-401"), Auth),
        (Codex, stream!("codex-auth"), Auth),
        (Codex, stream!("codex-429"), RateLimit),
        (Codex, stream!("codex-quota"), RateLimit),
        (Codex, stream!("codex-dropped"), Network),
        (Codex, stream!("codex-model"), Model),
        (Codex, stream!("codex-500"), Server),
        (Codex, stream!("codex-long"), Context),
        (Gemini, stream!("gemini-429"), RateLimit),
        (Gemini, stream!("gemini-turns"), Budget),
        (Gemini, stream!("gemini-key"), Auth),
        (Gemini, stream!("gemini-401"), Auth),
        (Gemini, stream!("gemini-403"), Auth),
        (Gemini, stream!("gemini-404"), Model),
        (Gemini, stream!("gemini-500"), Server),
        (Gemini, stream!("gemini-long"), Context),
        (Gemini, stream!("gemini-network"), Network),
        (Opencode, stream!("opencode-401"), Auth),
        (Opencode, stream!("opencode-404"), Model),
        (Opencode, stream!("opencode-402"), Budget),
        (Opencode, stream!("opencode-429"), RateLimit),
        (Opencode, stream!("opencode-500"), Server),
        (Opencode, stream!("opencode-long"), Context),
        (Opencode, stream!("opencode-network"), Network),
    ];
    for (kind, stream, class) in cases {
        check(*kind, stream, exited(1), Some((Reason::EngineError, Some(*class))));
    }
}

#[test]
fn classes_from_last_words_and_exit_codes() {
    use EngineKind::{Claude, Codex, Gemini};
    let cases: &[(EngineKind, &str, i32, Class)] = &[
        (Claude, "error: unknown option '--nope'\n", 1, Class::BadFlags),
        (
            Codex,
            "error: unexpected argument '--full-auto' found\n\nUsage: codex exec\n",
            2,
            Class::BadFlags,
        ),
        (
            Codex,
            "Not inside a trusted directory and --skip-git-repo-check was not specified.\n",
            1,
            Class::Untrusted,
        ),
        (Gemini, "Gemini CLI is not running in a trusted directory.\n", 55, Class::Untrusted),
        (Gemini, "Please set an Auth method in your settings\n", 41, Class::Auth),
        (Gemini, "", 145, Class::Auth),
        (Gemini, "", 173, Class::RateLimit),
        (
            Claude,
            "--dangerously-skip-permissions cannot be used with root/sudo privileges\n",
            1,
            Class::Permissions,
        ),
        (Claude, "Unable to connect to API (ConnectionRefused)\n", 1, Class::Network),
    ];
    for (kind, words, code, class) in cases {
        check(*kind, words.as_bytes(), exited(*code), Some((Reason::Exited, Some(*class))));
    }
}

#[test]
fn sentences_name_the_trouble_and_the_remedy() {
    let sentence = |kind, stream: &[u8], exit| {
        verdict::of(preset::preset(kind), &account(kind, stream), exit, false).unwrap().sentence
    };
    assert_eq!(
        sentence(EngineKind::Claude, stream!("claude-auth"), exited(1)),
        "claude could not sign in: Not logged in · Please run /login; \
         set ANTHROPIC_API_KEY, or CLAUDE_CODE_OAUTH_TOKEN from `claude setup-token`"
    );
    assert_eq!(
        sentence(EngineKind::Claude, stream!("claude-denied"), CLEAN),
        "claude was not allowed to do its work: 1 tool call denied, of Bash; \
         allow it in `args`, or in its settings"
    );
    assert_eq!(
        sentence(EngineKind::Codex, b"warming up\nerror: something odd\nbye\n", exited(4)),
        "codex left no result record and exited 4: error: something odd; see its log"
    );
    assert_eq!(
        sentence(EngineKind::Claude, stream!("claude-fine"), exited(7)),
        "claude reported success, but exited 7"
    );
}

#[test]
fn what_was_used_and_said_last() {
    let usage = |kind, stream: &[u8]| account(kind, stream).usage.to_value().unwrap().to_string();
    let id = "00000000-0000-4000-8000-000000000001";
    assert_eq!(
        usage(EngineKind::Claude, stream!("claude-fine")),
        format!(
            r#"{{"cached_input_tokens":8000,"cost_usd":0.0158,"input_tokens":11000,"model":"claude-opus-5-5","output_tokens":80,"session_id":"{id}","turns":2}}"#
        )
    );
    // Turns of all results, and tokens of all models, also where a limit has made the last ones 0.
    assert_eq!(
        usage(EngineKind::Claude, stream!("claude-background")),
        format!(
            r#"{{"cached_input_tokens":12000,"cost_usd":0.0237,"input_tokens":16500,"model":"claude-opus-5-5","output_tokens":120,"session_id":"{id}","turns":3}}"#
        )
    );
    assert_eq!(
        usage(EngineKind::Claude, stream!("claude-budget")),
        format!(
            r#"{{"cached_input_tokens":4000,"cost_usd":0.0079,"input_tokens":5500,"model":"claude-opus-5-5","output_tokens":40,"session_id":"{id}","turns":1}}"#
        )
    );
    assert_eq!(
        usage(EngineKind::Codex, stream!("codex-fine")),
        format!(
            r#"{{"cached_input_tokens":8000,"input_tokens":11000,"output_tokens":80,"session_id":"{id}","turns":1}}"#
        )
    );
    assert_eq!(
        usage(EngineKind::Gemini, stream!("gemini-fine")),
        format!(
            r#"{{"cached_input_tokens":8000,"input_tokens":11000,"model":"gemini-2.5-pro","output_tokens":80,"session_id":"{id}"}}"#
        )
    );
    assert_eq!(
        usage(EngineKind::Opencode, stream!("opencode-fine")),
        r#"{"cached_input_tokens":8000,"cost_usd":0.0102,"input_tokens":11000,"output_tokens":80,"session_id":"ses_0000000001","turns":2}"#
    );
    for (kind, stream) in [
        (EngineKind::Claude, &stream!("claude-fine")[..]),
        (EngineKind::Claude, stream!("claude-background")),
        (EngineKind::Codex, stream!("codex-fine")),
        (EngineKind::Gemini, stream!("gemini-fine")),
        (EngineKind::Opencode, stream!("opencode-fine")),
    ] {
        let message = account(kind, stream).message.unwrap();
        assert_eq!(message, "The change is fine.\n\nNothing to add.", "{kind:?}");
    }
}

#[test]
fn a_stream_means_the_same_wherever_it_is_cut_and_whatever_is_between_its_lines() {
    let whole: &[u8] = stream!("opencode-fine");
    let expected = account(EngineKind::Opencode, whole);
    for size in [1, 2, 3, 7, 64, 1000] {
        let mut evidence = Evidence::new(preset::Records::Opencode, true);
        whole.chunks(size).for_each(|piece| evidence.feed(piece));
        assert_eq!(evidence.finish(), expected, "pieces of {size}");
    }
    let text = String::from_utf8(whole.to_vec()).unwrap();
    let lines = text.lines().map(|line| ["warning: \u{fffd} ", line, "\r\n\r\nnoise\n"].concat());
    let noisy: String = lines.collect();
    let noisy = account(EngineKind::Opencode, noisy.as_bytes());
    assert_eq!(
        (noisy.usage, noisy.outcome, noisy.message),
        (expected.usage, expected.outcome, expected.message)
    );
    // Only those since the last step began.
    assert_eq!(noisy.words, ["warning: \u{fffd}", "noise"].repeat(3));
}

#[test]
fn invalid_utf_8_in_a_record_does_not_lose_it() {
    let mut bytes = stream!("claude-fine").to_vec();
    let at = bytes.windows(4).position(|four| four == b"fine").unwrap();
    bytes[at] = 0xff;
    let at = bytes.windows(7).rposition(|seven| seven == b"Nothing").unwrap();
    bytes[at] = 0xfe;
    check(EngineKind::Claude, &bytes, CLEAN, None);
    assert!(account(EngineKind::Claude, &bytes).message.unwrap().contains("\u{fffd}othing"));
}

#[test]
fn a_result_is_not_the_last_word_while_work_goes_on() {
    let whole: &[u8] = stream!("claude-background");
    let results: Vec<_> = (0..whole.len())
        .filter(|at| whole[..*at].ends_with(b"\n"))
        .map(|end| account(EngineKind::Claude, &whole[..end]))
        .map(|account| (account.is_settled(), account.waits))
        .collect();
    let mut steps = results.clone();
    steps.dedup();
    // At work, then with a task in the background, a result, no task any more, and at work again.
    let expected = [(false, false), (false, true), (true, true), (true, false), (false, false)];
    assert_eq!(steps, expected);
    let end = account(EngineKind::Claude, whole);
    assert!(end.is_settled() && !end.waits);
}

/// An agent that answers with its help was called wrongly, whatever else it speaks of there.
#[test]
fn help_is_no_work() {
    let flags = Some((Reason::Exited, Some(Class::BadFlags)));
    check(EngineKind::Gemini, stream!("gemini-flags"), exited(1), flags);
    check(EngineKind::Opencode, stream!("opencode-flags"), exited(1), flags);
    let said = |kind, stream: &[u8]| {
        verdict::of(preset::preset(kind), &account(kind, stream), exited(1), false)
            .unwrap()
            .sentence
    };
    let sentence = said(EngineKind::Gemini, stream!("gemini-flags"));
    assert!(sentence.contains(": Unknown arguments: full-auto, fullAuto; "), "{sentence}");
    let sentence = said(EngineKind::Opencode, stream!("opencode-flags"));
    assert!(sentence.contains(": it answered with its help; "), "{sentence}");
}

/// It tells that on standard error, with traces that are longer than all that is kept of words.
#[test]
fn what_an_agent_was_waiting_for() {
    let waiting = account(EngineKind::Gemini, stream!("gemini-retries"));
    let trouble = verdict::last_trouble(&waiting).unwrap();
    assert!(trouble.starts_with("Attempt 3 failed with status 429."), "{trouble}");
    let offline = account(EngineKind::Codex, stream!("codex-offline"));
    let trouble = verdict::last_trouble(&offline).unwrap();
    assert!(trouble.contains("waiting for network"), "{trouble}");
}

fn definition(keys: &str) -> Definition {
    parse(format!(r#"{{"name": "W", "prompt_file": "p", {keys}}}"#).as_bytes()).unwrap()
}

#[track_caller]
fn line(keys: &str) -> String {
    let definition = definition(keys);
    let id = RunId::parse("ev_01ARZ3NDEKTSV4RRFFQ69G5FAV").unwrap();
    let run = Run { id: &id, cwd: "/w".as_ref(), prompt: Some(("-x", "/p".as_ref())) };
    argv(preset::preset(definition.engine), &definition, &run).join(" ")
}

#[test]
fn command_lines() {
    let session = "01563e3a-b5d3-4676-8c61-efb99302bd5b";
    assert_eq!(
        line(r#""engine": "claude", "model": "opus", "args": ["--max-turns", "9"]"#),
        format!(
            "claude -p --dangerously-skip-permissions --output-format stream-json --verbose \
             --session-id {session} --model opus --max-turns 9"
        )
    );
    assert_eq!(
        line(
            r#""engine": "claude", "command": ["npx", "claude"], "args": ["--permission-mode=plan"]"#
        ),
        format!(
            "npx claude -p --output-format stream-json --verbose --session-id {session} --permission-mode=plan"
        )
    );
    assert_eq!(
        line(r#""engine": "codex", "model": "o"  "#),
        "codex exec --json -C /w --skip-git-repo-check --dangerously-bypass-approvals-and-sandbox -m o -"
    );
    assert_eq!(
        line(r#""engine": "codex", "args": ["-s", "workspace-write"]"#),
        "codex exec --json -C /w --skip-git-repo-check -s workspace-write -"
    );
    assert_eq!(
        line(r#""engine": "codex", "args": ["--yolo"]"#),
        "codex exec --json -C /w --skip-git-repo-check --yolo -"
    );
    assert_eq!(
        line(r#""engine": "gemini", "model": "pro""#),
        "gemini --approval-mode yolo --skip-trust -o stream-json -m pro"
    );
    assert_eq!(line(r#""engine": "opencode""#), "opencode run --format json --dir /w --auto");
    assert_eq!(line(r#""command": "make x", "args": ["y"]"#), "bash -c make x W y");
    assert_eq!(
        line(r#""engine": "gemini", "command": "nice gemini""#),
        "bash -c nice gemini \"$@\" W --approval-mode yolo --skip-trust -o stream-json"
    );
}

#[test]
fn a_prompt_that_can_only_be_an_argument() {
    let preset = Preset { prompt: Travel::Argument("--"), ..*preset::preset(EngineKind::Opencode) };
    let definition = definition(r#""engine": "opencode""#);
    let id = RunId::generate();
    let last = |text: &str| {
        let run = Run { id: &id, cwd: "/w".as_ref(), prompt: Some((text, "/p".as_ref())) };
        argv(&preset, &definition, &run).split_off(7)
    };
    assert_eq!(last("-x"), ["--", "-x"]);
    assert_eq!(last(&"y".repeat(300_000)), ["--", "Read the file /p and do what it says."]);
}

#[test]
fn the_table_has_every_engine_once() {
    let kinds: Vec<_> = preset::TABLE.iter().map(|preset| preset.kind).collect();
    assert_eq!(kinds, EngineKind::ALL);
}
