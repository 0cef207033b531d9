//! Artifacts: a payload and its metadata, durable before any event speaks of them.

use std::io::{self, Read};
use std::path::{Component, Path};

use fs_err::os::unix::fs::OpenOptionsExt;
use nix::libc;
use serde_json::{Map, Value, json};

use super::layout::Layout;
use super::log;
use super::replace::{publish_exclusive, replace_with};
use crate::model::event::Event;
use crate::model::failure::{Code, Failure, Result};
use crate::model::ids::{ArtifactId, TaskId};
use crate::model::json;

/// What is known about an artifact before its payload is stored.
#[derive(Debug, Clone, PartialEq)]
pub struct NewArtifact {
    pub id: ArtifactId,
    /// conversation, file, log, note, prompt or reference
    pub kind: String,
    pub title: String,
    pub summary: Option<String>,
    pub content_type: Option<String>,
    /// With its point, such as `.md`; or empty.
    pub extension: String,
    /// The time of the event that will attach it.
    pub created_at: String,
    pub created_by: Value,
    pub model: Option<String>,
    pub sensitive: bool,
    pub custom_fields: Map<String, Value>,
}

/// Stores a payload from memory and gives the metadata. An artifact that is there already with the same kind,
/// title and payload name is left as it is, so that whoever repeats an interrupted step ends with one artifact.
pub fn store_bytes(layout: &Layout, artifact: &NewArtifact, bytes: &[u8]) -> Result<Value> {
    store_reader(layout, artifact, &mut &*bytes)
}

/// Stores a copy of a file, in the way of [`store_bytes`].
pub fn store_file(layout: &Layout, artifact: &NewArtifact, source: &Path) -> Result<Value> {
    let refuse =
        |code, why: &str| Failure::new(code, format!("the source `{}` {why}", source.display()));
    // Without blocking: a named pipe would wait for a writer for ever.
    let opened = fs_err::OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK).open(source);
    let mut file = match opened {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Err(refuse(Code::NotFound, "does not exist"));
        }
        other => other?,
    };
    if !file.metadata()?.is_file() {
        return Err(refuse(Code::ValidationError, "is not a regular file"));
    }
    store_reader(layout, artifact, &mut file)
}

/// Stores everything that can be read, in the way of [`store_bytes`].
pub fn store_reader(
    layout: &Layout,
    artifact: &NewArtifact,
    source: &mut dyn Read,
) -> Result<Value> {
    let name = payload_name(artifact)?;
    if let Some(known) = known(layout, artifact, Some(&name))? {
        return Ok(known);
    }
    layout.ensure_dirs()?;
    let mut size = 0;
    replace_with(&layout.artifact_payloads().join(&name), |file| {
        size = io::copy(source, file)?;
        Ok(())
    })?;
    let payload = json!({"content_type": artifact.content_type, "file": name, "size_bytes": size});
    publish(layout, artifact, metadata(artifact, &payload))
}

/// Stores a URL: metadata without a payload.
pub fn store_reference(layout: &Layout, artifact: &NewArtifact, url: &str) -> Result<Value> {
    let mut custom_fields = artifact.custom_fields.clone();
    custom_fields.insert("url".to_owned(), url.into());
    let artifact = NewArtifact { custom_fields, ..artifact.clone() };
    if let Some(known) = known(layout, &artifact, None)? {
        return Ok(known);
    }
    layout.ensure_dirs()?;
    let payload = json!({"content_type": null, "file": null, "size_bytes": null});
    publish(layout, &artifact, metadata(&artifact, &payload))
}

/// The metadata of an artifact, if it is there.
pub fn read_meta(layout: &Layout, id: &ArtifactId) -> Result<Option<Value>> {
    let path = layout.artifact_meta(id);
    let bytes = match fs_err::read(&path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        other => other?,
    };
    match json::parse_line(&bytes) {
        Some(value @ Value::Object(_)) => Ok(Some(value)),
        _ => Err(Failure::new(
            Code::IoError,
            format!("the artifact metadata `{}` is not a JSON object", path.display()),
        )
        .hint("restore it from git, or move it away and attach the artifact again")),
    }
}

/// Takes an artifact away again that was made for an event which could not be written. Only for an ID that nobody else
/// can know. One that stands in the log after all, or may, stays.
pub fn discard(layout: &Layout, task: &TaskId, artifact: &NewArtifact) {
    let names_it =
        |event: &Event| event.data().get("artifact_id") == Some(&artifact.id.as_str().into());
    let is_known = match log::read_history(layout, task) {
        Ok(Some(history)) => history.events.iter().any(names_it),
        Ok(None) => false,
        Err(_) => true,
    };
    if !is_known {
        // The metadata makes the artifact, so it goes first. What cannot be removed is an artifact of no task.
        drop(fs_err::remove_file(layout.artifact_meta(&artifact.id)));
        drop(
            payload_name(artifact)
                .map(|name| fs_err::remove_file(layout.artifact_payloads().join(name))),
        );
    }
}

/// The metadata makes the artifact: whoever is second uses what the first one published.
fn publish(layout: &Layout, artifact: &NewArtifact, metadata: Value) -> Result<Value> {
    match publish_exclusive(&layout.artifact_meta(&artifact.id), json::pretty(&metadata).as_bytes())
    {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            let name = metadata["payload"]["file"].as_str();
            known(layout, artifact, name)?.ok_or_else(|| error.into())
        }
        other => other.map(|()| metadata).map_err(Failure::from),
    }
}

fn known(layout: &Layout, artifact: &NewArtifact, payload: Option<&str>) -> Result<Option<Value>> {
    let Some(found) = read_meta(layout, &artifact.id)? else { return Ok(None) };
    let url = artifact.custom_fields.get("url").unwrap_or(&Value::Null);
    let same_content = match payload {
        Some(name) => found["payload"]["file"] == name,
        None => found["custom_fields"]["url"] == *url,
    };
    if same_content
        && found["type"] == artifact.kind.as_str()
        && found["title"] == artifact.title.as_str()
    {
        return Ok(Some(found));
    }
    Err(Failure::new(
        Code::Conflict,
        format!("the artifact {} exists with other content", artifact.id),
    )
    .hint("leave out --id to attach it under a new ID"))
}

fn payload_name(artifact: &NewArtifact) -> Result<String> {
    let name = format!("{}{}", artifact.id, artifact.extension);
    let mut components = Path::new(&name).components();
    match (components.next(), components.next()) {
        (Some(Component::Normal(only)), None) if only == name.as_str() => Ok(name),
        _ => Err(Failure::internal(format!("'{}' cannot end a file name", artifact.extension))),
    }
}

fn metadata(artifact: &NewArtifact, payload: &Value) -> Value {
    json!({
        "schema_version": 1,
        "id": artifact.id.as_str(),
        "type": artifact.kind,
        "title": artifact.title,
        "summary": artifact.summary,
        "created_at": artifact.created_at,
        "created_by": artifact.created_by,
        "model": artifact.model,
        "tags": [],
        "payload": payload,
        "token_usage": null,
        "sensitive": artifact.sensitive,
        "custom_fields": artifact.custom_fields,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn artifact() -> NewArtifact {
        NewArtifact {
            id: ArtifactId::parse("art_01KA00000000000000000000A1").unwrap(),
            kind: "note".to_owned(),
            title: "t".to_owned(),
            summary: None,
            content_type: Some("text/markdown".to_owned()),
            extension: ".md".to_owned(),
            created_at: "2026-03-01T10:00:00Z".to_owned(),
            created_by: "human:ana".into(),
            model: None,
            sensitive: false,
            custom_fields: Map::new(),
        }
    }

    fn project() -> (tempfile::TempDir, Layout) {
        let dir = tempfile::tempdir().unwrap();
        let layout = Layout::at(dir.path());
        (dir, layout)
    }

    #[test]
    fn metadata_and_payload() {
        let (_dir, layout) = project();
        let meta = store_bytes(&layout, &artifact(), b"four").unwrap();
        assert_eq!(
            meta["payload"],
            json!({"content_type": "text/markdown", "file": "art_01KA00000000000000000000A1.md", "size_bytes": 4})
        );
        assert_eq!(meta.as_object().unwrap().len(), 13);
        assert_eq!(read_meta(&layout, &artifact().id).unwrap(), Some(meta));
        let payload = layout.artifact_payloads().join("art_01KA00000000000000000000A1.md");
        assert_eq!(fs_err::read(payload).unwrap(), b"four");
    }

    #[test]
    fn the_same_again_changes_nothing_and_another_is_a_conflict() {
        let (_dir, layout) = project();
        let first = store_bytes(&layout, &artifact(), b"four").unwrap();
        let again = NewArtifact { created_at: "2027-03-01T10:00:00Z".to_owned(), ..artifact() };
        assert_eq!(store_bytes(&layout, &again, b"other").unwrap(), first);
        let other = NewArtifact { title: "u".to_owned(), ..artifact() };
        assert_eq!(store_bytes(&layout, &other, b"four").unwrap_err().code(), Code::Conflict);
        assert_eq!(
            store_reference(&layout, &artifact(), "http://x").unwrap_err().code(),
            Code::Conflict
        );
    }

    #[test]
    fn a_payload_without_metadata_is_written_again() {
        let (_dir, layout) = project();
        layout.ensure_dirs().unwrap();
        let payload = layout.artifact_payloads().join("art_01KA00000000000000000000A1.md");
        fs_err::write(&payload, "half").unwrap();
        store_bytes(&layout, &artifact(), b"whole").unwrap();
        assert_eq!(fs_err::read(payload).unwrap(), b"whole");
    }

    #[test]
    fn references_and_files() {
        let (dir, layout) = project();
        let meta = store_reference(&layout, &artifact(), "https://x").unwrap();
        assert_eq!(
            (&meta["payload"]["file"], &meta["custom_fields"]["url"]),
            (&Value::Null, &json!("https://x"))
        );
        assert_eq!(store_reference(&layout, &artifact(), "https://x").unwrap(), meta);
        let file =
            NewArtifact { id: ArtifactId::generate(), extension: String::new(), ..artifact() };
        assert_eq!(
            store_file(&layout, &file, &dir.path().join("none")).unwrap_err().code(),
            Code::NotFound
        );
        assert_eq!(
            store_file(&layout, &file, dir.path()).unwrap_err().code(),
            Code::ValidationError
        );
        fs_err::write(dir.path().join("f"), "abc").unwrap();
        assert_eq!(
            store_file(&layout, &file, &dir.path().join("f")).unwrap()["payload"]["size_bytes"],
            3
        );
    }

    #[test]
    fn an_extension_leads_nowhere_else() {
        let (_dir, layout) = project();
        let evil = NewArtifact { extension: "/../../x".to_owned(), ..artifact() };
        assert_eq!(store_bytes(&layout, &evil, b"").unwrap_err().code(), Code::Internal);
    }
}
