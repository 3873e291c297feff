//! What the embedded platform does wrong on request: data only, no behaviour of its own.
//!
//! The default of every type here is a platform in good order, so a test writes down
//! nothing but the fault it is about.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

use super::topology;

/// Everything that is wrong from the start. `Faults::default()` is a platform in good order.
#[derive(Debug, Clone, Default)]
pub struct Faults {
    /// By SMTP address.
    pub smtp: BTreeMap<IpAddr, Misbehaviour>,
    /// How long a node (`filter1`, `filter2`) keeps mail in its queue before handing it over.
    pub hold: BTreeMap<String, Duration>,
    /// By owner name without the final dot, in lower case (`mx1.example.test`).
    pub names: BTreeMap<String, NameFault>,
    /// The IMAP server's.
    pub imap: ImapMisbehaviour,
}

impl Faults {
    /// The three faults that `postrider demo` plants, each on an address of its own:
    /// filter2's fallback address refuses connections, filter2 holds mail in its queue
    /// (seen by way of its primary address), and MX mx2 shows a certificate for another
    /// name (seen at filter1's fallback address). filter1's primary address is in order.
    pub fn planted() -> Self {
        let other_name = Misbehaviour {
            certificate: CertificateKind::OtherName("mx-old.example.test".into()),
            ..Misbehaviour::default()
        };
        let refusing = Misbehaviour {
            connection: Connection::Refuse,
            ..other_name.clone()
        };
        Self {
            smtp: BTreeMap::from([
                (topology::FILTER1_FALLBACK, other_name),
                (topology::FILTER2_FALLBACK, refusing),
            ]),
            hold: BTreeMap::from([(topology::FILTER2.into(), PLANTED_HOLD)]),
            ..Self::default()
        }
    }
}

/// `Received` has a resolution of one second: a hold of 2.5 s reads as 2 s or 3 s there,
/// and a hop without one as 0 s or 1 s, so the two can never be taken for each other.
pub const PLANTED_HOLD: Duration = Duration::from_millis(2500);

/// What one SMTP address does wrong.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Misbehaviour {
    /// Before a byte is exchanged.
    pub connection: Connection,
    /// What is answered at a point instead of the ordinary reply; the first entry for a point counts.
    pub answers: Vec<(Point, Answer)>,
    /// The STARTTLS offer and what follows it.
    pub starttls: StartTls,
    /// The certificate shown.
    pub certificate: CertificateKind,
    /// What becomes of an accepted mail.
    pub delivery: Delivery,
    /// The mail is delivered although [`Point::Dot`] is not answered with acceptance.
    pub deliver_unacknowledged: bool,
    /// A pause before each single byte of every reply.
    pub trickle: Option<Duration>,
    /// Greylisting (RFC 6647): each pair of sender and recipient is refused for now until so long after it was seen first.
    pub greylist: Option<Duration>,
}

impl Misbehaviour {
    /// Nobody listens on the port.
    pub fn refuse() -> Self {
        Self {
            connection: Connection::Refuse,
            ..Self::default()
        }
    }

    /// `answer` instead of the ordinary reply at `point`.
    pub fn answer(point: Point, answer: Answer) -> Self {
        Self {
            answers: vec![(point, answer)],
            ..Self::default()
        }
    }

    /// A literal reply, without its CRLF, at `point`: `reply(Point::Rcpt, "451 4.3.0 Try later")`.
    pub fn reply(point: Point, reply: &str) -> Self {
        Self::answer(point, Answer::Reply(reply.into()))
    }

    /// Another certificate, otherwise in order.
    pub fn certificate(kind: CertificateKind) -> Self {
        Self {
            certificate: kind,
            ..Self::default()
        }
    }

    /// Another STARTTLS offer, otherwise in order.
    pub fn starttls(starttls: StartTls) -> Self {
        Self {
            starttls,
            ..Self::default()
        }
    }

    /// Another way with accepted mail, otherwise in order.
    pub fn delivery(delivery: Delivery) -> Self {
        Self {
            delivery,
            ..Self::default()
        }
    }

    /// Greylisting for this long, otherwise in order.
    pub fn greylist(delay: Duration) -> Self {
        Self {
            greylist: Some(delay),
            ..Self::default()
        }
    }

    /// The same, and a mail that is not acknowledged at the dot is delivered all the same.
    pub fn and_deliver(self) -> Self {
        Self {
            deliver_unacknowledged: true,
            ..self
        }
    }

    pub(super) fn at(&self, point: Point) -> Option<&Answer> {
        let scripted = self.answers.iter().find(|(at, _)| *at == point);
        scripted.map(|(_, answer)| answer)
    }
}

/// What happens to a connection before the banner.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Connection {
    /// Accepted.
    #[default]
    Accept,
    /// The port is bound but nobody listens: `ECONNREFUSED`.
    Refuse,
    /// The first packet is dropped, as by a firewall: the client's connect times out. Linux only.
    Filter,
    /// Accepted, then reset, a moment later so that the client has noticed that it is connected.
    Reset,
}

/// A point of the SMTP dialogue at which an [`Answer`] can be scripted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Point {
    /// The greeting.
    Banner,
    /// EHLO, in clear and after STARTTLS alike.
    Ehlo,
    /// HELO.
    Helo,
    /// STARTTLS.
    StartTls,
    /// MAIL FROM.
    Mail,
    /// RCPT TO.
    Rcpt,
    /// DATA.
    Data,
    /// The first content byte after 354, before the final dot.
    Content,
    /// The final dot.
    Dot,
    /// QUIT.
    Quit,
}

/// What the server does instead of its ordinary reply.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// This reply; lines separated by `\r\n`, the last CRLF is added. After a 421 the server closes.
    Reply(String),
    /// The ordinary reply, this much later.
    Late(Duration),
    /// Never a reply; the connection stays open.
    Silence,
    /// Closes the connection.
    Close,
    /// Resets the connection.
    Reset,
    /// Half a reply line, then closes.
    Truncated,
    /// Continuation lines without end (at most [`FLOOD_LIMIT`] bytes).
    EndlessLines,
    /// One line that never ends (at most [`FLOOD_LIMIT`] bytes).
    OversizedLine,
    /// A line that is no SMTP reply, with control and 8-bit bytes.
    Garbage,
}

/// Bytes after which an endless answer gives up, so that a test against a client without limits ends.
pub const FLOOD_LIMIT: usize = 64 << 20;

/// What STARTTLS is like.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum StartTls {
    /// In order.
    #[default]
    Offered,
    /// Not among the EHLO keywords; the command is answered 502.
    NotOffered,
    /// The client's first TLS record is answered with bytes that are none.
    Garbage,
    /// An EHLO reply in clear rides behind the 220 in the same segment, then a genuine
    /// handshake: what an attacker on the path would inject (CVE-2011-0411 seen from the client).
    InjectedPlaintext,
    /// 220, and then the handshake never goes on.
    Stalled,
}

/// Which certificate an address shows.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum CertificateKind {
    /// Issued by the platform's CA for the MX name and the node's name, valid for 90 days.
    #[default]
    Valid,
    /// Issued by the platform's CA for this name only.
    OtherName(String),
    /// As `Valid`, but over since yesterday.
    Expired,
    /// As `Valid`, but over in so many days.
    ExpiresInDays(u32),
    /// For the right names, signed by its own key.
    SelfSigned,
}

/// What becomes of an accepted mail.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Delivery {
    /// Into the INBOX, once.
    #[default]
    Normal,
    /// Into the INBOX, two copies.
    Twice,
    /// Nowhere, without a word.
    Lost,
    /// Into the folder Junk.
    Junk,
    /// Into the INBOX, with a line added to the body.
    Altered,
    /// Nowhere, and a report of it (RFC 3464) into the INBOX: the one mailbox there is stands for the sender's, too.
    Bounced,
}

/// What the DNS server answers for a name instead of the zone's content, for every type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NameFault {
    /// SERVFAIL.
    ServFail,
    /// REFUSED.
    Refused,
    /// NXDOMAIN.
    NxDomain,
    /// Nothing at all.
    Silence,
}

/// What the IMAP server does wrong. Read when a connection or a command begins.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ImapMisbehaviour {
    /// The greeting.
    pub greeting: Greeting,
    /// Every login is answered NO.
    pub refuse_login: bool,
    /// LOGINDISABLED is announced in clear, and a login before STARTTLS is refused.
    pub login_disabled_in_clear: bool,
    /// IDLE.
    pub idle: Idle,
    /// Announcements during IDLE are held back this long, as Dovecot does for half a second.
    pub push_delay: Option<Duration>,
    /// The connection is cut this long after the greeting, whatever happens.
    pub close_after: Option<Duration>,
    /// The connection is cut this long after IDLE was accepted.
    pub close_in_idle_after: Option<Duration>,
    /// A command with this name (`"UID FETCH"`, `"SELECT"`) is never answered.
    pub hang_at: Option<String>,
    /// What a FETCH that asks for message content gets.
    pub fetch: FetchFault,
    /// The certificate shown.
    pub certificate: CertificateKind,
}

/// The IMAP greeting.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Greeting {
    /// `* OK`.
    #[default]
    Ok,
    /// `* BYE`, then closed.
    Bye,
    /// None; the connection stays open.
    Silence,
}

/// How IDLE is supported.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Idle {
    /// Announced and honest.
    #[default]
    Offered,
    /// Neither announced nor understood (BAD).
    NotOffered,
    /// Announced, and answered NO.
    Refused,
    /// Announced and accepted, but nothing is ever pushed.
    Mute,
}

/// What happens to the content in a FETCH response.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum FetchFault {
    /// Nothing.
    #[default]
    None,
    /// A literal of 4 GiB − 1 is announced, a few bytes come, and then nothing.
    HugeLiteral,
    /// A literal of 4 GiB − 1 is announced and bytes keep coming (at most [`FLOOD_LIMIT`]).
    EndlessLiteral,
}
