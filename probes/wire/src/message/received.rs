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

/// The longest value that is kept, in bytes: an address with its brackets fits (RFC 5321 §4.5.3.1.3).
const MAX_VALUE: usize = 256;

const DATE: DateTimeParser = DateTimeParser::new().relaxed_weekday(true);

/// One `Received` field. Everything may be missing; the texts are as sent, not escaped, and cut
/// after 256 bytes.
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
            let mut value = plain_word(word).to_owned();
            if keyword.eq_ignore_ascii_case("with") {
                // Exchange writes "Microsoft SMTP Server"; Exim adds "tls CIPHER".
                while let Some(more) = words.next_if(|next| !ends_protocol(next)) {
                    value.push(' ');
                    value.push_str(more);
                }
            }
            value.truncate(value.floor_char_boundary(MAX_VALUE));
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

/// Without angle brackets, and without a semicolon that stands before the last one.
fn plain_word(word: &str) -> &str {
    let word = word.trim_end_matches(';');
    let inner = word
        .strip_prefix('<')
        .and_then(|rest| rest.strip_suffix('>'));
    inner.unwrap_or(word)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `from|by|with|id|for|date`, `-` where there is nothing.
    fn check(body: &str, expected: &str) {
        let received = Received::parse(body);
        let date = received.date.map(|date| date.to_string());
        let parts = [
            received.from,
            received.by,
            received.with,
            received.id,
            received.r#for,
            date,
        ];
        let shown: Vec<String> = parts
            .into_iter()
            .map(|part| part.unwrap_or("-".to_owned()))
            .collect();
        assert_eq!(shown.join("|"), expected, "{body}");
    }

    #[test]
    fn the_forms_of_the_common_servers_are_read() {
        check(
            "from x.y.test by example.net via TCP with ESMTP id ABC12345 for <mary@example.net>; 21 Nov 1997 10:05:43 -0600",
            "x.y.test|example.net|ESMTP|ABC12345|mary@example.net|1997-11-21T16:05:43Z",
        );
        check(
            "from mail.example.org (mail.example.org [192.0.2.1]) (using TLSv1.3 with cipher TLS_AES_256_GCM_SHA384 (256/256 bits) key-exchange X25519) (No client certificate requested) by mx.example.net (Postfix) with ESMTPS id 4bXyZ12Qz for <inbox@example.net>; Tue,  2 Jan 2024 03:04:05 +0100 (CET)",
            "mail.example.org|mx.example.net|ESMTPS|4bXyZ12Qz|inbox@example.net|2024-01-02T02:04:05Z",
        );
        check(
            "from [192.0.2.1] (helo=probe.example.org) by filter1.example.net with esmtps (TLS1.3) tls TLS_AES_256_GCM_SHA384 (Exim 4.97) (envelope-from <p@example.org>) id 1ZPhsl-0004Im-99 for inbox@example.net; Tue, 02 Jan 2024 02:04:05 +0000",
            "[192.0.2.1]|filter1.example.net|esmtps|1ZPhsl-0004Im-99|inbox@example.net|2024-01-02T02:04:05Z",
        );
        check(
            "from mx.example.net by store.example.net with LMTP id oHc3FtQ3k2XyWAAAx1+2AQ (envelope-from <p@example.org>) for <inbox@example.net>; Tue, 02 Jan 2024 02:04:06 +0000",
            "mx.example.net|store.example.net|LMTP|oHc3FtQ3k2XyWAAAx1+2AQ|inbox@example.net|2024-01-02T02:04:06Z",
        );
        check(
            "(from root@localhost) by host.example.org (8.15.2/8.15.2/Submit) id 40224Abc; Mon, 1 Jan 2024 21:04:05 -0500 (EST)",
            "-|host.example.org|-|40224Abc|-|2024-01-02T02:04:05Z",
        );
        check(
            "from A.prod.example.com (2603:10a6:20b:1::1) by B.prod.example.com (2603:10a6:20b:2::2) with Microsoft SMTP Server (version=TLS1_2, cipher=TLS_ECDHE) id 15.20.7159.9 via Frontend Transport; Tue, 2 Jan 2024 02:04:05 +0000",
            "A.prod.example.com|B.prod.example.com|Microsoft SMTP Server|15.20.7159.9|-|2024-01-02T02:04:05Z",
        );
        check(
            "(qmail 4711 invoked from network); 2 Jan 2024 02:04:05 -0000",
            "-|-|-|-|-|2024-01-02T02:04:05Z",
        );
        check(
            "from unknown (HELO probe) (192.0.2.1) by host with SMTP; 2 Jan 2024 02:04:05 -0000",
            "unknown|host|SMTP|-|-|2024-01-02T02:04:05Z",
        );
        check(
            "from user by host.example.org with local (Exim 4.97) (envelope-from <u@example.org>) id 1Z for x@example.net; Tue, 02 Jan 2024 02:04:05 +0000",
            "user|host.example.org|local|1Z|x@example.net|2024-01-02T02:04:05Z",
        );
    }

    #[test]
    fn the_date_stands_behind_the_last_semicolon() {
        let cases = [
            (
                "by a; b; Tue, 2 Jan 2024 02:04:05 +0000",
                "2024-01-02T02:04:05Z",
            ),
            (
                "by a (x; y); Tue, 2 Jan 2024 02:04:05 +0000 (UTC; really)",
                "2024-01-02T02:04:05Z",
            ),
            (
                "by a (open; 2 Jan 2024 02:04:05 +0000",
                "2024-01-02T02:04:05Z",
            ),
            ("by a; Mon, 1 Jan 2024 21:04:05 EST", "2024-01-02T02:04:05Z"),
            ("by a; 2 Jan 2024 02:04:05 GMT", "2024-01-02T02:04:05Z"),
            ("by a; 2 Jan 2024 02:04:05 UT", "2024-01-02T02:04:05Z"),
            ("by a; 2 Jan 2024 02:04:05 UTC", "2024-01-02T02:04:05Z"),
            ("by a; 2 Jan 24 02:04:05 PST", "2024-01-02T10:04:05Z"),
            ("by a; 2 Jan 97 02:04 +0000", "1997-01-02T02:04:00Z"),
            (
                "by a; Fri, 2 Jan 2024 02:04:05 +0000",
                "2024-01-02T02:04:05Z",
            ),
            (
                "by a; 2 Jan (comment) 2024 02 : 04 : 05 +0000",
                "2024-01-02T02:04:05Z",
            ),
            ("by a; tue, 2 jan 2024 02:04:05 gmt", "2024-01-02T02:04:05Z"),
        ];
        for (body, expected) in cases {
            check(body, &format!("-|a|-|-|-|{expected}"));
        }
        for body in [
            "by a",
            "by a;",
            "by a; yesterday",
            "by a; 32 Jan 2024 02:04:05 +0000",
            "by a; 2 Jan 2024 25:04:05 +0000",
        ] {
            check(body, "-|a|-|-|-|-");
        }
    }

    #[test]
    fn broken_fields_give_what_they_have() {
        check("", "-|-|-|-|-|-");
        check("from", "-|-|-|-|-|-");
        check("from by by with", "by|with|-|-|-|-");
        check("FROM a BY b", "a|b|-|-|-|-");
        check("by a by b", "-|a|-|-|-|-");
        let long = format!("by {}", "ä".repeat(1000));
        check(&long, &format!("-|{}|-|-|-|-", "ä".repeat(128)));
    }

    const BLOCK: &str = "Received: by c; 2 Jan 2024 00:00:10 +0000\r\n\
        Received: from a by b;\r\n\t2 Jan 2024 00:00:15 +0000\r\n\
        Received: from probe by a; 2 Jan 2024 00:00:03 +0000\r\n\
        Subject: x\r\n\r\n";

    #[test]
    fn hops_are_oldest_first_and_never_negative() {
        let hop = |from: Option<&str>, by: &str, seconds, skewed| Hop {
            from: from.map(str::to_owned),
            by: by.to_owned(),
            seconds,
            skewed,
        };
        assert_eq!(
            hop_times(&hops(BLOCK.as_bytes())),
            [
                hop(Some("probe"), "a", None, false),
                hop(Some("a"), "b", Some(12.0), false),
                hop(None, "c", Some(0.0), true)
            ]
        );
        assert_eq!(hop_times(&[]), []);
    }

    #[test]
    fn a_station_without_a_date_has_no_time_and_gives_none() {
        let stations = [
            "by a; 2 Jan 2024 00:00:03 +0000",
            "by b",
            "by c; 2 Jan 2024 00:00:04 +0000",
        ]
        .map(Received::parse);
        let seconds: Vec<Option<f64>> =
            hop_times(&stations).iter().map(|hop| hop.seconds).collect();
        assert_eq!(seconds, [None, None, None]);
    }

    #[test]
    fn the_newest_stations_are_kept_when_there_are_too_many() {
        let block: String = (0..MAX_HOPS + 5)
            .map(|number| format!("Received: by h{number}\r\n"))
            .collect();
        let hops = hops(block.as_bytes());
        assert_eq!(hops.len(), MAX_HOPS);
        assert_eq!(hops.last().unwrap().by.as_deref(), Some("h0"));
    }

    #[test]
    fn skew_is_their_clock_minus_ours() {
        let time = |text: &str| text.parse::<Timestamp>().unwrap();
        let ahead = skew(time("2024-01-02T00:00:05Z"), time("2024-01-02T00:00:02Z"));
        assert_eq!(ahead, SignedDuration::from_secs(3));
        let behind = skew(time("2024-01-02T00:00:00Z"), time("2024-01-02T00:00:02Z"));
        assert_eq!(behind, SignedDuration::from_secs(-2));
    }
}
