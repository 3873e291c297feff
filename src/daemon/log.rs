//! Log lines for machines: `key=value` or one JSON object a line. What comes from outside cannot end a line, move a
//! cursor or turn the direction of the text, and the same trouble again and again is told only so often.

use std::collections::HashMap;
use std::fmt::{self, Debug, Write as _};
use std::hash::{DefaultHasher, Hasher as _};
use std::sync::Mutex;
use std::time::Duration;

use jiff::Timestamp;
use tokio::time::Instant;
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::registry::LookupSpan;

use super::lock;

/// Characters of one value.
const WIDTH: usize = 500;
/// The same warning is told so often in a window …
const SAME: u32 = 3;
/// … and warnings of one kind so often.
const OF_A_KIND: u32 = 100;
const WINDOW: Duration = Duration::from_secs(60);
/// Kinds and warnings that are remembered.
const REMEMBERED: usize = 2048;

/// How a line is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// `key=value`, quoted where it must be.
    Logfmt,
    /// One object.
    Json,
}

/// Writes the lines.
#[derive(Debug)]
pub struct Line {
    form: Form,
    now: fn() -> Timestamp,
    repeats: Mutex<Repeats>,
}

impl Line {
    /// Lines in this form, with the time of this clock.
    #[must_use]
    pub fn new(form: Form, now: fn() -> Timestamp) -> Self {
        Self {
            form,
            now,
            repeats: Mutex::default(),
        }
    }
}

impl<S, N> FormatEvent<S, N> for Line
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        _: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let mut fields = Fields::default();
        event.record(&mut fields);
        let metadata = event.metadata();
        let mut repeated = 0;
        // Lines that tell what was done are results; only trouble repeats itself without end.
        if *metadata.level() <= Level::WARN {
            let kind = hash(&(metadata.target(), metadata.line()));
            let verdict = lock(&self.repeats).admit(kind, hash(&(kind, &fields.0)), Instant::now());
            match verdict {
                Some(left_out) => repeated = left_out,
                None => return Ok(()),
            }
        }
        let mut line = Row::begin(self.form);
        line.add("time", &Value::Text(format!("{:.3}", (self.now)())));
        line.add(
            "level",
            &Value::Text(metadata.level().as_str().to_ascii_lowercase()),
        );
        for (name, value) in &fields.0 {
            line.add(name, value);
        }
        if repeated > 0 {
            line.add("left_out", &Value::Plain(repeated.to_string()));
        }
        writer.write_str(&line.end())
    }
}

#[derive(Debug, Clone, Hash)]
enum Value {
    /// A number or a truth value.
    Plain(String),
    Text(String),
}

#[derive(Debug, Default)]
struct Fields(Vec<(&'static str, Value)>);

impl Fields {
    fn add(&mut self, field: &Field, value: Value) {
        let name = match field.name() {
            "message" => "msg",
            name => name,
        };
        match name {
            "msg" => self.0.insert(0, (name, value)),
            _ => self.0.push((name, value)),
        }
    }

    fn text(&mut self, field: &Field, text: &str) {
        let cut = match text.char_indices().nth(WIDTH) {
            Some((end, _)) => format!("{}…", &text[..end]),
            None => text.to_owned(),
        };
        self.add(field, Value::Text(cut));
    }
}

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.text(field, &format!("{value:?}"));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.text(field, value);
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.add(field, Value::Plain(value.to_string()));
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.add(field, Value::Plain(value.to_string()));
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.add(field, Value::Plain(value.to_string()));
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.add(
            field,
            match value.is_finite() {
                true => Value::Plain(value.to_string()),
                false => Value::Text(value.to_string()),
            },
        );
    }
}

struct Row {
    form: Form,
    text: String,
}

impl Row {
    fn begin(form: Form) -> Self {
        let text = match form {
            Form::Logfmt => String::new(),
            Form::Json => "{".to_owned(),
        };
        Self { form, text }
    }

    fn add(&mut self, name: &str, value: &Value) {
        let is_first = self.text.len() <= 1;
        let text = &mut self.text;
        // A String never refuses to be written to.
        let _ = match (self.form, value) {
            (Form::Logfmt, value) => {
                let gap = if is_first { "" } else { " " };
                match value {
                    Value::Plain(plain) => write!(text, "{gap}{name}={plain}"),
                    Value::Text(value) if is_bare(value) => write!(text, "{gap}{name}={value}"),
                    Value::Text(value) => write!(text, "{gap}{name}={}", quoted(value)),
                }
            }
            (Form::Json, value) => {
                let gap = if is_first { "" } else { "," };
                match value {
                    Value::Plain(plain) => write!(text, "{gap}\"{name}\":{plain}"),
                    Value::Text(value) => write!(text, "{gap}\"{name}\":{}", quoted(value)),
                }
            }
        };
    }

    fn end(mut self) -> String {
        if self.form == Form::Json {
            self.text.push('}');
        }
        self.text.push('\n');
        self.text
    }
}

fn is_bare(text: &str) -> bool {
    !text.is_empty()
        && text
            .chars()
            .all(|c| c.is_ascii_graphic() && !matches!(c, '"' | '=' | '\\'))
}

/// In quotes, with JSON's escapes; they are what logfmt readers know, too.
fn quoted(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('"');
    for c in text.chars() {
        match c {
            '"' | '\\' => quoted.extend(['\\', c]),
            '\n' => quoted.push_str("\\n"),
            '\r' => quoted.push_str("\\r"),
            '\t' => quoted.push_str("\\t"),
            c if is_unsafe(c) => {
                let mut units = [0; 2];
                for unit in c.encode_utf16(&mut units) {
                    let _ = write!(quoted, "\\u{unit:04x}");
                }
            }
            c => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
}

/// Control characters, line ends, and what turns the direction of text or cannot be seen.
fn is_unsafe(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}')
}

fn hash(value: &impl std::hash::Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    value.hash(&mut hasher);
    hasher.finish()
}

/// How often each warning was told lately.
#[derive(Debug, Default)]
struct Repeats(HashMap<u64, Repeat>);

#[derive(Debug)]
struct Repeat {
    since: Instant,
    told: u32,
    left_out: u64,
}

impl Repeats {
    /// Whether a warning may be told now, and how many like it were left out before.
    fn admit(&mut self, kind: u64, same: u64, now: Instant) -> Option<u64> {
        if self.0.len() >= REMEMBERED {
            self.0.retain(|_, repeat| now - repeat.since < WINDOW);
            if self.0.len() >= REMEMBERED {
                self.0.clear();
            }
        }
        let by_kind = self.count(kind, OF_A_KIND, now);
        let by_line = self.count(same, SAME, now);
        match (by_kind, by_line) {
            (Some(_), Some(left_out)) => Some(left_out),
            _ => None,
        }
    }

    fn count(&mut self, key: u64, limit: u32, now: Instant) -> Option<u64> {
        let new = || Repeat {
            since: now,
            told: 0,
            left_out: 0,
        };
        let repeat = self.0.entry(key).or_insert_with(new);
        let mut left_out = 0;
        if now - repeat.since >= WINDOW {
            left_out = repeat.left_out;
            *repeat = new();
        }
        if repeat.told >= limit {
            repeat.left_out += 1;
            return None;
        }
        repeat.told += 1;
        Some(left_out)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    /// What is written in a scope.
    #[derive(Debug, Clone, Default)]
    struct Sink(Arc<Mutex<Vec<u8>>>);

    impl std::io::Write for Sink {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            lock(&self.0).extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    fn written(form: Form, write: impl FnOnce()) -> String {
        let sink = Sink::default();
        let into = sink.clone();
        let subscriber = tracing_subscriber::fmt()
            .event_format(Line::new(form, || Timestamp::UNIX_EPOCH))
            .with_writer(move || into.clone())
            .finish();
        tracing::subscriber::with_default(subscriber, write);
        let bytes = lock(&sink.0).clone();
        String::from_utf8(bytes).unwrap()
    }

    const HOSTILE: &str = "550 \x1b[31m\"no\"\r\nlevel=error \u{202e}\u{9b}";

    #[test]
    fn logfmt_line_is_one_line_whatever_a_server_says() {
        let line = written(Form::Logfmt, || {
            tracing::info!(run = "01RUN", status = %"fail", text = HOSTILE, duration = 1.5, mx = None::<&str>, "check");
        });
        assert_eq!(
            line,
            "time=1970-01-01T00:00:00.000Z level=info msg=check run=01RUN status=fail \
             text=\"550 \\u001b[31m\\\"no\\\"\\r\\nlevel=error \\u202e\\u009b\" duration=1.5\n"
        );
    }

    #[test]
    fn json_line_is_one_object_with_the_same_text() {
        let line = written(Form::Json, || {
            tracing::warn!(text = HOSTILE, times = 3, "two words")
        });
        assert_eq!(line.lines().count(), 1);
        let object: serde_json::Value = serde_json::from_str(&line).unwrap();
        assert_eq!(object["msg"], "two words");
        assert_eq!(object["text"], HOSTILE);
        assert_eq!(object["times"], 3);
        assert!(line.chars().filter(|c| *c != '\n').all(|c| !is_unsafe(c)));
    }

    #[test]
    fn long_text_is_cut() {
        let long = "x".repeat(100_000);
        let line = written(Form::Logfmt, || tracing::info!(text = long, "banner"));
        assert!(line.len() < 1000, "{}", line.len());
    }

    #[test]
    fn same_trouble_is_told_only_so_often_and_results_always() {
        let lines = written(Form::Logfmt, || {
            for number in 0..1000 {
                tracing::warn!(mailbox = "alice", "cannot be read");
                tracing::warn!(number, "another kind");
                tracing::info!("check");
            }
        });
        let count = |part: &str| lines.lines().filter(|line| line.contains(part)).count();
        assert_eq!(count("cannot be read"), 3);
        assert_eq!(count("another kind"), 100);
        assert_eq!(count("check"), 1000);
    }

    #[test]
    fn what_was_left_out_is_counted_when_it_is_told_again() {
        let mut repeats = Repeats::default();
        let now = Instant::now();
        let told = (0..10)
            .filter(|_| repeats.admit(1, 2, now).is_some())
            .count();
        assert_eq!(told, 3);
        assert_eq!(repeats.admit(1, 2, now + WINDOW), Some(7));
    }
}
