// SPDX-License-Identifier: Apache-2.0
//! A line of the log as one JSON object. Its keys are documented in `docs/operations.md`, and nothing in it is without
//! bound: what registries and certificates say is cut, and has no character that could end a line or hide another.

use std::fmt::{self, Write as _};

use jiff::Timestamp;
use sealwatch_api::text::clip;
use serde::ser::{SerializeMap as _, Serializer as _};
use serde_json::Value;
use tracing::{
    Event, Subscriber,
    field::{Field, Visit},
};
use tracing_subscriber::{
    fmt::{FmtContext, FormatEvent, FormatFields, format::Writer},
    registry::LookupSpan,
};

/// The longest value, in bytes.
const VALUE_MOST: usize = 1024;
/// How much of a value is looked at to make it, in bytes: some characters are left out.
const READ_MOST: usize = 2 * VALUE_MOST;
/// The keys of every line; a field that is called like one gets an underscore.
const OF_EVERY_LINE: [&str; 4] = ["time", "level", "target", "message"];

/// Formats an event as one JSON object in one line. What spans say is left out: events say themselves what they are
/// about.
#[derive(Debug)]
pub(super) struct JsonLine;

impl<S, N> FormatEvent<S, N> for JsonLine
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(&self, _: &FmtContext<'_, S, N>, mut writer: Writer<'_>, event: &Event<'_>) -> fmt::Result {
        let mut fields = Fields::default();
        event.record(&mut fields);
        let target = fields.target.as_deref().unwrap_or_else(|| event.metadata().target());
        let line = line(event.metadata().level().as_str(), target, &fields).map_err(|_| fmt::Error)?;
        writer.write_str(&line)?;
        writer.write_char('\n')
    }
}

fn line(level: &str, target: &str, fields: &Fields) -> Result<String, serde_json::Error> {
    let mut bytes = Vec::new();
    let mut serializer = serde_json::Serializer::new(&mut bytes);
    let mut map = serializer.serialize_map(None)?;
    map.serialize_entry("time", &format!("{:.6}", Timestamp::now()))?;
    map.serialize_entry("level", level)?;
    map.serialize_entry("target", target)?;
    map.serialize_entry("message", &fields.message)?;
    for (name, value) in &fields.others {
        if OF_EVERY_LINE.contains(name) {
            map.serialize_entry(&format!("{name}_"), value)?;
        } else {
            map.serialize_entry(name, value)?;
        }
    }
    map.end()?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// What an event says, each value bounded. How many there are is fixed where the event is written.
#[derive(Debug, Default)]
struct Fields {
    message: String,
    /// Where an event of the crate `log` comes from.
    target: Option<String>,
    others: Vec<(&'static str, Value)>,
}

impl Fields {
    fn put(&mut self, field: &Field, value: Value) {
        match (field.name(), value) {
            ("message", Value::String(text)) => self.message = text,
            ("log.target", Value::String(text)) => self.target = Some(text),
            // Where in somebody else's code.
            (name, _) if name.starts_with("log.") => {}
            (name, value) => self.others.push((name, value)),
        }
    }
}

impl Visit for Fields {
    fn record_f64(&mut self, field: &Field, value: f64) {
        self.put(field, value.into());
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.put(field, value.into());
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.put(field, value.into());
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.put(field, value.into());
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.put(field, bounded(&format_args!("{value}")).into());
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.put(field, bounded(value).into());
    }
}

/// A value as text, without control characters, and cut.
pub(super) fn bounded(value: &dyn fmt::Debug) -> String {
    let mut room = Room(String::new());
    // It fails where the room ends, and what is in it by then is enough.
    let _ = write!(room, "{value:?}");
    clip(&room.0, VALUE_MOST)
}

/// As much of a text as is looked at.
struct Room(String);

impl fmt::Write for Room {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let room = READ_MOST.saturating_sub(self.0.len());
        let (fits, _) = text.split_at_checked(text.floor_char_boundary(room)).unwrap_or_default();
        self.0.push_str(fits);
        if fits.len() < text.len() { Err(fmt::Error) } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use std::{
        io,
        sync::{Arc, Mutex, PoisonError},
    };

    use super::*;

    #[derive(Clone, Default)]
    struct Written(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Written {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    /// The lines that are logged meanwhile.
    fn logged(what: impl FnOnce()) -> Vec<String> {
        let written = Written::default();
        let writer = written.clone();
        let builder = tracing_subscriber::fmt().event_format(JsonLine).with_writer(move || writer.clone());
        tracing::subscriber::with_default(builder.finish(), what);
        let bytes = written.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
        String::from_utf8(bytes).expect("text").lines().map(str::to_owned).collect()
    }

    fn parsed(line: &str) -> Value {
        serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"))
    }

    #[test]
    fn a_line_is_one_object_that_begins_with_the_keys_of_every_line() {
        let lines = logged(|| tracing::warn!(name = "a", count = 3, is = true, none = None::<&str>, "said {}", "so"));
        let [line] = lines.as_slice() else { panic!("{lines:?}") };
        let at: Vec<_> = OF_EVERY_LINE.iter().map(|key| line.find(&format!("\"{key}\":"))).collect();
        assert!(at.is_sorted() && at.iter().all(Option::is_some), "{line}");
        let object = parsed(line);
        assert_eq!((&object["level"], &object["message"]), (&"WARN".into(), &"said so".into()));
        assert_eq!((&object["name"], &object["count"], &object["is"]), (&"a".into(), &3.into(), &true.into()));
        assert!(object.get("none").is_none(), "{line}");
        assert!(object["time"].as_str().is_some_and(|time| time.parse::<Timestamp>().is_ok()), "{line}");
        assert!(object["target"].as_str().is_some_and(|target| target.starts_with("sealwatch")), "{line}");
    }

    #[test]
    fn nobody_else_can_say_what_every_line_says() {
        let lines = logged(|| tracing::info!(level = "ERROR", time = "never", target = "elsewhere", "truth"));
        let object = parsed(&lines[0]);
        assert_eq!((&object["level"], &object["level_"]), (&"INFO".into(), &"ERROR".into()));
        assert_eq!((&object["time_"], &object["target_"]), (&"never".into(), &"elsewhere".into()));
        assert_eq!(lines[0].matches("\"level\":").count(), 1, "{}", lines[0]);
    }

    #[test]
    fn a_panic_is_a_line_that_says_where() {
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(crate::log::panicked));
        let lines = logged(|| {
            let ended = std::panic::catch_unwind(|| panic!("{} went wrong", "it"));
            assert!(ended.is_err());
        });
        std::panic::set_hook(before);
        let [line] = lines.as_slice() else { panic!("{lines:?}") };
        let object = parsed(line);
        assert_eq!((&object["level"], &object["error"]), (&"ERROR".into(), &"it went wrong".into()));
        assert!(object["location"].as_str().is_some_and(|location| location.contains("line.rs:")), "{line}");
    }

    #[test]
    fn what_is_said_neither_ends_the_line_nor_grows_beyond_bound() {
        let hostile = format!("\"}}\n{{\"level\":\"FATAL\"\u{1b}[31m\u{202e}{}", "ü".repeat(1_000_000));
        let lines = logged(|| tracing::error!(error = hostile, debug = ?hostile, display = %hostile, "{hostile}"));
        let [line] = lines.as_slice() else { panic!("{} lines", lines.len()) };
        assert!(line.len() < 5 * VALUE_MOST, "{} bytes", line.len());
        let object = parsed(line);
        for key in ["error", "debug", "display", "message"] {
            let value = object[key].as_str().expect("text");
            assert!(value.len() <= VALUE_MOST && value.ends_with('…'), "{key}: {value}");
            assert!(!value.chars().any(char::is_control) && !value.contains('\u{202e}'), "{key}: {value}");
        }
    }
}
