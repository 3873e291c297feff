//! What an IMAP session wants said, and what the connection has to do about it.

use std::time::Duration;

use imap_codec::imap_types::core::{Tag, Text};
use imap_codec::imap_types::response::{
    Bye, Code, Response, Status, StatusBody, StatusKind, Tagged,
};

/// What the connection does next.
pub(super) enum Next {
    /// Goes on.
    Go,
    /// Sends these.
    Say(Vec<Response<'static>>),
    /// IDLE was accepted.
    IdleBegins { cut_after: Option<Duration> },
    /// DONE came; sends these.
    IdleEnds(Vec<Response<'static>>),
    /// Sends these and closes.
    Close(Vec<Response<'static>>),
    /// Sends these and begins the TLS handshake.
    StartTls(Vec<Response<'static>>),
    /// Scripted: never says a word again.
    Hang,
    /// Scripted: sends this, and then nothing or bytes without end.
    Flood { head: Vec<u8>, endless: bool },
}

/// Responses before the tagged one, and the tagged one's content.
pub(super) struct Done {
    pub(super) responses: Vec<Response<'static>>,
    pub(super) kind: StatusKind,
    pub(super) code: Option<Code<'static>>,
    pub(super) text: &'static str,
}

impl Done {
    pub(super) fn ok(responses: Vec<Response<'static>>, text: &'static str) -> Self {
        let (kind, code) = (StatusKind::Ok, None);
        Self {
            responses,
            kind,
            code,
            text,
        }
    }

    pub(super) fn no(text: &'static str) -> Self {
        let kind = StatusKind::No;
        Self {
            kind,
            ..Self::ok(Vec::new(), text)
        }
    }

    pub(super) fn bad(text: &'static str) -> Self {
        let kind = StatusKind::Bad;
        Self {
            kind,
            ..Self::ok(Vec::new(), text)
        }
    }

    pub(super) fn tagged(self, tag: Tag<'static>) -> Vec<Response<'static>> {
        let mut responses = self.responses;
        let body = StatusBody {
            kind: self.kind,
            code: self.code,
            text: Text::unvalidated(self.text),
        };
        responses.push(Response::Status(Status::Tagged(Tagged { tag, body })));
        responses
    }
}

/// The server ends the connection (RFC 3501 §7.1.5).
pub(super) fn bye(text: &'static str) -> Response<'static> {
    let (code, text) = (None, Text::unvalidated(text));
    Response::Status(Status::Bye(Bye { code, text }))
}
