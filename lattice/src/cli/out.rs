//! Where a command writes: its answer to stdout, in the one form that was asked for; everything else to stderr.

use std::cell::{Cell, RefCell};
use std::fmt::Display;
use std::io::{self, BufWriter, ErrorKind, Stdout, Write};

use serde_json::{Map, Value};

use lattice::model::failure::{Failure, Result};
use lattice::model::json;

use crate::render::paint::Paint;

/// The forms that an answer can take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    Human,
    Json,
    Quiet,
}

pub(crate) struct Out {
    form: Form,
    pub(crate) paint: Paint,
    pub(crate) error_paint: Paint,
    stdout: RefCell<BufWriter<Stdout>>,
    warnings: RefCell<Vec<String>>,
    /// Data that goes with a failure.
    kept: RefCell<Option<Value>>,
    closed: Cell<bool>,
    /// An envelope ends with an empty line, like that of the Python tool; some of its commands have none.
    blank_line: Cell<bool>,
    answered: Cell<bool>,
}

impl Out {
    pub(crate) fn new(form: Form, paint: Paint, error_paint: Paint) -> Self {
        let stdout = RefCell::new(BufWriter::new(io::stdout()));
        Self {
            form,
            paint,
            error_paint,
            stdout,
            warnings: RefCell::default(),
            kept: RefCell::default(),
            closed: Cell::new(false),
            blank_line: Cell::new(true),
            answered: Cell::new(false),
        }
    }

    pub(crate) fn form(&self) -> Form {
        self.form
    }

    pub(crate) fn is_json(&self) -> bool {
        self.form == Form::Json
    }

    /// The whole answer of a command: one of three forms of the same thing.
    pub(crate) fn answer(
        &self,
        data: Value,
        quiet: impl Display,
        human: impl Display,
    ) -> Result<()> {
        match self.form {
            Form::Json => self.data(data),
            Form::Quiet => self.line(quiet),
            Form::Human => self.line(human),
        }
    }

    /// A success envelope.
    pub(crate) fn data(&self, data: Value) -> Result<()> {
        self.envelope(true, [("data", Some(data))])
    }

    /// A success envelope with something beside the data.
    pub(crate) fn data_beside(&self, data: Value, key: &str, value: Value) -> Result<()> {
        self.envelope(true, [("data", Some(data)), (key, Some(value))])
    }

    /// A failure envelope; with the data, if the command got as far as that.
    pub(crate) fn error(&self, error: Value) -> Result<()> {
        self.envelope(false, [("error", Some(error)), ("data", self.kept.take())])
    }

    /// Keeps an answer that a failure is about to go with.
    pub(crate) fn keep(&self, data: Value) {
        self.kept.replace(Some(data));
    }

    /// The answer tells the failure already: only the exit status is left to say it.
    pub(crate) fn answered(&self) {
        self.answered.set(true);
    }

    pub(crate) fn is_answered(&self) -> bool {
        self.answered.get()
    }

    pub(crate) fn end_without_blank_line(&self) {
        self.blank_line.set(false);
    }

    fn envelope<const N: usize>(&self, ok: bool, parts: [(&str, Option<Value>); N]) -> Result<()> {
        let mut envelope = Map::new();
        envelope.insert("ok".to_owned(), Value::Bool(ok));
        envelope
            .extend(parts.into_iter().filter_map(|(key, value)| Some((key.to_owned(), value?))));
        let warnings = self.warnings.take();
        if !warnings.is_empty() {
            envelope.insert("warnings".to_owned(), warnings.into());
        }
        let text = json::pretty(&Value::Object(envelope));
        if self.blank_line.get() { self.line(text) } else { self.bytes(text.as_bytes()) }
    }

    pub(crate) fn line(&self, text: impl Display) -> Result<()> {
        let mut line = text.to_string();
        line.push('\n');
        self.write(|stdout| stdout.write_all(json::shown(&line).as_bytes()))
    }

    pub(crate) fn bytes(&self, bytes: &[u8]) -> Result<()> {
        self.write(|stdout| stdout.write_all(bytes))
    }

    pub(crate) fn flush(&self) -> Result<()> {
        self.write(Write::flush)
    }

    /// Something that a person should know and that does not stop the command.
    pub(crate) fn warn(&self, text: impl Display) {
        if self.is_json() {
            self.warnings.borrow_mut().push(text.to_string());
        } else {
            self.note(format_args!("{} {text}", self.error_paint.warning("Warning:")));
        }
    }

    pub(crate) fn warn_all(&self, texts: Vec<String>) {
        for text in texts {
            self.warn(text);
        }
    }

    /// A line for the person who watches. Nobody may be there to read it, and that is no failure.
    #[expect(clippy::unused_self, reason = "the place to write is the caller's to give")]
    pub(crate) fn note(&self, text: impl Display) {
        note(text);
    }

    /// Whether the reader of stdout went away: then silence is right, and success.
    pub(crate) fn is_closed(&self) -> bool {
        self.closed.get()
    }

    fn write(&self, write: impl FnOnce(&mut BufWriter<Stdout>) -> io::Result<()>) -> Result<()> {
        write(&mut self.stdout.borrow_mut()).map_err(|error| {
            self.closed.set(self.closed.get() || error.kind() == ErrorKind::BrokenPipe);
            Failure::io("cannot write the answer", error)
        })
    }
}

/// One line to stderr.
pub(crate) fn note(text: impl Display) {
    if writeln!(io::stderr(), "{}", json::shown(&text.to_string())).is_err() {
        // There is no third stream to say so.
    }
}
