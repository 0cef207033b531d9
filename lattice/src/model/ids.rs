//! Identifiers: a prefix and a ULID, kept as the text that was read, because lower case is a valid file name too.

use std::fmt;
use std::hash::{BuildHasher, RandomState};
use std::time::{SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};
use ulid::Ulid;

/// A new ULID, whose end nobody can foresee: the keys of a `RandomState` come from the kernel. A generator of its own
/// would look at the processor first, and in a virtual machine each such look takes longer than all the rest.
pub fn new_ulid() -> Ulid {
    let keys = RandomState::new();
    let random = (u128::from(keys.hash_one(0)) << 64) | u128::from(keys.hash_one(1));
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Ulid::from_parts(u64::try_from(since.as_millis()).unwrap_or_default(), random)
}

macro_rules! id_type {
    ($(#[$doc:meta])* $name:ident, $prefix:literal) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(String);

        impl $name {
            pub const PREFIX: &str = $prefix;

            /// A new, never used identifier.
            pub fn generate() -> Self {
                Self(format!("{}{}", $prefix, new_ulid()))
            }

            /// Accepts what the format allows: the exact prefix and 26 Crockford base-32 characters in any case.
            pub fn parse(text: &str) -> Option<Self> {
                let ulid = text.strip_prefix($prefix)?;
                is_ulid(ulid).then(|| Self(text.to_owned()))
            }

            pub fn as_str(&self) -> &str {
                &self.0
            }

            /// The name of its file with this extension.
            pub fn file_name(&self, extension: &str) -> String {
                [&self.0, ".", extension].concat()
            }

            /// The 26 characters behind the prefix.
            pub fn ulid(&self) -> &str {
                &self.0[$prefix.len()..]
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

id_type!(TaskId, "task_");
id_type!(EventId, "ev_");
id_type!(ArtifactId, "art_");
id_type!(InstanceId, "inst_");
id_type!(
    /// A run is named by the ID of its `process_started` event.
    RunId,
    "ev_"
);

impl RunId {
    /// The one artifact that the end of this run may attach: derived, so that a second ender finds the first one's.
    pub fn report_artifact(&self) -> ArtifactId {
        ArtifactId(format!("{}{}", ArtifactId::PREFIX, self.ulid()))
    }

    /// The same number as a UUID, for tools that want one: with the marks of version 4, which every checker takes,
    /// in place of six of its random bits (RFC 9562).
    pub fn uuid(&self) -> String {
        let number = Ulid::from_string(self.ulid()).map_or(0, |ulid| ulid.0);
        let marked = number & !(0xF << 76) & !(0x3 << 62) | 0x4 << 76 | 0x2 << 62;
        let hex = format!("{marked:032x}");
        [&hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]].join("-")
    }
}

fn is_ulid(text: &str) -> bool {
    text.len() == 26 && text.bytes().all(is_crockford)
}

fn is_crockford(byte: u8) -> bool {
    byte.is_ascii_digit()
        || (byte.is_ascii_alphabetic() && !matches!(byte | 0x20, b'i' | b'l' | b'o' | b'u'))
}
