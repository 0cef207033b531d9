//! Git's index as a witness: what git saw of each file when it had written it (gitformat-index(5)).
//!
//! Only what a plain checkout leaves is understood. An entry that is hidden, unmerged, sparse or a submodule, and an
//! extension that changes what the entries mean, make the whole of it unreadable: whoever asks is then in doubt.

use std::io::Read;
use std::ops::Range;
use std::path::Path;

/// Bytes of an entry before its object name.
const STAT_BYTES: usize = 40;
const HEADER_BYTES: usize = 12;
/// `assume-valid`, `extended` and the stage.
const UNPLAIN_FLAGS: u16 = 0xF000;
/// Caches of what the entries say; the others say something of their own.
const CACHES: &[&[u8; 4]] = &[b"TREE", b"EOIE", b"IEOT"];

const REGULAR: u32 = 0o100_644;
const EXECUTABLE: u32 = 0o100_755;
const LINK: u32 = 0o120_000;

/// Seconds and nanoseconds, as lstat(2) gave them.
pub type Time = (u32, u32);

/// What lstat(2) said of a file, cut to 32 bits as in the index.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Seen {
    pub changed: Time,
    pub modified: Time,
    pub inode: u32,
    pub mode: u32,
    pub uid: u32,
    pub gid: u32,
    pub size: u32,
}

pub struct Entry {
    pub seen: Seen,
    name: Range<usize>,
    object: Range<usize>,
}

/// The entries, sorted by path as bytes.
pub struct Index {
    entries: Vec<Entry>,
    names: Vec<u8>,
    bytes: Vec<u8>,
}

/// How many entries an index has, by its header alone.
pub fn count(path: &Path) -> Option<u32> {
    let mut header = [0; HEADER_BYTES];
    fs_err::File::open(path).ok()?.read_exact(&mut header).ok()?;
    header.starts_with(b"DIRC").then(|| number(&header, 8))?
}

impl Index {
    /// `object_bytes`: 20 for SHA-1, 32 for SHA-256.
    pub fn parse(bytes: Vec<u8>, object_bytes: usize) -> Option<Self> {
        let (version, count) = (number(&bytes, 4)?, number(&bytes, 8)?);
        if !bytes.starts_with(b"DIRC") || !(2..=4).contains(&version) {
            return None;
        }
        let mut index = Self { entries: Vec::new(), names: Vec::new(), bytes };
        let mut at = HEADER_BYTES;
        for _ in 0..count {
            at = index.take_entry(at, object_bytes, version == 4)?;
        }
        let end = index.bytes.len().checked_sub(object_bytes)?;
        while at < end {
            let signature = index.bytes.get(at..at + 4)?;
            if !CACHES.iter().any(|known| known.as_slice() == signature) {
                return None;
            }
            at = at.checked_add(8)?.checked_add(number(&index.bytes, at + 4)? as usize)?;
        }
        (at == end).then_some(index)
    }

    /// Takes the entry at `at`; the answer is where the next one is.
    fn take_entry(&mut self, at: usize, object_bytes: usize, compressed: bool) -> Option<usize> {
        let word = |index: usize| number(&self.bytes, at + 4 * index);
        let seen = Seen {
            changed: (word(0)?, word(1)?),
            modified: (word(2)?, word(3)?),
            inode: word(5)?,
            mode: word(6)?,
            uid: word(7)?,
            gid: word(8)?,
            size: word(9)?,
        };
        let object = at + STAT_BYTES..at + STAT_BYTES + object_bytes;
        let flags = self.bytes.get(object.end..object.end + 2)?;
        let is_plain = u16::from_be_bytes(flags.try_into().ok()?) & UNPLAIN_FLAGS == 0;
        if !is_plain || ![REGULAR, EXECUTABLE, LINK].contains(&seen.mode) {
            return None;
        }
        let mut from = object.end + 2;
        let begin = self.names.len();
        if compressed {
            let dropped = varint(&self.bytes, &mut from)?;
            let last = self.entries.last().map_or(0..0, |entry: &Entry| entry.name.clone());
            let shared = last.len().checked_sub(dropped)?;
            self.names.extend_from_within(last.start..last.start + shared);
        }
        let length = self.bytes.get(from..)?.iter().position(|byte| *byte == 0)?;
        self.names.extend_from_slice(&self.bytes[from..from + length]);
        self.entries.push(Entry { seen, name: begin..self.names.len(), object });
        // Uncompressed entries are padded with one to eight NULs to a multiple of eight.
        let next = from + length;
        Some(if compressed { next + 1 } else { at + (next - at + 8) / 8 * 8 })
    }

    pub fn len(&self) -> usize {
        self.entries.len()
    }

    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Where a path is, if it is among these.
    pub fn find(&self, within: &Range<usize>, path: &[u8]) -> Option<usize> {
        let entries = self.entries.get(within.clone())?;
        let found = entries.binary_search_by(|entry| self.path(entry).cmp(path));
        found.ok().map(|at| within.start + at)
    }

    /// Which of these are below a directory, whose path ends in a slash.
    pub fn below(&self, within: &Range<usize>, directory: &[u8]) -> Range<usize> {
        let entries = self.entries.get(within.clone()).unwrap_or_default();
        let begin = entries.partition_point(|entry| self.path(entry) < directory);
        let count =
            entries[begin..].partition_point(|entry| self.path(entry).starts_with(directory));
        let begin = within.start + begin;
        begin..begin + count
    }

    pub fn entry(&self, at: usize) -> &Entry {
        &self.entries[at]
    }

    pub fn entries(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        self.entries.iter().map(|entry| (self.path(entry), self.object(entry)))
    }

    pub fn path(&self, entry: &Entry) -> &[u8] {
        &self.names[entry.name.clone()]
    }

    pub fn object(&self, entry: &Entry) -> &[u8] {
        &self.bytes[entry.object.clone()]
    }
}

fn number(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_be_bytes(bytes.get(at..at.checked_add(4)?)?.try_into().ok()?))
}

/// The number of OFS_DELTA pack entries (gitformat-pack(5)).
fn varint(bytes: &[u8], at: &mut usize) -> Option<usize> {
    let mut next = || {
        let byte = *bytes.get(*at)?;
        *at += 1;
        Some(usize::from(byte))
    };
    let mut byte = next()?;
    let mut value = byte & 0x7F;
    while byte & 0x80 != 0 {
        byte = next()?;
        value = (value.checked_add(1)?.checked_mul(128)?) + (byte & 0x7F);
    }
    Some(value)
}
