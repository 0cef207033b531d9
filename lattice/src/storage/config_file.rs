//! Changing `config.json`: read and replaced under its lock, so that no two changes undo each other.

use serde_json::{Map, Value};

use super::layout::Layout;
use super::lock;
use super::replace::replace;
use super::task::read_config;
use crate::model::config::Config;
use crate::model::failure::Result;

/// The lock key that the Python tool's dashboard takes too.
pub(super) const KEY: &str = "config";

/// Lets `change` see the settings and give those to be set; unknown keys stay. An empty answer writes nothing.
pub fn change(
    layout: &Layout,
    change: impl FnOnce(&Config) -> Result<Map<String, Value>>,
) -> Result<Config> {
    read_config(layout)?;
    let _locks = lock::acquire(layout, &[KEY.to_owned()])?;
    let config = read_config(layout)?;
    let wanted = change(&config)?;
    if wanted.is_empty() {
        return Ok(config);
    }
    let mut raw = config.raw().clone();
    raw.extend(wanted);
    let config = Config::from_value(Value::Object(raw));
    replace(&layout.config(), config.file_text().as_bytes())?;
    Ok(config)
}
