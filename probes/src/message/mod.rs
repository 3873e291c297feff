//! The test mail: strictly valid RFC 5322, one tag, other words each time.

mod dkim;
mod words;

use std::time::SystemTime;

use lettre::message::header::{
    ContentTransferEncoding, ContentType, HeaderName, HeaderValue, MIME_VERSION_1_0,
};
use lettre::message::{Body, Mailbox as Addressee, MessageBuilder};
use postrider_wire::address::{HeaderText, Mailbox};
use postrider_wire::message::tag;

pub(crate) use crate::message::dkim::{PublicKey, public_key};

use crate::account::Sender;
use crate::outcome::Failure;
use crate::reason::Reason;

/// A size below this holds no headers.
pub const SMALLEST: u64 = 2 * 1024;
/// No larger mail is made.
pub const LARGEST: u64 = 32 * 1024 * 1024;

/// What goes into a mail.
#[derive(Debug)]
pub struct Letter<'a> {
    /// `From`, and the key that signs.
    pub sender: &'a Sender,
    /// `To`.
    pub recipient: &'a Mailbox,
    /// Subject without the tag's short form.
    pub subject: &'a HeaderText,
    /// The entry id: the tag's short form, and the seed of the words.
    pub id: tag::EntryId,
    /// The tag header's value.
    pub tag: &'a str,
    /// Without the angle brackets.
    pub message_id: &'a str,
    /// The run's id.
    pub run: &'a str,
    /// `scenario/step`.
    pub check: &'a str,
    /// Size of the whole message in bytes; a natural size when `None`.
    pub size: Option<u64>,
    /// `Date`.
    pub date: jiff::Timestamp,
}

impl Letter<'_> {
    /// The message in RFC 5322 form: CRLF line ends, no line over 78 characters in the body, signed when the sender has a key.
    ///
    /// # Errors
    /// `secret-…` when the DKIM key cannot be read; `internal` when a part is not valid, which checked types exclude.
    pub fn compose(&self) -> Result<Vec<u8>, Failure> {
        let signer = self
            .sender
            .dkim
            .as_ref()
            .map(dkim::Signer::load)
            .transpose()?;
        let plain = self.format(self.body(None))?;
        let signature = signer
            .as_ref()
            .map(|signer| signer.sign(&plain))
            .transpose()?
            .unwrap_or_default();
        let natural = plain.len() + signature.len();
        let Some(size) = self.size else {
            return Ok([signature, plain].concat());
        };
        // The signature's length does not depend on the body, so one correction makes the size exact.
        let size = usize::try_from(size.clamp(SMALLEST, LARGEST)).unwrap_or(natural);
        let body = self.body(None).len();
        let sized = self.format(self.body(Some((body + size).saturating_sub(natural))))?;
        let signature = signer
            .as_ref()
            .map(|signer| signer.sign(&sized))
            .transpose()?
            .unwrap_or_default();
        Ok([signature, sized].concat())
    }

    fn body(&self, size: Option<usize>) -> String {
        let about = format!(
            "This is an automatic test of mail delivery (Postrider, {}).\r\nIt needs no answer and may be deleted. Questions: {}\r\n\r\n",
            self.check, self.sender.contact,
        );
        words::lines(about, self.id.to_string().as_bytes(), size)
    }

    fn format(&self, body: String) -> Result<Vec<u8>, Failure> {
        let subject = format!("{} [{}]", self.subject, self.id);
        // Our words are plain lines already; a contact or a name in another script needs quoted-printable.
        let body = if is_plain(&body) {
            Body::dangerous_pre_encoded(body.into_bytes(), ContentTransferEncoding::SevenBit)
        } else {
            Body::new(body)
        };
        let message = MessageBuilder::new()
            .date(SystemTime::from(self.date))
            .from(addressee(&self.sender.address)?)
            .to(addressee(self.recipient)?)
            .subject(subject)
            .message_id(Some(format!("<{}>", self.message_id)))
            // RFC 2045 §4: without it the other Content fields mean nothing.
            .header(MIME_VERSION_1_0)
            .header(ContentType::TEXT_PLAIN)
            .raw_header(field("Auto-Submitted", "auto-generated")?)
            .raw_header(field(
                "X-Auto-Response-Suppress",
                "OOF, AutoReply, RN, NRN",
            )?)
            .raw_header(field("Postrider-Run", self.run)?)
            .raw_header(field(tag::HEADER_NAME, self.tag)?)
            .body(body)
            .map_err(|error| invalid(&error.to_string()))?;
        Ok(message.formatted())
    }
}

/// 7-bit text in lines that need no encoding (RFC 5322 §2.1.1).
fn is_plain(body: &str) -> bool {
    body.is_ascii()
        && !body.contains('\0')
        && body
            .split("\r\n")
            .all(|line| line.len() <= 998 && !line.contains(['\r', '\n']))
}

fn addressee(address: &Mailbox) -> Result<Addressee, Failure> {
    let address = address
        .to_string()
        .parse()
        .map_err(|_| invalid("an address is not valid"))?;
    Ok(Addressee::new(None, address))
}

fn field(name: &str, value: &str) -> Result<HeaderValue, Failure> {
    let name = HeaderName::new_from_ascii(name.to_owned())
        .map_err(|_| invalid("a header name is not valid"))?;
    Ok(HeaderValue::new(name, value.to_owned()))
}

fn invalid(what: &str) -> Failure {
    Failure::new(
        Reason::Internal,
        format!("the test mail could not be made: {what}"),
    )
}
