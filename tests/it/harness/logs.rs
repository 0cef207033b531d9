//! Event logs as the Python tool can write them, made by chance: every type, every odd value, as text.

use std::slice;

use super::random::Random;

const STATUSES: [&str; 11] = [
    "backlog",
    "in_planning",
    "planned",
    "in_progress",
    "review",
    "done",
    "blocked",
    "needs_human",
    "cancelled",
    "shipped",
    "",
];

/// JSON texts of strings: other scripts, astral characters, controls, line ends of Unicode, lone surrogates.
const STRINGS: [&str; 17] = [
    r#""plain""#,
    r#""""#,
    r#""a \"b\" \\ \/ c""#,
    r#""\b\f\n\r\t\u0000\u001f""#,
    r#""\u00e9\u00C9\u4e2d""#,
    r#""\ud83d\ude00""#,
    r#""\udcff""#,
    r#""a\ud83d b\ude00c""#,
    r#""\ude00\ud83d""#,
    r#""\u2028\u2029\u0085""#,
    r#""\u007f\u0080\uffff\ufffe\ufffd""#,
    r#""\ue000\uf8ff\udbff\udfff""#,
    r#""\ud7ff\udbf6\udc00""#,
    "\"\u{e9}\u{4e2d}\u{1f600}\"",
    "\"\u{7f}\u{2603}\"",
    r#""NaN""#,
    r#""</script>'$(x)""#,
];

/// And of everything else.
const SCALARS: [&str; 26] = [
    "null",
    "true",
    "false",
    "0",
    "-0",
    "7",
    "-12",
    "123456789012345678901234567890",
    "-98765432109876543210",
    "18446744073709551616",
    "1.0",
    "-0.0",
    "1.50",
    "1E5",
    "1e-5",
    "0.0001",
    "1e15",
    "1e16",
    "12345678901234567.0",
    "1.7976931348623157e308",
    "5e-324",
    "0.1000000000000000055511151231257827",
    "1e400",
    "NaN",
    "Infinity",
    "-Infinity",
];

const ACTORS: [&str; 5] = [
    r#""human:ana""#,
    r#""agent:b\u00e9""#,
    r#""system:init""#,
    r#"{"agent_type":"x","base_name":"Ana","framework":"f","model":"m","name":"Ana-1","serial":1,"session":"sess_1"}"#,
    r#"{"base_name":"Bo","model":"human","name":"Bo-2","serial":2,"session":"sess_2"}"#,
];

/// The keys of an object, and the texts of their values.
type Fields = Vec<(String, String)>;

/// Makes one log after the other.
pub struct Logs<'a> {
    pub random: &'a mut Random,
    count: usize,
}

/// The log of one task.
pub struct Log {
    pub task: String,
    pub text: String,
    /// What its last word on that is.
    pub is_archived: bool,
}

impl<'a> Logs<'a> {
    pub fn new(random: &'a mut Random) -> Self {
        Self { random, count: 0 }
    }

    pub fn log(&mut self) -> Log {
        self.count += 1;
        let task = format!("task_01KB0000000000000000{:06}", self.count);
        let length = self.random.below(30);
        let created = self.created();
        let mut text = self.line(&task, 0, "task_created", &created);
        let mut is_archived = false;
        for number in 1..=length {
            let (kind, data) = self.step(number);
            match kind.as_str() {
                "task_archived" => is_archived = true,
                "task_unarchived" => is_archived = false,
                _ => {}
            }
            text.push_str(&self.line(&task, number, &kind, &data));
        }
        if self.random.one_in(4) {
            text.push_str(&self.run(&task, length + 1));
        }
        Log { task, text, is_archived }
    }

    /// A run that has ended; of an open one the Python tool knows nothing.
    fn run(&mut self, task: &str, number: usize) -> String {
        let id = quoted(&event_id(self.count, number));
        let worker = ("process_type".to_owned(), quoted("Lint"));
        let started = self.line(task, number, "process_started", slice::from_ref(&worker));
        let end = [worker, ("started_event_id".to_owned(), id)];
        let kind = self.random.pick(&["process_completed", "process_failed"]);
        started + &self.line(task, number + 1, kind, &end)
    }

    /// The envelope, its keys in any order, with a line end of any kind.
    fn line(&mut self, task: &str, number: usize, kind: &str, data: &[(String, String)]) -> String {
        let ts = format!("2026-03-{:02}T10:{:02}:00Z", 1 + number % 28, self.random.below(60));
        let mut fields = vec![
            ("id".to_owned(), quoted(&event_id(self.count, number))),
            ("ts".to_owned(), quoted(&ts)),
            ("type".to_owned(), quoted(kind)),
            ("task_id".to_owned(), quoted(task)),
            ("actor".to_owned(), self.random.pick(&ACTORS).to_owned()),
            ("data".to_owned(), self.object(data)),
        ];
        if !self.random.one_in(9) {
            fields
                .push(("schema_version".to_owned(), self.random.pick(&["1", "1", "7"]).to_owned()));
        }
        if self.random.one_in(5) {
            fields.push(("agent_meta".to_owned(), r#"{"model":"m","session":null}"#.to_owned()));
        }
        if self.random.one_in(5) {
            fields.push(("provenance".to_owned(), format!(r#"{{"reason":{}}}"#, self.string())));
        }
        if self.random.one_in(5) {
            fields.push(("x_future".to_owned(), self.value(2)));
        }
        let line = self.object(&fields);
        let end = self.random.pick(&["\n", "\n", "\n", "\r\n", "\n\n", " \n"]);
        format!("{line}{end}")
    }

    fn created(&mut self) -> Fields {
        let mut data = vec![
            ("title".to_owned(), self.string()),
            ("status".to_owned(), self.status()),
            ("type".to_owned(), quoted(self.random.pick(&["task", "bug", "epic"]))),
            ("priority".to_owned(), quoted(self.random.pick(&["high", "medium"]))),
            ("short_id".to_owned(), quoted(&format!("LAT-{}", self.count + 1))),
        ];
        for key in ["urgency", "complexity", "description", "assigned_to"] {
            if self.random.one_in(2) {
                data.push((key.to_owned(), self.string()));
            }
        }
        if self.random.one_in(3) {
            data.push(("tags".to_owned(), format!("[{},{}]", self.string(), self.string())));
        }
        if self.random.one_in(3) {
            data.push(("custom_fields".to_owned(), self.map(3)));
        }
        data
    }

    fn step(&mut self, number: usize) -> (String, Fields) {
        let kinds = [
            "status", "status", "assign", "field", "field", "comment", "comment", "edit", "delete",
            "react", "link", "link", "unlink", "attach", "branch", "branch", "unbranch", "odd",
        ];
        let known = event_id(self.count, self.random.below(number));
        let known = ("comment_id".to_owned(), quoted(&known));
        let (kind, mut data): (&str, Fields) = match self.random.pick(&kinds) {
            "status" => ("status_changed", self.moved()),
            "assign" => ("assignment_changed", self.change()),
            "field" => ("field_updated", self.field()),
            "comment" => ("comment_added", self.comment()),
            "edit" => ("comment_edited", [self.comment(), vec![known]].concat()),
            "delete" => ("comment_deleted", vec![known]),
            "react" => {
                let emoji = ("emoji".to_owned(), quoted("ok"));
                (self.random.pick(&["reaction_added", "reaction_removed"]), vec![known, emoji])
            }
            "link" => ("relationship_added", self.relationship()),
            "unlink" => ("relationship_removed", self.relationship()),
            "attach" => ("artifact_attached", self.artifact()),
            "branch" => ("branch_linked", self.branch()),
            "unbranch" => ("branch_unlinked", self.branch()),
            _ => return self.odd(),
        };
        if self.random.one_in(6) {
            data.push(("x_more".to_owned(), self.value(2)));
        }
        (kind.to_owned(), data)
    }

    /// Types that change nothing but the bookkeeping, and a second creation, which changes everything.
    fn odd(&mut self) -> (String, Fields) {
        let kind = self.random.pick(&[
            "x_custom",
            "from_the_future",
            "task_archived",
            "task_unarchived",
            "git_event",
            "process_completed",
            "task_short_id_assigned",
            "task_created",
        ]);
        let data = match kind {
            "task_created" => self.created(),
            "task_short_id_assigned" => {
                vec![("short_id".to_owned(), quoted(&format!("LAT-{}", self.count + 1)))]
            }
            "process_completed" => vec![
                ("process_type".to_owned(), quoted("Lint")),
                ("started_event_id".to_owned(), quoted("ev_01JABCDEFGHJKMNPQRSTVWXYZ0")),
            ],
            _ => vec![("v".to_owned(), self.value(3))],
        };
        (kind.to_owned(), data)
    }

    fn moved(&mut self) -> Fields {
        let mut data = vec![("from".to_owned(), self.status()), ("to".to_owned(), self.status())];
        if self.random.one_in(3) {
            data.push(("force".to_owned(), "true".to_owned()));
            data.push(("reason".to_owned(), self.random.pick(&["null", STRINGS[4]]).to_owned()));
        }
        data
    }

    fn change(&mut self) -> Fields {
        let to = if self.random.one_in(3) { "null" } else { self.random.pick(&ACTORS) };
        vec![("from".to_owned(), "null".to_owned()), ("to".to_owned(), to.to_owned())]
    }

    fn field(&mut self) -> Fields {
        let field = self.random.pick(&[
            "title",
            "description",
            "priority",
            "urgency",
            "complexity",
            "type",
            "tags",
            "custom_fields.k",
            "custom_fields.a.b",
            "custom_fields.",
            "artifact_refs",
            "x_extra",
        ]);
        let to = self.value(3);
        vec![
            ("field".to_owned(), quoted(field)),
            ("from".to_owned(), "null".to_owned()),
            ("to".to_owned(), to),
        ]
    }

    fn comment(&mut self) -> Fields {
        let mut data = vec![("body".to_owned(), self.string())];
        if self.random.one_in(2) {
            data.push(("role".to_owned(), self.random.pick(&[r#""review""#, "null"]).to_owned()));
        }
        data
    }

    fn relationship(&mut self) -> Fields {
        let target = format!("task_01KB0000000000000000{:06}", self.random.below(3));
        let mut data = vec![
            ("type".to_owned(), quoted(self.random.pick(&["blocks", "related_to"]))),
            ("target_task_id".to_owned(), quoted(&target)),
        ];
        if self.random.one_in(2) {
            data.push(("note".to_owned(), self.string()));
        }
        data
    }

    fn artifact(&mut self) -> Fields {
        let id = format!("art_{}", self.random.below(4));
        let mut data = vec![("artifact_id".to_owned(), quoted(&id))];
        if self.random.one_in(2) {
            data.push(("role".to_owned(), self.random.pick(&[r#""review""#, "null"]).to_owned()));
        }
        data
    }

    fn branch(&mut self) -> Fields {
        let mut data = vec![("branch".to_owned(), quoted(self.random.pick(&["a", "b/c"])))];
        if self.random.one_in(2) {
            data.push(("repo".to_owned(), self.random.pick(&[r#""r""#, "null"]).to_owned()));
        }
        data
    }

    fn status(&mut self) -> String {
        quoted(self.random.pick(&STATUSES))
    }

    fn string(&mut self) -> String {
        self.random.pick(&STRINGS).to_owned()
    }

    /// Any JSON, and what Python takes for it.
    fn value(&mut self, depth: usize) -> String {
        match self.random.below(if depth == 0 { 5 } else { 7 }) {
            0..=2 => self.random.pick(&SCALARS).to_owned(),
            3 | 4 => self.string(),
            5 => self.map(depth - 1),
            _ => {
                let length = self.random.below(4);
                let items: Vec<_> = (0..length).map(|_| self.value(depth - 1)).collect();
                format!("[{}]", items.join(", "))
            }
        }
    }

    fn map(&mut self, depth: usize) -> String {
        let length = self.random.below(4);
        // Keys may come twice: the last one counts.
        let fields: Vec<_> =
            (0..length).map(|_| format!("{}: {}", self.string(), self.value(depth))).collect();
        format!("{{{}}}", fields.join(" , "))
    }

    /// The keys in any order.
    fn object(&mut self, fields: &[(String, String)]) -> String {
        let mut fields: Vec<_> =
            fields.iter().map(|(key, value)| format!("\"{key}\":{value}")).collect();
        self.random.shuffle(&mut fields);
        format!("{{{}}}", fields.join(","))
    }
}

fn event_id(task: usize, number: usize) -> String {
    format!("ev_01KB00000000000000{task:04}{number:04}")
}

fn quoted(text: &str) -> String {
    format!("\"{text}\"")
}
