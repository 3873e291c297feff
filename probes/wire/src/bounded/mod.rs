//! Limits on what a remote peer may send, enforced before anything is kept.
//!
//! [`LineReader`] cuts a byte stream into lines (SMTP, POP3); [`LiteralGuard`] watches an IMAP
//! stream that another parser reads. Both are incremental and look at each byte a constant number
//! of times. The two time bounds (per command, total) belong to the caller: nothing here has a clock.

mod line_reader;
mod literal_guard;

use thiserror::Error;

pub use line_reader::{Line, LineEnding, LineReader};
pub use literal_guard::LiteralGuard;

const KIB: usize = 1024;
const MIB: usize = 1024 * KIB;

/// How much a peer may send. All byte counts include line ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Bytes in one line.
    pub line: usize,
    /// Bytes in one reply (SMTP) or response (IMAP), literals included; also the largest literal.
    pub reply: usize,
    /// Bytes in the whole connection.
    pub connection: u64,
    /// Lines in one SMTP reply; atoms, lists, strings and literals in one IMAP response.
    pub items: usize,
    /// Depth of parentheses in one IMAP response.
    pub nesting: usize,
}

impl Limits {
    /// For SMTP and its relatives. RFC 5321 §4.5.3.1.5 allows 512 bytes in a reply line; real
    /// servers exceed it with long explanations, so 8 KiB are tolerated.
    pub const fn smtp() -> Self {
        Self {
            line: 8 * KIB,
            reply: 64 * KIB,
            connection: 4 * MIB as u64,
            items: 128,
            nesting: 0,
        }
    }

    /// For IMAP. One connection lives long (a watch), so its bound is wide; the reply bound is
    /// what protects the memory.
    pub const fn imap() -> Self {
        Self {
            line: 64 * KIB,
            reply: 16 * MIB,
            connection: 1024 * MIB as u64,
            items: 16 * KIB,
            nesting: 32,
        }
    }
}

/// A peer sent more than it may. The connection is of no further use: its position is unknown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum Overrun {
    /// [`Limits::line`].
    #[error("a line is longer than {limit} bytes")]
    Line {
        /// The bound, in bytes.
        limit: usize,
    },
    /// [`Limits::reply`].
    #[error("one reply is longer than {limit} bytes")]
    Reply {
        /// The bound, in bytes.
        limit: usize,
    },
    /// [`Limits::connection`].
    #[error("the peer sent more than {limit} bytes on one connection")]
    Connection {
        /// The bound, in bytes.
        limit: u64,
    },
    /// [`Limits::items`].
    #[error("one reply has more than {limit} lines or items")]
    Items {
        /// The bound, in lines (SMTP) or items (IMAP).
        limit: usize,
    },
    /// [`Limits::nesting`].
    #[error("parentheses are nested deeper than {limit}")]
    Nesting {
        /// The bound, in levels.
        limit: usize,
    },
    /// A literal whose announced size does not fit into what is left of [`Limits::reply`].
    #[error(
        "a literal of {announced} bytes is announced, more than the {limit} bytes of a reply allow"
    )]
    Literal {
        /// The announced size, in bytes.
        announced: u64,
        /// The bound of the whole reply, in bytes.
        limit: usize,
    },
}
