//! `lattice attach`

use std::path::{Path, PathBuf};

use clap::{Args, ValueHint};
use serde_json::{Map, Value};

use lattice::model::event::{ARTIFACT_ATTACHED, Event};
use lattice::model::failure::{Code, Failure, Result};
use lattice::model::ids::{ArtifactId, TaskId};
use lattice::storage::artifact::{
    NewArtifact, discard, read_meta, store_bytes, store_file, store_reference,
};

use super::change::{Change, one_of};
use super::freshness::{custom_fields, reviewed_commit};
use super::identity::{WriteArgs, now};
use super::session::Session;
use crate::render;

const KINDS: [&str; 6] = ["conversation", "file", "log", "note", "prompt", "reference"];

/// Attach a file, a URL or a text to a task
///
/// A file is copied into .lattice/artifacts; a URL is only noted down.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  lattice attach LAT-42 crash.log --type log --actor human:ana
  lattice attach LAT-42 https://example.org/rfc --title \"The RFC\" --actor human:ana
  lattice attach LAT-42 --inline \"Looks good\" --role review --actor agent:claude")]
pub(crate) struct AttachArgs {
    /// Short ID (LAT-42) or full ID of the task
    #[arg(value_name = "TASK")]
    task: String,
    /// A file, or a URL that begins with http:// or https://
    #[arg(value_hint = ValueHint::AnyPath)]
    source: Option<String>,
    /// conversation, file, log, note, prompt or reference [default: by the source]
    #[arg(long = "type", value_name = "TYPE")]
    kind: Option<String>,
    /// What it is called [default: the file's name, the URL]
    #[arg(long)]
    title: Option<String>,
    /// What is in it, in short
    #[arg(long, value_name = "TEXT")]
    summary: Option<String>,
    /// Mark it as not for everybody's eyes
    #[arg(long)]
    sensitive: bool,
    /// What it counts as, for example review
    #[arg(long)]
    role: Option<String>,
    /// A text instead of a file
    #[arg(long, value_name = "TEXT")]
    inline: Option<String>,
    /// An ID of your own, art_ and a ULID; doing it again is success and changes nothing
    #[arg(long, value_name = "ARTIFACT_ID")]
    id: Option<String>,
    #[command(flatten)]
    write: WriteArgs,
}

/// What the payload is taken from.
enum Source {
    File(PathBuf),
    Url(String),
    Text(String),
}

pub(crate) fn attach(session: &Session, args: &AttachArgs) -> Result<()> {
    let source = source(args)?;
    let change = Change::new(session, &args.write)?;
    change.check_role(args.role.as_deref())?;
    let task = change.task(&args.task)?;
    // Evidence is about a state of the project.
    let commit = args.role.as_ref().and_then(|_| reviewed_commit(session, &change.layout));
    let mut artifact = describe(&change, args, &source)?;
    artifact.custom_fields = custom_fields(commit.as_deref());
    // Before anything is copied: a task that cannot be changed refuses.
    drop(change.begin(&task)?);
    let stored = stored(&change, &artifact, &source);
    let recorded = stored.and_then(|metadata| {
        record(&change, &task, args, &artifact).map(|event| (metadata, event))
    });
    let (metadata, event) = recorded.inspect_err(|_| {
        if args.id.is_none() {
            discard(&change.layout, &task, &artifact);
        }
    })?;
    let human = if let Some(event) = event {
        change.fire(&[event])?;
        render::task::attached(&artifact, &task)
    } else {
        format!("Artifact {} already exists (idempotent).", artifact.id)
    };
    session.out.answer(metadata, &artifact.id, human)
}

/// Durable before the event speaks of it, and without the task's locks, because it may be large. A crash in between
/// leaves an artifact that no task has; the same --id takes it up again.
fn stored(change: &Change<'_>, artifact: &NewArtifact, source: &Source) -> Result<Value> {
    match read_meta(&change.layout, &artifact.id)? {
        Some(stored) => check_same(stored, artifact, source),
        None => store(change, artifact, source),
    }
}

fn source(args: &AttachArgs) -> Result<Source> {
    let refuse = |message: &str| Failure::new(Code::ValidationError, message);
    match (&args.source, &args.inline) {
        (Some(_), Some(_)) => {
            Err(refuse("there is a source and an --inline text; only one of them can be meant")
                .hint("leave one of them out"))
        }
        (None, None) => Err(refuse("there is nothing to attach")
            .hint("name a file or a URL behind the task, or give a text with --inline")),
        (None, Some(text)) => Ok(Source::Text(text.clone())),
        (Some(url), None) if url.starts_with("http://") || url.starts_with("https://") => {
            Ok(Source::Url(url.clone()))
        }
        (Some(path), None) if Path::new(path).is_file() => Ok(Source::File(path.into())),
        (Some(path), None) => {
            Err(Failure::new(Code::NotFound, format!("there is no file '{path}'"))
                .hint("name a regular file, or a URL that begins with http:// or https://"))
        }
    }
}

fn describe(change: &Change<'_>, args: &AttachArgs, source: &Source) -> Result<NewArtifact> {
    let kinds: &[&str] = if matches!(source, Source::Text(_)) { &["note", "file"] } else { &KINDS };
    let kind = args
        .kind
        .as_deref()
        .map(|kind| one_of("type for this artifact", kind, kinds))
        .transpose()?;
    let (default_kind, default_title, content_type, extension) = match source {
        Source::Text(_) => {
            let title = args
                .role
                .as_deref()
                .map_or_else(|| "inline attachment".to_owned(), |role| format!("Inline: {role}"));
            ("note", title, Some("text/markdown".to_owned()), ".md".to_owned())
        }
        Source::Url(url) => ("reference", url.clone(), None, String::new()),
        Source::File(path) => {
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            ("file", name, content_type(path).map(str::to_owned), extension(path))
        }
    };
    Ok(NewArtifact {
        id: args.id.as_deref().map(parse_id).transpose()?.unwrap_or_else(ArtifactId::generate),
        kind: kind.unwrap_or_else(|| default_kind.to_owned()),
        title: args.title.clone().unwrap_or(default_title),
        summary: args.summary.clone(),
        content_type,
        extension,
        created_at: now(),
        created_by: change.author.actor.as_str().into(),
        model: change.author.model.clone(),
        sensitive: args.sensitive,
        custom_fields: Map::new(),
    })
}

fn store(change: &Change<'_>, artifact: &NewArtifact, source: &Source) -> Result<Value> {
    change.layout.ensure_dirs()?;
    match source {
        Source::File(path) => store_file(&change.layout, artifact, path),
        Source::Text(text) => store_bytes(&change.layout, artifact, text.as_bytes()),
        Source::Url(url) => store_reference(&change.layout, artifact, url),
    }
}

/// Writes the event, with the time that the metadata has; none if the task has the artifact already.
fn record(
    change: &Change<'_>,
    task: &TaskId,
    args: &AttachArgs,
    artifact: &NewArtifact,
) -> Result<Option<Event>> {
    let mut data = Map::new();
    data.insert("artifact_id".to_owned(), artifact.id.as_str().into());
    if let Some(role) = &args.role {
        data.insert("role".to_owned(), role.as_str().into());
    }
    let txn = change.begin(task)?;
    let is_ours = |event: &Event| {
        event.kind() == ARTIFACT_ATTACHED
            && event.data().get("artifact_id") == data.get("artifact_id")
    };
    if txn.events().iter().any(is_ours) {
        return Ok(None);
    }
    let event = change.author.event(
        ARTIFACT_ATTACHED,
        task,
        artifact.created_at.clone(),
        Value::Object(data),
    );
    change.record(txn, std::slice::from_ref(&event))?;
    Ok(Some(event))
}

/// The same ID again means the same thing again, or it is a mistake.
fn check_same(stored: Value, artifact: &NewArtifact, source: &Source) -> Result<Value> {
    let text = |value: &Value| value.as_str().map(str::to_owned);
    let same_payload = match source {
        Source::Url(url) => text(&stored["custom_fields"]["url"]).as_ref() == Some(url),
        _ => {
            text(&stored["payload"]["file"])
                == Some(format!("{}{}", artifact.id, artifact.extension))
        }
    };
    let same_name = text(&stored["type"]).as_ref() == Some(&artifact.kind)
        && text(&stored["title"]).as_ref() == Some(&artifact.title);
    if same_payload && same_name {
        return Ok(stored);
    }
    Err(Failure::new(
        Code::Conflict,
        format!("artifact {} exists and is something else", artifact.id),
    )
    .hint("leave --id out to get a new one"))
}

fn parse_id(text: &str) -> Result<ArtifactId> {
    ArtifactId::parse(text).ok_or_else(|| {
        Failure::new(Code::InvalidId, format!("'{text}' is no artifact ID"))
            .hint("an artifact ID is art_ and a ULID; leave --id out to get a new one")
    })
}

/// The last extension with its point; a name like `.profile` has none.
fn extension(path: &Path) -> String {
    path.extension()
        .and_then(|extension| extension.to_str())
        .map_or_else(String::new, |text| format!(".{text}"))
}

/// The kinds of files that work on a task leaves behind; what is not here has no known type.
fn content_type(path: &Path) -> Option<&'static str> {
    let known = match path.extension()?.to_str()?.to_ascii_lowercase().as_str() {
        "md" | "markdown" => "text/markdown",
        "txt" | "log" | "text" => "text/plain",
        "json" => "application/json",
        "html" | "htm" => "text/html",
        "csv" => "text/csv",
        "xml" => "text/xml",
        "css" => "text/css",
        "js" | "mjs" => "text/javascript",
        "py" => "text/x-python",
        "c" | "h" => "text/x-c",
        "sh" => "application/x-sh",
        "png" => "image/png",
        "jpg" | "jpeg" => "image/jpeg",
        "gif" => "image/gif",
        "svg" => "image/svg+xml",
        "webp" => "image/webp",
        "mp4" => "video/mp4",
        "pdf" => "application/pdf",
        "zip" => "application/zip",
        "gz" | "tgz" => "application/gzip",
        "tar" => "application/x-tar",
        _ => return None,
    };
    Some(known)
}
