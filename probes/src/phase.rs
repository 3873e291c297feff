//! The closed list of timed parts of a check.

use std::time::Duration;

/// A timed part of a check. The names are label values, JSON keys and waterfall rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Phase {
    /// Resolving the names that the check needs.
    Dns,
    /// TCP connection set-up.
    Connect,
    /// TLS handshake on a connection that is encrypted from the first byte (RFC 8314).
    Tls,
    /// Waiting for the server's greeting (RFC 5321 §3.1).
    Banner,
    /// EHLO and its reply; the second EHLO after STARTTLS is added to it.
    Ehlo,
    /// STARTTLS, its reply and the handshake (RFC 3207).
    Starttls,
    /// SMTP authentication (RFC 4954).
    Auth,
    /// MAIL FROM and its reply.
    Mail,
    /// RCPT TO and its reply.
    Rcpt,
    /// DATA, the message and the final reply.
    Data,
    /// From the final reply until the message is visible in the mailbox. Also called delivery.
    Transit,
    /// IMAP greeting, TLS excluded, until the login is accepted.
    ImapLogin,
    /// SELECT or EXAMINE.
    ImapSelect,
    /// Looking for a message.
    ImapSearch,
    /// Reading a message.
    ImapFetch,
    /// Until the message is visible in the quarantine.
    Hold,
    /// Until the quarantine notice is visible.
    Notice,
    /// From the release until the message is visible in the mailbox.
    Release,
    /// From an HTTP request to the end of its answer.
    Http,
}

impl Phase {
    /// Every phase, in the order in which a check passes through them.
    pub const ALL: [Self; 19] = [
        Self::Dns,
        Self::Connect,
        Self::Tls,
        Self::Banner,
        Self::Ehlo,
        Self::Starttls,
        Self::Auth,
        Self::Mail,
        Self::Rcpt,
        Self::Data,
        Self::Transit,
        Self::ImapLogin,
        Self::ImapSelect,
        Self::ImapSearch,
        Self::ImapFetch,
        Self::Hold,
        Self::Notice,
        Self::Release,
        Self::Http,
    ];

    /// The stable name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Dns => "dns",
            Self::Connect => "connect",
            Self::Tls => "tls",
            Self::Banner => "banner",
            Self::Ehlo => "ehlo",
            Self::Starttls => "starttls",
            Self::Auth => "auth",
            Self::Mail => "mail",
            Self::Rcpt => "rcpt",
            Self::Data => "data",
            Self::Transit => "transit",
            Self::ImapLogin => "imap-login",
            Self::ImapSelect => "imap-select",
            Self::ImapSearch => "imap-search",
            Self::ImapFetch => "imap-fetch",
            Self::Hold => "hold",
            Self::Notice => "notice",
            Self::Release => "release",
            Self::Http => "http",
        }
    }

    /// The phase with this stable name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|phase| phase.name() == name)
    }
}

impl std::fmt::Display for Phase {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

/// How long each phase took, in the order in which the phases began. A phase that failed is timed too.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PhaseTimes(Vec<(Phase, Duration)>);

impl PhaseTimes {
    /// Adds `spent` to `phase`; a phase that is entered twice is summed.
    pub fn add(&mut self, phase: Phase, spent: Duration) {
        match self.0.iter_mut().find(|(known, _)| *known == phase) {
            Some((_, total)) => *total += spent,
            None => self.0.push((phase, spent)),
        }
    }

    /// The time spent in `phase`, if it was entered.
    #[must_use]
    pub fn get(&self, phase: Phase) -> Option<Duration> {
        self.0
            .iter()
            .find(|(known, _)| *known == phase)
            .map(|(_, spent)| *spent)
    }

    /// The phases in the order in which they began.
    pub fn iter(&self) -> impl Iterator<Item = (Phase, Duration)> + '_ {
        self.0.iter().copied()
    }

    /// connect … data: what a sender waits for until the message is accepted or refused.
    #[must_use]
    pub fn accept(&self) -> Duration {
        self.0
            .iter()
            .filter(|(phase, _)| (Phase::Connect..=Phase::Data).contains(phase))
            .map(|(_, spent)| *spent)
            .sum()
    }

    /// Whether no phase was entered.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl FromIterator<(Phase, Duration)> for PhaseTimes {
    fn from_iter<I: IntoIterator<Item = (Phase, Duration)>>(phases: I) -> Self {
        let mut times = Self::default();
        for (phase, spent) in phases {
            times.add(phase, spent);
        }
        times
    }
}
