//! DNS messages (RFC 1035): questions to bytes, bytes to answers. The codec is hickory's; the limits are ours.

use std::fmt::Write as _;
use std::net::IpAddr;
use std::str::FromStr as _;

use hickory_resolver::proto::op::{Edns, Message, MessageType, OpCode, Query, ResponseCode};
use hickory_resolver::proto::rr::rdata::SOA;
use hickory_resolver::proto::rr::{DNSClass, Name, RData, RecordType};

use postrider_wire::text::visible;

use crate::net::{Question, Record, RecordData};

/// What fits through every network without fragments, as DNS flag day 2020 settled.
pub(super) const PAYLOAD: u16 = 1232;
/// More records than this are nobody's mail set-up.
const MOST_RECORDS: u16 = 1000;

/// A question that can be sent, and by which its answer is known.
#[derive(Debug)]
pub(super) struct Asked {
    id: u16,
    name: Name,
    record_type: RecordType,
    recursive: bool,
    signatures: Signatures,
}

/// What a question says about DNSSEC (RFC 4035 §3.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Signatures {
    /// Nothing.
    Unwanted,
    /// DO: send the signatures as well.
    Wanted,
    /// DO and CD: and do not judge them.
    Unchecked,
}

/// What one datagram or one TCP message was.
#[derive(Debug)]
pub(super) enum Received<T> {
    /// The answer.
    Answer(T),
    /// It was cut (TC): ask over TCP.
    Truncated,
    /// It belongs to another question, or to nobody.
    Stray,
    /// It claims to be the answer and cannot be read.
    Broken(String),
}

/// The parts of an answer that do not depend on who sent it.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Reply {
    pub(super) rcode: String,
    pub(super) authoritative: bool,
    pub(super) records: Vec<Record>,
}

impl Asked {
    /// Checks the name and the type and draws a random id.
    ///
    /// # Errors
    /// A sentence that says what cannot be asked.
    pub(super) fn new(question: &Question) -> Result<Self, String> {
        let record_type = record_type_of(&question.record_type)
            .ok_or_else(|| format!("`{}` is no record type", question.record_type))?;
        Ok(Self {
            recursive: question.recursive,
            ..Self::of(name_of(&question.name)?, record_type, Signatures::Unwanted)
        })
    }

    /// A question for a resolver about a name that is one.
    pub(super) fn of(name: Name, record_type: RecordType, signatures: Signatures) -> Self {
        Self {
            id: rand::random(),
            name,
            record_type,
            recursive: true,
            signatures,
        }
    }

    /// The same question with another wish about signatures.
    pub(super) fn with(&self, signatures: Signatures) -> Self {
        Self {
            recursive: self.recursive,
            ..Self::of(self.name.clone(), self.record_type, signatures)
        }
    }

    pub(super) fn name(&self) -> &Name {
        &self.name
    }

    pub(super) fn record_type(&self) -> RecordType {
        self.record_type
    }

    /// The query message.
    ///
    /// # Errors
    /// When the codec refuses, which the checks of [`Asked::new`] should have ruled out.
    pub(super) fn message(&self) -> Result<Vec<u8>, String> {
        let mut message = Message::new(self.id, MessageType::Query, OpCode::Query);
        message.metadata.recursion_desired = self.recursive;
        message.add_query(Query::query(self.name.clone(), self.record_type));
        let mut edns = Edns::new();
        edns.set_version(0).set_max_payload(PAYLOAD);
        edns.set_dnssec_ok(self.signatures != Signatures::Unwanted);
        message.metadata.checking_disabled = self.signatures == Signatures::Unchecked;
        message.set_edns(edns);
        message.to_vec().map_err(|error| error.to_string())
    }

    /// Reads what came back.
    pub(super) fn read(&self, bytes: &[u8]) -> Received<Message> {
        // The counters are looked at before the codec believes them.
        let Some(&[id_high, id_low, flags, _, ref counters @ ..]) = bytes.first_chunk::<12>()
        else {
            return Received::Stray;
        };
        let is_response = flags & 0x80 != 0;
        let is_truncated = flags & 0x02 != 0;
        let mut counters = counters
            .as_chunks()
            .0
            .iter()
            .map(|counter| u16::from_be_bytes(*counter));
        if u16::from_be_bytes([id_high, id_low]) != self.id
            || !is_response
            || counters.next() > Some(1)
        {
            return Received::Stray;
        }
        if counters.any(|records| records > MOST_RECORDS) {
            return Received::Broken(format!("more than {MOST_RECORDS} records"));
        }
        match Message::from_vec(bytes) {
            Ok(message) if !self.is_asked_by(&message) => Received::Stray,
            // A cut message may end in the middle of a record.
            _ if is_truncated => Received::Truncated,
            Ok(message) => Received::Answer(message),
            Err(error) => Received::Broken(visible(&error.to_string())),
        }
    }

    fn is_asked_by(&self, message: &Message) -> bool {
        match message.queries.as_slice() {
            [query] => {
                query.name().eq_ignore_root(&self.name)
                    && query.query_type() == self.record_type
                    && query.query_class() == DNSClass::IN
            }
            // Some servers leave the question out when they refuse it.
            [] => message.metadata.response_code != ResponseCode::NoError,
            _ => false,
        }
    }
}

impl Reply {
    pub(super) fn of(message: &Message) -> Self {
        Self {
            rcode: rcode_name(message.metadata.response_code),
            authoritative: message.metadata.authoritative,
            records: message
                .answers
                .iter()
                .filter(|record| record.dns_class == DNSClass::IN)
                .map(record)
                .collect(),
        }
    }
}

/// The name under which answers carry the record type that `text` names: a mnemonic, or `TYPE123` (RFC 3597 §5).
#[must_use]
pub(crate) fn record_type_name(text: &str) -> Option<String> {
    record_type_of(text).map(type_name)
}

/// Why a name cannot be asked for.
#[must_use]
pub(crate) fn name_problem(text: &str) -> Option<String> {
    name_of(text).err()
}

fn record_type_of(text: &str) -> Option<RecordType> {
    if let Some(number) = text.strip_prefix("TYPE") {
        let number: u16 = number.parse().ok()?;
        return (number != 0).then(|| RecordType::from(number));
    }
    // Zone transfers and pseudo-types are no questions for records.
    let known = RecordType::from_str(text).ok()?;
    let askable = !matches!(
        known,
        RecordType::AXFR | RecordType::IXFR | RecordType::OPT | RecordType::TSIG
    );
    askable.then_some(known)
}

/// The name as labels of any printable bytes: `_25._tcp` and `0/25` are names, too.
fn name_of(text: &str) -> Result<Name, String> {
    let wrong = |why: &str| format!("`{}` is no domain name: {why}", text.escape_debug());
    let bare = text.strip_suffix('.').unwrap_or(text);
    if bare.is_empty() {
        return if text == "." {
            Ok(Name::root())
        } else {
            Err("an empty text is no domain name".to_owned())
        };
    }
    if bare.len() > 253 {
        return Err("a domain name has at most 253 characters".to_owned());
    }
    if !bare
        .bytes()
        .all(|byte| byte.is_ascii_graphic() && byte != b'\\')
    {
        return Err(wrong(
            "it holds something other than visible ASCII characters",
        ));
    }
    if bare
        .split('.')
        .any(|label| label.is_empty() || label.len() > 63)
    {
        return Err(wrong("each part between dots has 1 to 63 characters"));
    }
    Name::from_labels(bare.split('.').map(str::as_bytes)).map_err(|error| wrong(&error.to_string()))
}

pub(super) fn record(record: &hickory_resolver::proto::rr::Record) -> Record {
    let data = match &record.data {
        RData::A(address) => RecordData::Address(IpAddr::V4(address.0)),
        RData::AAAA(address) => RecordData::Address(IpAddr::V6(address.0)),
        RData::MX(mx) => RecordData::Mx {
            preference: mx.preference,
            host: name_text(&mx.exchange),
        },
        RData::CNAME(name) => RecordData::Name(name_text(name)),
        RData::NS(name) => RecordData::Name(name_text(name)),
        RData::PTR(name) => RecordData::Name(name_text(name)),
        RData::TXT(txt) => RecordData::Text(text(&txt.txt_data.concat())),
        other => RecordData::Other(presentation(other)),
    };
    Record {
        name: name_text(&record.name),
        record_type: type_name(record.record_type()),
        ttl: record.ttl,
        data,
    }
}

fn presentation(data: &RData) -> String {
    match data {
        RData::SOA(SOA {
            mname,
            rname,
            serial,
            refresh,
            retry,
            expire,
            minimum,
            ..
        }) => format!(
            "{} {} {serial} {refresh} {retry} {expire} {minimum}",
            name_text(mname),
            name_text(rname)
        ),
        RData::SRV(srv) => format!(
            "{} {} {} {}",
            srv.priority,
            srv.weight,
            srv.port,
            name_text(&srv.target)
        ),
        RData::Unknown { rdata, .. } => generic(&rdata.anything),
        RData::NULL(null) => generic(&null.anything),
        // `to_string` would panic on a type without a presentation form.
        other => {
            let mut shown = String::new();
            let _ = write!(shown, "{other}");
            text(shown.as_bytes())
        }
    }
}

/// `\# 4 0a000001` (RFC 3597 §5).
fn generic(bytes: &[u8]) -> String {
    let mut shown = format!("\\# {}", bytes.len());
    if !bytes.is_empty() {
        shown.push(' ');
    }
    for byte in bytes {
        let _ = write!(shown, "{byte:02x}");
    }
    shown
}

/// Lower-case without the trailing dot; `.` for the root. Bytes that are not visible are `\DDD` (RFC 1035 §5.1).
pub(super) fn name_text(name: &Name) -> String {
    let mut shown = String::new();
    for label in name.iter() {
        if !shown.is_empty() {
            shown.push('.');
        }
        for &byte in label {
            match byte {
                b'.' | b'\\' => {
                    shown.push('\\');
                    shown.push(char::from(byte));
                }
                b'!'..=b'~' => shown.push(char::from(byte.to_ascii_lowercase())),
                _ => {
                    let _ = write!(shown, "\\{byte:03}");
                }
            }
        }
    }
    if shown.is_empty() {
        shown.push('.');
    }
    shown
}

/// The bytes as text when they are UTF-8, else with every other byte as `\DDD`; control characters always so.
fn text(bytes: &[u8]) -> String {
    let mut shown = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        for character in chunk.valid().chars() {
            if character.is_ascii_control() {
                let _ = write!(shown, "\\{:03}", u32::from(character));
            } else {
                shown.push(character);
            }
        }
        for byte in chunk.invalid() {
            let _ = write!(shown, "\\{byte:03}");
        }
    }
    shown
}

fn type_name(record_type: RecordType) -> String {
    match record_type {
        RecordType::Unknown(number) => format!("TYPE{number}"),
        known => known.to_string(),
    }
}

/// The mnemonic of the IANA registry.
pub(super) fn rcode_name(code: ResponseCode) -> String {
    let name = match code {
        ResponseCode::NoError => "NOERROR",
        ResponseCode::FormErr => "FORMERR",
        ResponseCode::ServFail => "SERVFAIL",
        ResponseCode::NXDomain => "NXDOMAIN",
        ResponseCode::NotImp => "NOTIMP",
        ResponseCode::Refused => "REFUSED",
        ResponseCode::YXDomain => "YXDOMAIN",
        ResponseCode::YXRRSet => "YXRRSET",
        ResponseCode::NXRRSet => "NXRRSET",
        ResponseCode::NotAuth => "NOTAUTH",
        ResponseCode::NotZone => "NOTZONE",
        // 16 has two names; without TSIG it can only be this one.
        ResponseCode::BADVERS | ResponseCode::BADSIG => "BADVERS",
        other => return format!("RCODE{}", u16::from(other)),
    };
    name.to_owned()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use hickory_resolver::proto::rr::Record as Sent;
    use hickory_resolver::proto::rr::rdata::{MX, TXT};

    use super::*;

    fn asked(name: &str, record_type: &str) -> Asked {
        Asked::new(&Question::new(name, record_type, Duration::ZERO)).unwrap()
    }

    /// An answer to `asked` with these records.
    fn reply(asked: &Asked, records: impl IntoIterator<Item = (Name, RData)>) -> Message {
        let mut message = Message::response(asked.id, OpCode::Query);
        message.add_query(Query::query(asked.name.clone(), asked.record_type));
        for (name, data) in records {
            message.add_answer(Sent::from_rdata(name, 60, data));
        }
        message
    }

    fn name(text: &str) -> Name {
        name_of(text).unwrap()
    }

    fn read(asked: &Asked, message: &Message) -> Received<Reply> {
        read_bytes(asked, &message.to_vec().unwrap())
    }

    fn read_bytes(asked: &Asked, bytes: &[u8]) -> Received<Reply> {
        match asked.read(bytes) {
            Received::Answer(message) => Received::Answer(Reply::of(&message)),
            Received::Truncated => Received::Truncated,
            Received::Stray => Received::Stray,
            Received::Broken(problem) => Received::Broken(problem),
        }
    }

    fn data(asked: &Asked, data: RData) -> String {
        match read(asked, &reply(asked, [(asked.name.clone(), data)])) {
            Received::Answer(reply) => reply.records[0].data.to_string(),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_name_is_asked_for_as_it_is_or_refused_with_the_reason() {
        for name in [
            "example.test",
            "Example.Test.",
            "_25._tcp.mx1.example.test",
            "0/25.2.0.192.in-addr.arpa",
            ".",
            "*.example.test",
        ] {
            assert_eq!(name_problem(name), None, "{name}");
        }
        let long_label = format!("{}.test", "a".repeat(64));
        let long_name = "abcdefgh.".repeat(29);
        for (name, part) in [
            ("", "an empty text"),
            ("a..b", "1 to 63"),
            (".test", "1 to 63"),
            (&*long_label, "1 to 63"),
            (&*long_name, "at most 253"),
            ("exämple.test", "visible ASCII"),
            ("a b.test", "visible ASCII"),
            ("a\r\nb.test", "visible ASCII"),
        ] {
            let problem = name_problem(name).unwrap();
            assert!(problem.contains(part), "{name}: {problem}");
        }
    }

    #[test]
    fn a_type_is_a_mnemonic_or_a_number() {
        for (text, name) in [
            ("MX", Some("MX")),
            ("TYPE15", Some("MX")),
            ("TYPE65280", Some("TYPE65280")),
            ("ANY", Some("ANY")),
            ("mx", None),
            ("TYPE0", None),
            ("TYPE65536", None),
            ("TYPEX", None),
            ("AXFR", None),
            ("", None),
        ] {
            assert_eq!(record_type_name(text).as_deref(), name, "{text}");
        }
    }

    #[test]
    fn a_query_asks_for_recursion_only_of_a_resolver() {
        let question = Question::new("example.test", "MX", Duration::ZERO);
        for (question, wanted) in [
            (question.clone(), true),
            (question.without_recursion(), false),
        ] {
            let bytes = Asked::new(&question).unwrap().message().unwrap();
            let message = Message::from_vec(&bytes).unwrap();
            assert_eq!(message.metadata.recursion_desired, wanted);
            assert_eq!(message.edns.unwrap().max_payload(), PAYLOAD);
        }
    }

    #[test]
    fn records_are_read_in_lower_case_without_the_trailing_dot() {
        let asked = asked("example.test", "MX");
        let host = name("MX1.Example.TEST.");
        let sent = reply(
            &asked,
            [(name("EXAMPLE.test"), RData::MX(MX::new(10, host)))],
        );
        let Received::Answer(reply) = read(&asked, &sent) else {
            panic!("no answer");
        };
        assert_eq!(
            reply.records,
            [Record {
                name: "example.test".to_owned(),
                record_type: "MX".to_owned(),
                ttl: 60,
                data: RecordData::Mx {
                    preference: 10,
                    host: "mx1.example.test".to_owned()
                },
            }]
        );
        assert_eq!(reply.rcode, "NOERROR");
    }

    #[test]
    fn data_has_one_presentation_form() {
        let asked = asked("example.test", "TXT");
        let txt = |parts: &[&[u8]]| RData::TXT(TXT::from_bytes(parts.to_vec()));
        let unknown = |bytes: &[u8]| RData::Unknown {
            code: RecordType::Unknown(65280),
            rdata: hickory_resolver::proto::rr::rdata::NULL::with(bytes.to_vec()),
        };
        for (sent, shown) in [
            (RData::MX(MX::new(0, Name::root())), "0 ."),
            (txt(&[b"v=spf1 ", b"-all"]), "v=spf1 -all"),
            (txt(&[b"gr\xc3\xbc\xc3\x9fe"]), "grüße"),
            (txt(&[b"a\xffb\r\n"]), "a\\255b\\013\\010"),
            (unknown(&[10, 0, 0, 1]), "\\# 4 0a000001"),
        ] {
            assert_eq!(data(&asked, sent), shown);
        }
    }

    #[test]
    fn a_hostile_label_stays_one_visible_label() {
        let asked = asked("example.test", "CNAME");
        let label: &[u8] = b"a.b\\\x1b[2J";
        let hostile = Name::from_labels([label, b"test"]).unwrap();
        let shown = data(
            &asked,
            RData::CNAME(hickory_resolver::proto::rr::rdata::CNAME(hostile)),
        );
        assert_eq!(shown, "a\\.b\\\\\\027[2j.test");
    }

    #[test]
    fn what_does_not_belong_to_the_question_is_a_stray() {
        let asked = asked("example.test", "MX");
        let good = reply(&asked, []);
        assert!(matches!(read(&asked, &good), Received::Answer(_)));

        let mut other_id = good.clone();
        other_id.metadata.id = asked.id.wrapping_add(1);
        let mut query = good.clone();
        query.metadata.message_type = MessageType::Query;
        let mut other_name = good.clone();
        other_name.queries = vec![Query::query(name("other.test"), RecordType::MX)];
        let mut other_type = good.clone();
        other_type.queries = vec![Query::query(asked.name.clone(), RecordType::A)];
        let mut no_question = good.clone();
        no_question.queries.clear();
        let mut two_questions = good.clone();
        two_questions.queries.extend(good.queries.clone());
        for stray in [
            other_id,
            query,
            other_name,
            other_type,
            no_question,
            two_questions,
        ] {
            assert!(matches!(read(&asked, &stray), Received::Stray), "{stray:?}");
        }
        for bytes in [&b""[..], &[0; 7], &[0; 11]] {
            assert!(matches!(asked.read(bytes), Received::Stray));
        }
    }

    #[test]
    fn a_refusal_may_leave_the_question_out() {
        let asked = asked("example.test", "MX");
        let mut refusal = reply(&asked, []);
        refusal.queries.clear();
        refusal.metadata.response_code = ResponseCode::Refused;
        match read(&asked, &refusal) {
            Received::Answer(reply) => assert_eq!(reply.rcode, "REFUSED"),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_cut_answer_is_truncated_even_when_it_ends_inside_a_record() {
        let asked = asked("example.test", "MX");
        let mut cut = reply(
            &asked,
            [(asked.name.clone(), RData::MX(MX::new(1, name("a"))))],
        );
        cut.metadata.truncation = true;
        let mut bytes = cut.to_vec().unwrap();
        assert!(matches!(asked.read(&bytes), Received::Truncated));
        bytes.truncate(bytes.len() - 3);
        assert!(matches!(asked.read(&bytes), Received::Truncated));
    }

    #[test]
    fn a_broken_answer_says_so_and_never_panics() {
        let asked = asked("example.test", "MX");
        let whole = reply(
            &asked,
            [(asked.name.clone(), RData::MX(MX::new(1, name("a"))))],
        )
        .to_vec()
        .unwrap();
        let is_broken = |bytes: &[u8]| matches!(asked.read(bytes), Received::Broken(_));
        assert!(is_broken(&whole[..whole.len() - 1]));

        // An owner name that points to itself, and two that point at each other.
        let owner = 12 + asked.name.len() + 4;
        for (at, pointer) in [(owner, owner), (owner, owner + 2), (owner, 0xfff)] {
            let mut bytes = whole.clone();
            bytes[at..at + 2].copy_from_slice(&(0xc000 | pointer as u16).to_be_bytes());
            assert!(is_broken(&bytes), "{pointer}");
        }

        // More records are announced than there are.
        let mut bytes = whole.clone();
        bytes[6..8].copy_from_slice(&1000_u16.to_be_bytes());
        assert!(is_broken(&bytes));
        bytes[6..8].copy_from_slice(&1001_u16.to_be_bytes());
        match asked.read(&bytes) {
            Received::Broken(problem) => assert_eq!(problem, "more than 1000 records"),
            other => panic!("{other:?}"),
        }

        for at in 0..whole.len() {
            for byte in [0, 0x3f, 0x7f, 0xc0, 0xff] {
                let mut bytes = whole.clone();
                bytes[at] = byte;
                let _ = asked.read(&bytes);
                let _ = asked.read(&bytes[..at]);
            }
        }
    }
}
