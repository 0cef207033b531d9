//! That a line says what its event says, whatever is in it.

use serde_json::{Value, json};

use super::*;
use crate::model::event::Event;
use crate::model::reduce::{open_runs, replay};

/// A small generator (xorshift) with a fixed beginning: the same lines every time.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % bound as u64).unwrap()
    }

    fn of<'t, T: ?Sized>(&mut self, among: &[&'t T]) -> &'t T {
        among[self.below(among.len())]
    }
}

const KINDS: [&str; 24] = [
    "task_created",
    "task_archived",
    "task_unarchived",
    "task_short_id_assigned",
    "status_changed",
    "assignment_changed",
    "field_updated",
    "comment_added",
    "comment_added",
    "comment_edited",
    "comment_deleted",
    "reaction_added",
    "reaction_removed",
    "relationship_added",
    "relationship_removed",
    "artifact_attached",
    "branch_linked",
    "branch_unlinked",
    "process_started",
    "process_completed",
    "process_failed",
    "x_own",
    "from_the_future",
    r"comment\u005fadded",
];
const KEYS: [&str; 22] = [
    "id",
    "ts",
    "type",
    "data",
    "actor",
    "task_id",
    "role",
    r"r\u006fle",
    "started_event_id",
    "to",
    "from",
    "field",
    "comment_id",
    "artifact_id",
    "branch",
    "repo",
    "body",
    "target_task_id",
    "custom_fields",
    "short_id",
    "title",
    "\u{e9}",
];
const VALUES: [&str; 24] = [
    "null",
    "true",
    "0",
    "-0",
    "1e400",
    "12345678901234567890123",
    "NaN",
    "-Infinity",
    "[]",
    "{}",
    r#""""#,
    r#""ev_01KA00000000000000000000R1""#,
    r#""ev_01KA00000000000000000000R2""#,
    r#""done""#,
    r#""\u00e9\n\"\\""#,
    r#""\ud800""#,
    r#""\ud7ff\ud800""#,
    "\"\u{d7ff}\u{10d800}\"",
    r#""review""#,
    r#"{"role":"review","role":null}"#,
    r#"[null,"ev_01KA00000000000000000000R1"]"#,
    r#"["a","b"]"#,
    r#"{"started_event_id":7}"#,
    r#"{"x":[{"y":"\udc00"}]}"#,
];

fn line(random: &mut Random) -> Vec<u8> {
    let id = random.of(&["R1", "R2", "R3"]);
    let mut keys = vec![
        format!(r#""id":"ev_01KA00000000000000000000{id}""#),
        format!(r#""ts":"T{}""#, random.below(9)),
        format!(r#""type":"{}""#, random.of(&KINDS)),
        format!(r#""data":{{{}}}"#, entries(random).join(",")),
        r#""task_id":"task_01KA00000000000000000000T1","actor":"human:ana""#.to_owned(),
    ];
    if random.below(8) == 0 {
        keys.remove(random.below(5));
    }
    if random.below(8) == 0 {
        keys.append(&mut entries(random));
    }
    let mut line = format!("{{{}}}", keys.join(",")).into_bytes();
    if random.below(8) == 0 {
        let at = random.below(line.len());
        let bytes = *b"\"\\{}[],:0a\xff\xed\x00 ";
        match random.below(3) {
            0 => line[at] = bytes[random.below(bytes.len())],
            1 => line.insert(at, bytes[random.below(bytes.len())]),
            _ => line.truncate(at),
        }
    }
    line
}

fn entries(random: &mut Random) -> Vec<String> {
    (0..random.below(5))
        .map(|_| format!(r#""{}":{}"#, random.of(&KEYS), random.of(&VALUES)))
        .collect()
}

/// Everything that is asked of both.
fn answers(told: &impl Told) -> (&str, &str, Option<&str>, bool, [Option<Value>; 2]) {
    let marks = ["id", "ts"].map(|key| told.mark(key));
    (told.id(), told.kind(), told.ended_run(), told.has_role(), marks)
}

#[track_caller]
fn same(bytes: &[u8]) -> Option<(Event, Line<'_>)> {
    let text = String::from_utf8_lossy(bytes);
    let (event, line) = (Event::parse(bytes), Line::parse(bytes));
    assert_eq!(event.is_some(), line.is_some(), "{text}");
    let (event, line) = (event?, line?);
    assert_eq!(answers(&event), answers(&line), "{text}");
    assert_eq!(*line.whole(), event, "{text}");
    Some((event, line))
}

#[test]
fn a_line_is_the_event_that_it_is() {
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    let (mut events, mut brief) = (0, 0);
    for _ in 0..30_000 {
        let bytes = line(&mut random);
        let Some((_, line)) = same(&bytes) else { continue };
        events += 1;
        brief += usize::from(matches!(line, Line::Brief(_)));
    }
    // Most are events, and many of them in the short way: else this says little.
    assert!(events > 20_000 && brief > 10_000 && brief < events - 5_000, "{brief} of {events}");
}

#[test]
fn a_log_says_the_same_by_its_lines_and_by_its_events() {
    let mut random = Random(0x1234_5678_9abc_def1);
    let mut states = 0;
    for _ in 0..3_000 {
        let created = br#"{"actor":"human:ana","data":{"status":"backlog"},"id":"ev_0","task_id":"task_01KA00000000000000000000T1","ts":"T","type":"task_created"}"#;
        let mut log = vec![created.to_vec()];
        log.extend((0..random.below(12)).map(|_| line(&mut random)));
        let events: Vec<Event> = log.iter().filter_map(|line| Event::parse(line)).collect();
        let lines: Vec<Line<'_>> = log.iter().filter_map(|line| Line::parse(line)).collect();
        let (one, other) = (replay(&events), replay(&lines));
        states += usize::from(one.is_some());
        assert_eq!(one.map(|state| state.file_text()), other.map(|state| state.file_text()));
        assert_eq!(open_runs(&events), open_runs(&lines));
    }
    assert!(states == 3_000);
}

#[test]
fn what_is_deeper_than_anybody_reads_is_no_event() {
    for depth in [10, 126, 127, 128, 500, 990, 1001, 5000] {
        let nested = format!("{}{}", "[".repeat(depth), "]".repeat(depth));
        let line =
            format!(r#"{{"data":{{}},"id":"a","other":{nested},"ts":"T","type":"comment_added"}}"#);
        assert_eq!(same(line.as_bytes()).is_some(), depth < 1000, "{depth}");
        let line =
            format!(r#"{{"data":{{"x":{nested}}},"id":"a","ts":"T","type":"comment_added"}}"#);
        same(line.as_bytes());
    }
}

#[test]
fn a_list_is_no_event_and_no_data() {
    assert!(same(br#"["ev_1","T","comment_added",{}]"#).is_none());
    let (event, _) =
        same(br#"{"data":[null,"ev_1"],"id":"a","ts":"T","type":"process_failed"}"#).unwrap();
    assert_eq!(Told::ended_run(&event), None);
    assert_eq!(event.as_map()["data"], json!([null, "ev_1"]));
}
