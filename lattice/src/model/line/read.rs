//! Reading a line: in the short way if it is written as events are, else as a whole.

use std::borrow::Cow;
use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, Error, IgnoredAny, MapAccess, Visitor};
use serde_json::Value;

use super::told::Told;
use crate::model::event::Event;
use crate::model::json;

/// A line that is an event.
#[derive(Debug, Clone)]
pub enum Line<'a> {
    Brief(Brief<'a>),
    /// One that is read in full anyway, or is not as events are written.
    Whole(Event),
}

#[derive(Debug, Clone)]
pub struct Brief<'a> {
    bytes: &'a [u8],
    envelope: Envelope<'a>,
}

impl<'a> Line<'a> {
    /// Those lines are events that [`Event::parse`] takes for events.
    pub fn parse(bytes: &'a [u8]) -> Option<Self> {
        let brief = Envelope::read(bytes).map(|envelope| Self::Brief(Brief { bytes, envelope }));
        // A copy of the whole belongs into another log.
        let brief = brief.filter(|line| !line.is_lifecycle());
        brief.or_else(|| Event::parse(bytes).map(Self::Whole))
    }

    pub fn into_event(self) -> Event {
        match self {
            Self::Brief(brief) => brief.event(),
            Self::Whole(event) => event,
        }
    }

    /// The ID, without a copy where it can be had so.
    pub fn id_text(&self) -> Cow<'a, str> {
        match self {
            Self::Brief(brief) => brief.envelope.id.clone(),
            Self::Whole(event) => event.id().to_owned().into(),
        }
    }
}

impl Brief<'_> {
    fn event(&self) -> Event {
        Event::parse(self.bytes).expect("what has been understood in part is an object")
    }
}

impl Told for Line<'_> {
    fn id(&self) -> &str {
        match self {
            Self::Brief(brief) => &brief.envelope.id,
            Self::Whole(event) => event.id(),
        }
    }

    fn kind(&self) -> &str {
        match self {
            Self::Brief(brief) => &brief.envelope.kind,
            Self::Whole(event) => event.kind(),
        }
    }

    fn mark(&self, key: &str) -> Option<Value> {
        match (self, key) {
            (Self::Brief(brief), "id") => Some(brief.envelope.id.as_ref().into()),
            (Self::Brief(brief), "ts") => Some(brief.envelope.ts.as_ref().into()),
            _ => self.whole().mark(key),
        }
    }

    fn has_role(&self) -> bool {
        match self {
            Self::Brief(brief) => brief.envelope.data.has_role,
            Self::Whole(event) => event.has_role(),
        }
    }

    fn ended_run(&self) -> Option<&str> {
        match self {
            Self::Brief(brief) if self.is_terminal() => brief.envelope.data.started.as_deref(),
            Self::Brief(_) => None,
            Self::Whole(event) => event.ended_run(),
        }
    }

    fn whole(&self) -> Cow<'_, Event> {
        match self {
            Self::Brief(brief) => Cow::Owned(brief.event()),
            Self::Whole(event) => Cow::Borrowed(event),
        }
    }
}

/// Of an event as they are written, with these keys once each and of these types; of any other it cannot be read.
#[derive(Debug, Clone, Deserialize)]
struct Envelope<'a> {
    #[serde(borrow)]
    id: Cow<'a, str>,
    #[serde(borrow)]
    ts: Cow<'a, str>,
    #[serde(borrow, rename = "type")]
    kind: Cow<'a, str>,
    #[serde(borrow)]
    data: Data<'a>,
}

#[derive(Debug, Clone, Default)]
struct Data<'a> {
    has_role: bool,
    started: Option<Cow<'a, str>>,
}

#[derive(Deserialize)]
struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

impl<'a> Envelope<'a> {
    fn read(bytes: &'a [u8]) -> Option<Self> {
        // A list of four would do for a struct, too.
        let is_plain = bytes.first() == Some(&b'{') && json::is_plain(bytes);
        // To look at the whole text once costs less than to look at each of its parts.
        let text = if is_plain { str::from_utf8(bytes).ok()? } else { return None };
        serde_json::from_str(text).ok()
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Data<'a> {
    fn deserialize<D: Deserializer<'de>>(reader: D) -> Result<Self, D::Error> {
        reader.deserialize_map(OfData)
    }
}

struct OfData;

impl<'de> Visitor<'de> for OfData {
    type Value = Data<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Self::Value, A::Error> {
        let (mut role, mut started) = (None, None);
        while let Some(Text(key)) = entries.next_key()? {
            let is_again = match key.as_ref() {
                "role" => role.replace(entries.next_value::<Option<IgnoredAny>>()?).is_some(),
                "started_event_id" => {
                    started.replace(entries.next_value::<Text<'de>>()?.0).is_some()
                }
                _ => entries.next_value::<IgnoredAny>().map(|_| false)?,
            };
            if is_again {
                return Err(A::Error::custom("a key is there twice"));
            }
        }
        Ok(Data { has_role: role.flatten().is_some(), started })
    }
}
