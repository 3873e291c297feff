//! Why a conversation with an IMAP server did not go on.

use postrider_wire::bounded::Overrun;
use postrider_wire::text::RemoteText;

/// What went wrong. No variant ever holds a password, not even one that the server sent back.
///
/// After [`Refused`](Self::Refused), [`LoginRefused`](Self::LoginRefused), [`LoginDisabled`](Self::LoginDisabled),
/// [`BadArgument`](Self::BadArgument) and [`NoSuchMessage`](Self::NoSuchMessage) the session can be
/// used further; after any other error it cannot.
#[derive(Debug, thiserror::Error)]
pub enum ImapError {
    /// The connection ended while `command` was running.
    #[error("the server closed the connection during {command}")]
    Closed {
        /// The command that was running.
        command: &'static str,
    },
    /// `command` as a whole took longer than its time limit.
    #[error("no complete answer to {command} within the time limit")]
    TimedOut {
        /// The command that was running.
        command: &'static str,
    },
    /// Reading or writing failed.
    #[error("the connection failed during {command}: {source}")]
    Io {
        /// The command that was running.
        command: &'static str,
        /// What the system said.
        source: std::io::Error,
    },
    /// LOGIN or AUTHENTICATE was answered with NO or BAD.
    #[error("the login was refused: {text}")]
    LoginRefused {
        /// Response code in capitals without its brackets (RFC 5530), such as `AUTHENTICATIONFAILED`.
        code: Option<String>,
        /// The server's words.
        text: RemoteText,
    },
    /// The server announces LOGINDISABLED (RFC 9051 section 6.2.3) and no AUTH=PLAIN.
    #[error("the server allows no login with a password here (LOGINDISABLED)")]
    LoginDisabled,
    /// Any other command was answered with NO or BAD.
    #[error("{command} was refused: {text}")]
    Refused {
        /// The command that was refused.
        command: &'static str,
        /// Response code in capitals without its brackets (RFC 5530), such as `NONEXISTENT`.
        code: Option<String>,
        /// The server's words.
        text: RemoteText,
    },
    /// The server said BYE and closed the connection.
    #[error("the server said goodbye: {text}")]
    Bye {
        /// The server's words.
        text: RemoteText,
    },
    /// An answer that had to be understood could not be.
    #[error("the server's answer is not IMAP: {what}")]
    Malformed {
        /// What was being read.
        what: &'static str,
        /// The line that was not understood, where there is one.
        line: Option<RemoteText>,
    },
    /// The server sent more than the limits allow.
    #[error(transparent)]
    TooMuch(#[from] Overrun),
    /// More untagged responses to one command than the limits allow.
    #[error("more than {limit} responses to {command}")]
    TooManyResponses {
        /// The command that was running.
        command: &'static str,
        /// The limit.
        limit: usize,
    },
    /// Plain bytes followed the answer to STARTTLS, before any handshake (CVE-2011-0411 and its kin).
    #[error("data follows the answer to STARTTLS: someone may be injecting commands")]
    StarttlsInjection,
    /// The message is not, or no longer, in the folder.
    #[error("no message with UID {uid} in the folder")]
    NoSuchMessage {
        /// The UID that was asked for.
        uid: u32,
    },
    /// Something that cannot be sent, or asked for in this state.
    #[error("cannot be sent to an IMAP server: {what}")]
    BadArgument {
        /// What is wrong; never the value.
        what: &'static str,
    },
    /// An earlier command did not come to its end, so that the answers can no longer be told apart.
    #[error("the session cannot go on: an earlier command was not finished")]
    Unfinished,
}

/// Short for what every command gives.
pub type Result<T, E = ImapError> = std::result::Result<T, E>;

impl ImapError {
    /// Whether the session can take another command after this error.
    pub fn leaves_session_usable(&self) -> bool {
        matches!(
            self,
            Self::LoginRefused { .. }
                | Self::LoginDisabled
                | Self::Refused { .. }
                | Self::NoSuchMessage { .. }
                | Self::BadArgument { .. }
        )
    }
}
