//! Every parser of remote bytes, fed bytes that no honest peer sends: none panics, none returns
//! more than its bounds, and pieces mean the same as the whole. The fuzz targets go deeper.

use postrider_wire::address::{EhloName, HeaderText, HostName, Mailbox};
use postrider_wire::bounded::{Limits, Line, LineReader, LiteralGuard, Overrun};
use postrider_wire::greeting;
use postrider_wire::message::authentication_results::{
    AuthenticationResults, MAX_PROPERTIES, MAX_RESULTS,
};
use postrider_wire::message::bounce::{Bounce, MAX_RECIPIENTS, is_likely};
use postrider_wire::message::header::{self, MAX_BODY, MAX_FIELDS};
use postrider_wire::message::received::{self, MAX_HOPS, Received};
use postrider_wire::message::tag::{self, EntryId, Tag, TagKey};
use postrider_wire::policy::dkim_key::DkimKeyRecord;
use postrider_wire::policy::dmarc::DmarcRecord;
use postrider_wire::policy::mta_sts::{self, MAX_AGE, MAX_MX, Policy};
use postrider_wire::policy::report_uri::{MAX_URIS, ReportUri};
use postrider_wire::policy::spf_terms::{self, MAX_TERMS};
use postrider_wire::policy::tag_list::{MAX_TAGS, TagList};
use postrider_wire::policy::tls_rpt::TlsRptRecord;
use postrider_wire::smtp::ehlo::{Capabilities, MAX_MECHANISMS};
use postrider_wire::smtp::reply::{Reply, ReplyParser};
use postrider_wire::smtp::{data, queue_id};
use postrider_wire::text::{RemoteText, visible};
use postrider_wire::tls::{Answer, AnswerReader, Hello, NotTls, Version, client_hello};
use postrider_wire::tlsa::Tlsa;
use postrider_wire::{pop3, sieve};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

/// Few cases: this runs on every build.
fn config() -> ProptestConfig {
    ProptestConfig {
        cases: 128,
        failure_persistence: None,
        ..ProptestConfig::default()
    }
}

const SMALL: Limits = Limits {
    line: 24,
    reply: 64,
    connection: 200,
    items: 8,
    nesting: 3,
};

/// Arbitrary bytes, mixed with what the grammars are made of.
fn hostile_bytes() -> impl Strategy<Value = Vec<u8>> {
    let words: Vec<&[u8]> = vec![
        b"\r\n",
        b"\n",
        b"\r",
        b" ",
        b"\t",
        b"250-",
        b"250 ",
        b"5.1.1 ",
        b"AUTH=",
        b"SIZE ",
        b"queued as ",
        b"id=",
        b"[InternalId=",
        b" qp ",
        b"Received: ",
        b"from ",
        b"by ",
        b"with ",
        b"; ",
        b"(",
        b")",
        b"\"",
        b"\\",
        b"{3}\r\n",
        b"{3+}\r\n",
        b"{99999999999}\r\n",
        b"=",
        b"/",
        b"@",
        b".",
        b"2 Jan 2024 02:04:05 +0000",
        b"EST",
        b"UTC",
        b"Postrider-Tag: v1; id=",
        b"; mac=",
        b"Authentication-Results: mx; ",
        b"spf=pass ",
        b"Return-Path: <>\r\n",
        b"From: MAILER-DAEMON\r\n",
        b"Content-Type: multipart/report; report-type=delivery-status; boundary=B\r\n\r\n",
        b"Content-Type: message/rfc822\r\n\r\n",
        b"Content-Type: message/delivery-status\r\n\r\n",
        b"Content-Transfer-Encoding: quoted-printable\r\n",
        b"Content-Transfer-Encoding: base64\r\n",
        b"--B\r\n",
        b"--B--",
        b"Action: failed\r\n",
        b"Final-Recipient: rfc822; ",
        b"Diagnostic-Code: smtp; ",
        b"This is the mail system at host ",
        b"<bob@example.test>:",
        b"> ",
        b"[",
        b"]",
        b"\x16\x03\x03\x00\x2a",
        b"\x15\x03\x03\x00\x02",
        b"\x02\x00\x00\x26\x03\x03",
        b"\x00\x2b\x00\x02\x03\x04",
        b"+OK ",
        b"-ERR ",
        b"STLS",
        b"\"STARTTLS\"",
        b"IPv6:",
        b"::1",
        b"<",
        b">",
        b"\xff",
        b"\xc3\xa4",
        b"\xe2\x80\xae",
        b"\x00",
        b"\x1b",
    ];
    let word = select(words).prop_map(<[u8]>::to_vec);
    let piece = prop_oneof![4 => word, 1 => vec(any::<u8>(), 0..12)];
    vec(piece, 0..40).prop_map(|pieces| pieces.concat())
}

fn hostile_text() -> impl Strategy<Value = String> {
    hostile_bytes().prop_map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
}

/// Records and policies with pieces where they do not belong.
fn policy_text() -> impl Strategy<Value = String> {
    let words = vec![
        "v=spf1 ",
        "v=DKIM1; ",
        "v=DMARC1; ",
        "v=TLSRPTv1; ",
        "v=STSv1; ",
        "version: STSv1\n",
        "mode: enforce\n",
        "max_age: 1\n",
        "mx: *.a.test\n",
        "mx: a.test\r\n",
        "id=1; ",
        "p=AAEC; ",
        "p=reject; ",
        "sp=none; ",
        "pct=10; ",
        "rua=mailto:a%2Cb@c.test!10m",
        "ruf=",
        ",https://d.test/",
        ",mailto:\"a%3B\"@b.test",
        "; ",
        "=",
        ":",
        "!",
        "%",
        ",",
        " ",
        "\t",
        "\n",
        "-all ",
        "ip4:192.0.2.0/24 ",
        "a:%{l/}.x.test//64 ",
        "redirect=",
        "include:",
        "\u{1b}[2J",
        "\u{202e}",
        "ä",
        "99999999999999999999",
    ];
    vec(select(words), 0..30).prop_map(|pieces| pieces.concat())
}

/// All lines up to the end or the overrun, bytes arriving in pieces of `size`.
fn lines_in_pieces(limits: Limits, bytes: &[u8], size: usize) -> (Vec<Line>, Option<Overrun>) {
    let mut reader = LineReader::new(limits);
    let mut lines = Vec::new();
    for piece in bytes.chunks(size) {
        let pushed = reader.push(piece);
        assert!(reader.buffered().len() <= limits.reply);
        loop {
            match reader.next_line() {
                Ok(Some(line)) => lines.push(line),
                Ok(None) => break,
                Err(overrun) => return (lines, Some(overrun)),
            }
        }
        assert_eq!(pushed, Ok(()));
    }
    (lines, None)
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn lines_do_not_depend_on_the_pieces(bytes in hostile_bytes(), size in 1_usize..50) {
        // A reply bound above the input, as unread bytes are counted piece by piece.
        let limits = Limits { reply: 1 << 20, ..SMALL };
        let bytewise = lines_in_pieces(limits, &bytes, 1);
        prop_assert_eq!(&lines_in_pieces(limits, &bytes, size), &bytewise);
        prop_assert_eq!(&lines_in_pieces(limits, &bytes, bytes.len().max(1)), &bytewise);
        lines_in_pieces(SMALL, &bytes, size);
    }

    #[test]
    fn lines_put_together_are_the_input(bytes in hostile_bytes(), size in 1_usize..50) {
        let mut reader = LineReader::new(Limits::smtp());
        let mut together = Vec::new();
        for piece in bytes.chunks(size) {
            reader.push(piece).unwrap();
            while let Some(line) = reader.next_line().unwrap() {
                reader.end_reply();
                together.extend(&line.bytes);
                together.extend(match line.ending {
                    postrider_wire::bounded::LineEnding::CrLf => &b"\r\n"[..],
                    postrider_wire::bounded::LineEnding::BareLf => b"\n",
                });
            }
        }
        together.extend(reader.take_buffered());
        prop_assert_eq!(reader.total(), bytes.len() as u64);
        prop_assert_eq!(together, bytes);
    }

    #[test]
    fn the_literal_guard_does_not_depend_on_the_pieces(bytes in hostile_bytes(), size in 1_usize..50) {
        let whole = LiteralGuard::new(SMALL).feed(&bytes);
        let mut guard = LiteralGuard::new(SMALL);
        prop_assert_eq!(bytes.chunks(size).try_for_each(|piece| guard.feed(piece)), whole);
        let _ = LiteralGuard::new(Limits::imap()).feed(&bytes);
    }

    #[test]
    fn replies_are_read_or_refused(bytes in hostile_bytes()) {
        let mut parser = ReplyParser::new();
        for line in lines_in_pieces(Limits::smtp(), &bytes, 7).0 {
            match parser.feed(&line) {
                Ok(Some(reply)) => {
                    prop_assert!((200..=599).contains(&reply.code) && !reply.lines.is_empty());
                    let _ = (reply.enhanced(), reply.to_string(), queue_id::from_reply(&reply));
                    let capabilities = Capabilities::from_reply(&reply);
                    let _ = (capabilities.size(), capabilities.has("SIZE"));
                }
                Ok(None) => prop_assert!(parser.in_reply()),
                Err(error) => prop_assert!(is_safe(&error.to_string())),
            }
        }
    }

    #[test]
    fn what_is_steady_of_a_greeting_stays_so_and_is_no_longer(text in hostile_text()) {
        let steady = greeting::steady(&text);
        // A year of one character becomes a longer word.
        prop_assert!(steady.len() <= text.len() * 6);
        prop_assert_eq!(greeting::steady(&steady), steady);
    }

    #[test]
    fn capabilities_and_queue_ids_are_bounded_and_safe(lines in vec(hostile_text(), 0..6)) {
        let reply = Reply { code: 250, lines };
        prop_assert!(is_safe(&reply.to_string()));
        let capabilities = Capabilities::from_reply(&reply);
        prop_assert!(capabilities.auth_mechanisms().len() <= MAX_MECHANISMS);
        prop_assert!(capabilities.to_string().lines().all(is_safe));
        if let Some(id) = queue_id::from_reply(&reply) {
            prop_assert!(id.len() <= 128 && is_safe(&id));
        }
    }

    #[test]
    fn what_a_domain_says_of_its_mail_is_bounded_and_safe(text in policy_text()) {
        let safe = |fault: &dyn std::fmt::Display| is_safe(&fault.to_string());
        match spf_terms::terms(&text) {
            Ok(terms) => prop_assert!(terms.len() <= MAX_TERMS),
            Err(fault) => prop_assert!(safe(&fault)),
        }
        match TagList::parse(&text) {
            Ok(list) => prop_assert!(list.iter().count() <= MAX_TAGS),
            Err(fault) => prop_assert!(safe(&fault)),
        }
        match DkimKeyRecord::parse(&text) {
            Ok(record) => prop_assert!(record.public.len() <= text.len()),
            Err(fault) => prop_assert!(safe(&fault)),
        }
        match DmarcRecord::parse(&text) {
            Ok(record) => {
                prop_assert!(record.percent <= 100 && record.aggregate.len() <= MAX_URIS);
                prop_assert!(record.faults.iter().all(|fault| safe(fault)));
                for uri in record.aggregate.iter().chain(&record.failure) {
                    prop_assert_eq!(&ReportUri::parse(&uri.to_string()).unwrap(), uri);
                }
            }
            Err(fault) => prop_assert!(safe(&fault)),
        }
        match TlsRptRecord::parse(&text) {
            Ok(record) => prop_assert!(record.reports.len() <= MAX_URIS),
            Err(fault) => prop_assert!(safe(&fault)),
        }
        if let Err(fault) = mta_sts::record_id(&text) {
            prop_assert!(safe(&fault));
        }
        match Policy::parse(text.as_bytes()) {
            Ok(policy) => prop_assert!(policy.max_age <= MAX_AGE && policy.mx.len() <= MAX_MX),
            Err(fault) => prop_assert!(safe(&fault)),
        }
    }

    #[test]
    fn remote_text_is_safe_and_short(bytes in hostile_bytes(), cap in 0_usize..60) {
        let text = RemoteText::new(&bytes, cap);
        prop_assert!(is_safe(text.as_str()));
        // The cap, one whole escape beyond it, and the ellipsis.
        prop_assert!(text.as_str().chars().count() <= cap + 11);
        let shown = visible(&String::from_utf8_lossy(&bytes));
        prop_assert_eq!(visible(&shown), shown);
    }

    #[test]
    fn checked_names_cannot_hold_an_injection(text in hostile_text()) {
        let injects = |text: &str| text.contains(['\r', '\n', '\0']);
        for result in [
            text.parse::<Mailbox>().map(|name| name.to_string()).map_err(|error| error.to_string()),
            text.parse::<HostName>().map(|name| name.to_string()).map_err(|error| error.to_string()),
            HostName::parse_relaxed(&text).map(|name| name.to_string()).map_err(|error| error.to_string()),
            text.parse::<EhloName>().map(|name| name.to_string()).map_err(|error| error.to_string()),
            text.parse::<HeaderText>().map(|name| name.to_string()).map_err(|error| error.to_string()),
        ] {
            match result {
                Ok(name) => prop_assert!(!injects(&name)),
                Err(message) => prop_assert!(is_safe(&message), "{message:?}"),
            }
        }
    }

    #[test]
    fn a_good_address_is_read_back(local in "[a-z0-9!#$%&'*+/=?^_`{|}~-]{1,20}(\\.[a-z0-9]{1,5}){0,2}", domain in "[a-z][a-z0-9]{0,10}(\\.[a-z]{2,6}){1,2}") {
        let text = format!("{local}@{domain}");
        prop_assert_eq!(text.parse::<Mailbox>().unwrap().to_string(), text);
        prop_assert_eq!(domain.parse::<HostName>().unwrap().to_string(), domain.clone());
        prop_assert_eq!(domain.parse::<EhloName>().unwrap().to_string(), domain);
    }

    #[test]
    fn encoded_data_ends_once_and_decodes_to_the_message(bytes in hostile_bytes()) {
        let Ok(encoded) = data::encode(&bytes) else { return Ok(()) };
        let mut decoded: Vec<u8> = Vec::new();
        let mut lines = encoded.split_inclusive(|byte| *byte == b'\n');
        for line in lines.by_ref() {
            prop_assert!(line.ends_with(b"\r\n"));
            if line == b".\r\n" {
                break;
            }
            decoded.extend(line.strip_prefix(b".").unwrap_or(line));
        }
        prop_assert_eq!(lines.next(), None, "nothing follows the final dot");
        if !bytes.is_empty() && !bytes.ends_with(b"\n") {
            decoded.truncate(decoded.len() - 2);
        }
        prop_assert_eq!(decoded, bytes);
    }

    #[test]
    fn header_blocks_are_read_within_bounds(bytes in hostile_bytes()) {
        let fields = header::fields(&bytes);
        prop_assert!(fields.len() <= MAX_FIELDS);
        prop_assert!(fields.iter().all(|field| field.body.len() <= MAX_BODY && !field.body.contains('\n')));
        let hops = received::hops(&bytes);
        prop_assert!(hops.len() <= MAX_HOPS);
        for hop in received::hop_times(&hops) {
            prop_assert!(hop.seconds.is_none_or(|seconds| seconds >= 0.0));
        }
        let _ = tag::find_in_headers(&bytes);
        AuthenticationResults::from_headers(&bytes);
    }

    #[test]
    fn bounces_are_read_within_bounds(bytes in hostile_bytes(), is_bounce: bool) {
        let start: &[u8] = if is_bounce {
            b"From: MAILER-DAEMON\r\nContent-Type: multipart/report; boundary=B\r\n\r\n--B\r\n"
        } else {
            b""
        };
        let bytes = [start, &bytes].concat();
        let Some(bounce) = Bounce::parse(&bytes) else { return Ok(()) };
        prop_assert!(is_likely(&bytes));
        prop_assert!((1..=MAX_RECIPIENTS).contains(&bounce.recipients.len()));
        prop_assert!(bounce.reporting_mta.is_none_or(|host| is_safe(&host)));
        for report in bounce.recipients {
            let said = [report.recipient, report.original_recipient, report.diagnostic, report.remote_mta, report.status];
            for text in said.into_iter().flatten() {
                prop_assert!(is_safe(&text) && text.chars().count() <= RemoteText::LINE + 11);
            }
        }
    }

    #[test]
    fn tlsa_records_are_read_back_the_same(text in hostile_text(), usage: u8, selector: u8, matching: u8, data in vec(any::<u8>(), 0..80)) {
        if let Ok(record) = text.parse::<Tlsa>() {
            prop_assert!(record.data.len() <= text.len());
        }
        let record = Tlsa { usage, selector, matching, data };
        prop_assert_eq!(record.to_string().parse(), Ok(record.clone()));
        prop_assert!(record.short().len() <= record.to_string().len() + '…'.len_utf8());
    }

    #[test]
    fn field_bodies_are_read_within_bounds(body in hostile_text()) {
        Received::parse(&body);
        let _ = body.parse::<Tag>();
        let _ = body.parse::<EntryId>();
        let found = AuthenticationResults::parse(&body);
        prop_assert!(found.results.len() <= MAX_RESULTS);
        prop_assert!(found.results.iter().all(|result| result.properties.len() <= MAX_PROPERTIES));
    }

    #[test]
    fn an_answer_to_a_tls_hello_does_not_depend_on_the_pieces(bytes in hostile_bytes(), size in 1_usize..50) {
        // The first answer or problem is the last: nobody reads on behind it.
        let read = |size: usize| -> Result<Option<Answer>, NotTls> {
            let mut reader = AnswerReader::default();
            for piece in bytes.chunks(size) {
                match reader.push(piece) {
                    Ok(None) => {}
                    ended => return ended,
                }
            }
            Ok(None)
        };
        let whole = read(bytes.len().max(1));
        prop_assert_eq!(&read(size), &whole);
        prop_assert_eq!(&read(1), &whole);
        if let Ok(Some(answer)) = whole {
            prop_assert!(is_safe(&answer.to_string()));
        }
    }

    #[test]
    fn a_hello_fits_into_one_record(name in hostile_text(), suites in vec(any::<u16>(), 0..300), random: [u8; 32]) {
        for version in Version::ALL {
            let hello = client_hello(&Hello { version, suites: &suites, server_name: Some(&name), random });
            let length = usize::from(u16::from_be_bytes([hello[3], hello[4]]));
            prop_assert_eq!(hello.len(), 5 + length);
            prop_assert!(length < 1 << 14);
        }
    }

    #[test]
    fn lines_before_a_login_are_read_or_refused(lines in vec(hostile_bytes(), 0..80)) {
        let (mut of_pop3, mut of_sieve) = (pop3::Capabilities::default(), sieve::Capabilities::default());
        for line in &lines {
            match pop3::Status::parse(line) {
                Some(pop3::Status::Ok(text) | pop3::Status::Err(text)) => prop_assert!(is_safe(&text)),
                None => {}
            }
            of_pop3.feed(line);
            match sieve::Line::parse(line) {
                Some(sieve::Line::Capability(name)) => {
                    prop_assert!(is_safe(&name));
                    of_sieve.add(name);
                }
                Some(sieve::Line::Ok(text) | sieve::Line::No(text) | sieve::Line::Bye(text)) => prop_assert!(is_safe(&text)),
                None => {}
            }
        }
        let _ = (of_pop3.has("STLS"), of_sieve.has("STARTTLS"));
    }

    #[test]
    fn tags_go_both_ways_and_prove_only_their_own(millis: u64, random: u64, sender in hostile_text(), recipient in hostile_text()) {
        let key = TagKey::new(&[1; 32]).unwrap();
        let id = EntryId::from_parts(millis, random);
        prop_assert_eq!(id.to_string().parse(), Ok(id));
        let tag = Tag::sign(&key, id, &sender, &recipient);
        let header = format!("{}: {tag}\r\n\r\n", tag::HEADER_NAME);
        prop_assert_eq!(tag::find_in_headers(header.as_bytes()), Some(tag.clone()));
        prop_assert!(tag.verify(&key, &sender, &recipient));
        prop_assert!(!tag.verify(&key, &sender, &(recipient.clone() + "x")));
        prop_assert!(!tag.verify(&key, &(sender.clone() + "\0"), &recipient));
    }
}

fn is_safe(text: &str) -> bool {
    !text.chars().any(|character| {
        character.is_control()
            || matches!(character, '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    })
}
