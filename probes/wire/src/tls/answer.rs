//! The server's first words: its ServerHello, or the alert with which it refuses.

use thiserror::Error;

use super::{Version, suite_name};

/// More bytes than this are not kept of an answer: a ServerHello is far smaller.
pub const MAX_ANSWER: usize = 4 * 1024;
/// Warnings that may stand before the answer, `unrecognized_name` for instance.
const MOST_WARNINGS: usize = 4;

const ALERT: u8 = 21;
const HANDSHAKE: u8 = 22;
const SERVER_HELLO: u8 = 2;
const SUPPORTED_VERSIONS: u16 = 43;
/// RFC 8446 §5.2: 2¹⁴ bytes and what encryption may add.
const LONGEST_RECORD: usize = (1 << 14) + 256;
const WARNING: u8 = 1;
const CLOSE_NOTIFY: u8 = 0;

/// What a server says to a hello.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// It chose, and would go on.
    Chosen {
        /// The version's number: a server may choose one that nobody knows.
        version: u16,
        /// The cipher suite's number.
        suite: u16,
    },
    /// It refuses.
    Refused {
        /// The alert's description (RFC 8446 §6).
        alert: u8,
    },
}

/// The bytes are no answer to a hello.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum NotTls {
    /// Neither a handshake nor an alert.
    #[error("the answer is not TLS: it begins with byte {0:#04x}")]
    Record(u8),
    /// A record or a message longer than the standard allows, or too many of them.
    #[error("the answer to the hello is longer than {MAX_ANSWER} bytes")]
    TooLong,
    /// Another message than a ServerHello.
    #[error("handshake message {0} instead of a ServerHello")]
    Message(u8),
    /// A ServerHello that ends too early.
    #[error("the ServerHello is cut off inside")]
    CutOff,
}

/// Reads an answer piece by piece.
#[derive(Debug, Default)]
pub struct AnswerReader {
    buffer: Vec<u8>,
}

impl AnswerReader {
    /// Takes bytes from the network; gives the answer once it is complete.
    ///
    /// # Errors
    /// When the bytes can be no answer.
    pub fn push(&mut self, bytes: &[u8]) -> Result<Option<Answer>, NotTls> {
        let room = MAX_ANSWER.saturating_sub(self.buffer.len());
        self.buffer.extend(bytes.iter().take(room));
        match read(&self.buffer)? {
            None if bytes.len() > room => Err(NotTls::TooLong),
            answer => Ok(answer),
        }
    }

    /// Whether nothing has come yet.
    pub fn is_empty(&self) -> bool {
        self.buffer.is_empty()
    }
}

/// `None`: more has to come.
fn read(mut bytes: &[u8]) -> Result<Option<Answer>, NotTls> {
    let mut message = Vec::new();
    let mut warnings = 0_usize;
    while let Some((&kind, rest)) = bytes.split_first() {
        if !matches!(kind, ALERT | HANDSHAKE) {
            return Err(NotTls::Record(kind));
        }
        let [_, _, high, low, rest @ ..] = rest else {
            return Ok(None);
        };
        let length = usize::from(u16::from_be_bytes([*high, *low]));
        if length > LONGEST_RECORD {
            return Err(NotTls::TooLong);
        }
        let available = rest.get(..length).unwrap_or(rest);
        if kind == ALERT {
            let [level, alert, ..] = *available else {
                return Ok(None);
            };
            if level != WARNING || alert == CLOSE_NOTIFY {
                return Ok(Some(Answer::Refused { alert }));
            }
            warnings = warnings.saturating_add(1);
            if warnings > MOST_WARNINGS {
                return Err(NotTls::TooLong);
            }
        } else {
            message.extend(available);
            if let Some(answer) = server_hello(&message)? {
                return Ok(Some(answer));
            }
        }
        match rest.get(length..) {
            Some(next) => bytes = next,
            None => return Ok(None),
        }
    }
    Ok(None)
}

fn server_hello(message: &[u8]) -> Result<Option<Answer>, NotTls> {
    let [kind, length @ ..] = message else {
        return Ok(None);
    };
    if *kind != SERVER_HELLO {
        return Err(NotTls::Message(*kind));
    }
    let [top, high, low, rest @ ..] = length else {
        return Ok(None);
    };
    let length = u32::from_be_bytes([0, *top, *high, *low]);
    let length = usize::try_from(length).unwrap_or(usize::MAX);
    if length > MAX_ANSWER {
        return Err(NotTls::TooLong);
    }
    match rest.get(..length) {
        Some(body) => chosen(body).ok_or(NotTls::CutOff).map(Some),
        None => Ok(None),
    }
}

/// RFC 8446 §4.1.3. A HelloRetryRequest has the same form.
fn chosen(body: &[u8]) -> Option<Answer> {
    let (version, rest) = number(body)?;
    let rest = rest.get(32..)?; // random
    let (session, rest) = rest.split_first()?;
    let rest = rest.get(usize::from(*session)..)?;
    let (suite, rest) = number(rest)?;
    let rest = rest.get(1..)?; // compression
    let mut version = version;
    // Before TLS 1.2 there may be none at all.
    if let Some((length, extensions)) = number(rest) {
        let mut extensions = extensions.get(..usize::from(length))?;
        while let Some((kind, rest)) = number(extensions) {
            let (length, rest) = number(rest)?;
            let data = rest.get(..usize::from(length))?;
            if kind == SUPPORTED_VERSIONS {
                version = number(data)?.0;
            }
            extensions = rest.get(usize::from(length)..)?;
        }
    }
    Some(Answer::Chosen { version, suite })
}

fn number(bytes: &[u8]) -> Option<(u16, &[u8])> {
    match bytes {
        [high, low, rest @ ..] => Some((u16::from_be_bytes([*high, *low]), rest)),
        _ => None,
    }
}

/// The name of an alert (RFC 8446 §6, and RFC 5246 §7.2 for what is gone).
pub fn alert_name(alert: u8) -> String {
    let name = match alert {
        0 => "close_notify",
        10 => "unexpected_message",
        20 => "bad_record_mac",
        22 => "record_overflow",
        40 => "handshake_failure",
        42 => "bad_certificate",
        47 => "illegal_parameter",
        50 => "decode_error",
        51 => "decrypt_error",
        70 => "protocol_version",
        71 => "insufficient_security",
        80 => "internal_error",
        86 => "inappropriate_fallback",
        90 => "user_canceled",
        109 => "missing_extension",
        112 => "unrecognized_name",
        _ => return format!("alert {alert}"),
    };
    format!("alert {name}")
}

impl std::fmt::Display for Answer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match *self {
            Self::Chosen { version, suite } => {
                match Version::from_number(version) {
                    Some(version) => write!(f, "{version}")?,
                    None => write!(f, "version {version:#06x}")?,
                }
                write!(f, " {}", suite_name(suite))
            }
            Self::Refused { alert } => f.write_str(&alert_name(alert)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A ServerHello in one record.
    fn hello(version: [u8; 2], suite: [u8; 2], extensions: &[u8]) -> Vec<u8> {
        let mut body = version.to_vec();
        body.extend([9; 32]);
        body.push(0);
        body.extend(suite);
        body.push(0);
        if !extensions.is_empty() {
            body.extend(u16::try_from(extensions.len()).unwrap().to_be_bytes());
            body.extend(extensions);
        }
        let mut message = vec![SERVER_HELLO, 0];
        message.extend(u16::try_from(body.len()).unwrap().to_be_bytes());
        message.extend(body);
        record(HANDSHAKE, &message)
    }

    fn record(kind: u8, data: &[u8]) -> Vec<u8> {
        let mut record = vec![kind, 3, 3];
        record.extend(u16::try_from(data.len()).unwrap().to_be_bytes());
        record.extend(data);
        record
    }

    fn shown(bytes: &[u8]) -> String {
        match AnswerReader::default().push(bytes) {
            Ok(Some(answer)) => answer.to_string(),
            Ok(None) => "more".to_owned(),
            Err(problem) => problem.to_string(),
        }
    }

    #[test]
    fn an_answer_is_a_choice_or_a_refusal() {
        let plain = hello([3, 3], [0xc0, 0x2f], &[]);
        let two_records = {
            let (first, second) = plain[5..].split_at(10);
            [record(HANDSHAKE, first), record(HANDSHAKE, second)].concat()
        };
        let warned = [record(ALERT, &[1, 112]), plain.clone()].concat();
        for (bytes, wanted) in [
            (
                plain.clone(),
                "TLSv1.2 TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256",
            ),
            (two_records, "TLSv1.2 TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256"),
            (warned, "TLSv1.2 TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256"),
            (
                hello([3, 3], [0x13, 1], &[0, 43, 0, 2, 3, 4]),
                "TLSv1.3 TLS_AES_128_GCM_SHA256",
            ),
            (
                hello([3, 1], [0, 0x2f], &[]),
                "TLSv1.0 TLS_RSA_WITH_AES_128_CBC_SHA",
            ),
            (
                hello([3, 9], [0xab, 0xcd], &[]),
                "version 0x0309 suite 0xabcd",
            ),
            (record(ALERT, &[2, 70]), "alert protocol_version"),
            (record(ALERT, &[2, 40]), "alert handshake_failure"),
            (record(ALERT, &[1, 0]), "alert close_notify"),
            (record(ALERT, &[2, 200]), "alert 200"),
        ] {
            assert_eq!(shown(&bytes), wanted);
            // In pieces it means the same, and no beginning of it means anything.
            let mut reader = AnswerReader::default();
            let mut answer = None;
            for (index, byte) in bytes.iter().enumerate() {
                answer = reader.push(&[*byte]).unwrap();
                if answer.is_some() {
                    assert!(index + 3 >= bytes.len(), "{wanted}");
                    break;
                }
            }
            assert_eq!(
                answer.map(|answer| answer.to_string()).as_deref(),
                Some(wanted)
            );
        }
    }

    #[test]
    fn what_is_no_answer_is_said() {
        let many = record(ALERT, &[1, 112]).repeat(5);
        let long = {
            let mut message = vec![SERVER_HELLO, 1, 0, 0];
            message.extend([0; 100]);
            record(HANDSHAKE, &message)
        };
        for (bytes, wanted) in [
            (
                b"220 mx1 ESMTP\r\n".to_vec(),
                "the answer is not TLS: it begins with byte 0x32",
            ),
            (
                record(23, &[0; 9]),
                "the answer is not TLS: it begins with byte 0x17",
            ),
            (
                record(HANDSHAKE, &[11, 0, 0, 0]),
                "handshake message 11 instead of a ServerHello",
            ),
            (
                record(HANDSHAKE, &[2, 0, 0, 3, 3, 3, 0]),
                "the ServerHello is cut off inside",
            ),
            (
                hello([3, 3], [0, 1], &[0, 43, 0, 9, 3]),
                "the ServerHello is cut off inside",
            ),
            (many, "the answer to the hello is longer than 4096 bytes"),
            (long, "the answer to the hello is longer than 4096 bytes"),
            (
                vec![22, 3, 3, 0xff, 0xff],
                "the answer to the hello is longer than 4096 bytes",
            ),
            (
                record(HANDSHAKE, &[]).repeat(5000),
                "the answer to the hello is longer than 4096 bytes",
            ),
            (vec![], "more"),
            (vec![22, 3], "more"),
        ] {
            assert_eq!(shown(&bytes), wanted);
        }
    }
}
