//! Artifacts: a payload and its metadata, durable before any event speaks of them.

use std::io::Read;
use std::path::Path;

use serde_json::{Map, Value};

use super::layout::Layout;
use crate::model::failure::Result;
use crate::model::ids::ArtifactId;

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

/// Stores a payload from memory; gives the metadata.
pub fn store_bytes(layout: &Layout, artifact: &NewArtifact, bytes: &[u8]) -> Result<Value> {
    store_reader(layout, artifact, &mut &*bytes)
}

/// Stores a copy of a file.
pub fn store_file(layout: &Layout, artifact: &NewArtifact, source: &Path) -> Result<Value> {
    todo!()
}

/// Stores everything that can be read.
pub fn store_reader(
    layout: &Layout,
    artifact: &NewArtifact,
    source: &mut dyn Read,
) -> Result<Value> {
    todo!()
}

/// Stores a URL: metadata without a payload.
pub fn store_reference(layout: &Layout, artifact: &NewArtifact, url: &str) -> Result<Value> {
    todo!()
}

/// The metadata of an artifact, if it is there and readable.
pub fn read_meta(layout: &Layout, id: &ArtifactId) -> Result<Option<Value>> {
    todo!()
}
