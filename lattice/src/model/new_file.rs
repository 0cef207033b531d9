//! A file that a project is to get.

use std::borrow::Cow;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewFile {
    /// Below the project root.
    pub path: Cow<'static, str>,
    pub text: Cow<'static, str>,
    pub executable: bool,
}
