//! The trace that each server adds (RFC 5321 §4.4), and the time between its stations.
//!
//! A `Received` date has a resolution of one second and comes from that server's clock: every
//! figure made of it is ±1 s plus the difference of two clocks. Anyone can forge fields below
//! the first server one knows.

use jiff::fmt::rfc2822::DateTimeParser;
use jiff::{SignedDuration, Timestamp};

use super::header::{all, fields};
use super::structured::without_comments;

/// More stations than this are not looked at; servers give up after 30 to 100 (RFC 5321 §6.3).
pub const MAX_HOPS: usize = 100;

/// No legal date comes near this many bytes, comments removed.
const MAX_DATE: usize = 100;

const DATE: DateTimeParser = DateTimeParser::new().relaxed_weekday(true);

/// One `Received` field. Everything may be missing; the texts are as sent, not escaped.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Received {
    /// The name the client gave, or its address.
    pub from: Option<String>,
    /// The server that wrote the field.
    pub by: Option<String>,
    /// The protocol, such as `ESMTPS`.
    pub with: Option<String>,
    /// The server's queue id.
    pub id: Option<String>,
    /// The recipient, without angle brackets.
    pub r#for: Option<String>,
    /// When the server wrote it, by its clock, in whole seconds.
    pub date: Option<Timestamp>,
}

impl Received {
    /// Reads the body of one unfolded field, as far as it can be read.
    pub fn parse(body: &str) -> Self {
        let plain = without_comments(body);
        let (trace, date) = split_date(&plain);
        let mut received = Self {
            // An open comment swallows the date; it is still behind the last semicolon.
            date: date.or_else(|| split_date(body).1),
            ..Self::default()
        };
        received.read_trace(trace);
        received
    }

    fn read_trace(&mut self, trace: &str) {
        let mut words = trace.split_whitespace().peekable();
        while let Some(keyword) = words.next() {
            let slot = match keyword.to_ascii_lowercase().as_str() {
                "from" => &mut self.from,
                "by" => &mut self.by,
                "id" => &mut self.id,
                "for" => &mut self.r#for,
                "with" => &mut self.with,
                _ => continue,
            };
            let Some(word) = words.next() else { break };
            let mut value = unbracketed(word).to_owned();
            if keyword.eq_ignore_ascii_case("with") {
                // Exchange writes "Microsoft SMTP Server"; Exim adds "tls CIPHER".
                while let Some(more) = words.next_if(|next| !ends_protocol(next)) {
                    value.push(' ');
                    value.push_str(more);
                }
            }
            // The first one counts, should a name come twice.
            slot.get_or_insert(value);
        }
    }
}

/// The stations of a message, oldest first, from its header block. At most [`MAX_HOPS`], the newest.
pub fn hops(block: &[u8]) -> Vec<Received> {
    let fields = fields(block);
    let newest_first = all(&fields, "Received").into_iter().take(MAX_HOPS);
    let mut hops: Vec<Received> = newest_first.map(Received::parse).collect();
    hops.reverse();
    hops
}

/// How long a message took from one station to the next.
#[derive(Debug, Clone, PartialEq)]
pub struct Hop {
    /// Who handed it over, by the name it gave.
    pub from: Option<String>,
    /// The server that took it; empty if the field does not say.
    pub by: String,
    /// Seconds since the station before, never negative; `None` at the first station and where a
    /// date is missing.
    pub seconds: Option<f64>,
    /// The dates ran backwards: the clocks differ, and `seconds` is 0 instead of negative.
    pub skewed: bool,
}

/// One [`Hop`] per station, with stations oldest first as [`hops`] gives them.
pub fn hop_times(stations: &[Received]) -> Vec<Hop> {
    let mut previous: Option<Timestamp> = None;
    let mut hops = Vec::with_capacity(stations.len());
    for station in stations {
        let elapsed = previous
            .zip(station.date)
            .map(|(before, after)| after.duration_since(before).as_secs_f64());
        hops.push(Hop {
            from: station.from.clone(),
            by: station.by.clone().unwrap_or_default(),
            seconds: elapsed.map(|seconds| seconds.max(0.0)),
            skewed: elapsed.is_some_and(|seconds| seconds < 0.0),
        });
        previous = station.date;
    }
    hops
}

/// By how much the first server's clock is ahead of ours: its date minus the time, by our clock, at which
/// it accepted the message. Good to about a second.
pub fn skew(first_received: Timestamp, accepted_wall: Timestamp) -> SignedDuration {
    first_received.duration_since(accepted_wall)
}

/// The part before the last semicolon, and the date after it.
fn split_date(text: &str) -> (&str, Option<Timestamp>) {
    match text.rsplit_once(';') {
        Some((trace, date)) => (trace, parse_date(date)),
        None => (text, None),
    }
}

/// An RFC 5322 date, obsolete forms included.
fn parse_date(text: &str) -> Option<Timestamp> {
    let text = text.trim();
    if text.len() > MAX_DATE {
        return None;
    }
    // "UTC" is not in the grammar, and common.
    match text.strip_suffix("UTC") {
        Some(rest) => DATE.parse_timestamp(format!("{rest}GMT")).ok(),
        None => DATE.parse_timestamp(text).ok(),
    }
}

fn ends_protocol(word: &str) -> bool {
    ["from", "by", "via", "id", "for", "tls"]
        .iter()
        .any(|keyword| word.eq_ignore_ascii_case(keyword))
}

fn unbracketed(word: &str) -> &str {
    let inner = word
        .strip_prefix('<')
        .and_then(|rest| rest.strip_suffix('>'));
    inner.unwrap_or(word)
}
