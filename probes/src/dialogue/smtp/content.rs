//! The message itself, between 354 and the final reply: where a mail is lost or doubled if anything is misread.

use std::time::Duration;

use postrider_wire::smtp::data::encode;
use postrider_wire::smtp::reply::Reply;
use postrider_wire::text::visible;
use tokio::time::Instant;

use super::{MINUTE, NoReply, Session, UNKNOWN, no_reply};
use crate::limit::Awaited;
use crate::outcome::Failure;
use crate::reason::Reason;

/// How long is waited for what a server said before it stopped reading: it is under way already, or never was.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// What became of a message.
#[derive(Debug)]
pub enum Sent {
    /// The last block was not begun: the message does not exist for the server.
    Not(Failure),
    /// The same, and the server has said why it did not want more.
    Refused(Reply),
    /// The final dot may have been read and there is no reply to rely on: never send it again.
    Unknown(Failure),
    /// The final reply.
    Replied(Reply),
}

impl Session<'_, '_> {
    /// The message after a 354, and the final reply.
    ///
    /// Until the last block is begun, a problem means that nothing was sent; after that, nobody knows.
    /// `completing` is called before its first byte is written.
    pub async fn message(
        &mut self,
        message: &[u8],
        completing: impl FnOnce(),
        within: Duration,
        final_reply: Duration,
    ) -> Sent {
        let cx = self.cx;
        let encoded = match encode(message) {
            Ok(encoded) => encoded,
            Err(problem) => {
                return Sent::Not(not_complete(NoReply::Broken(problem.to_string())));
            }
        };
        // The final dot goes out with the last block: as long as any of that block is unwritten, the message is not complete.
        let (body, dot) = encoded.split_at(encoded.len() - 3);
        let owed = Awaited::new(Reason::SmtpTimeout, "the message was not read to its end");
        let body = self.body(message.len(), body, within);
        if let Err(ended) = cx.awaiting(owed, body).await {
            return ended;
        }
        completing();
        let owed = Awaited::new(Reason::SmtpTimeout, "no reply to the final dot")
            .allowed(MINUTE.saturating_mul(10))
            .consequence(UNKNOWN);
        match cx
            .awaiting(owed, self.finish(dot, within, final_reply))
            .await
        {
            Ok(reply) => Sent::Replied(reply),
            Err(problem) => Sent::Unknown(no_reply(problem, "the final dot")),
        }
    }

    /// Everything but the last block.
    async fn body(&mut self, size: usize, body: &[u8], within: Duration) -> Result<(), Sent> {
        self.in_message = true;
        let Err(problem) = self.write_body(size, body, within).await else {
            return Ok(());
        };
        match self.reply(LAST_WORDS).await {
            Ok(reply) if reply.is_transient() || reply.is_permanent() => Err(Sent::Refused(reply)),
            _ => Err(Sent::Not(not_complete(problem))),
        }
    }

    /// A server that has something to say before the message is complete has not taken it.
    async fn write_body(
        &mut self,
        size: usize,
        body: &[u8],
        within: Duration,
    ) -> Result<(), NoReply> {
        self.silence().await?;
        self.say(
            true,
            &format!("({size} bytes of message, then the final dot)"),
        );
        self.write(body, Instant::now() + within, within).await?;
        self.silence().await
    }

    async fn silence(&mut self) -> Result<(), NoReply> {
        match self.unasked().await? {
            None => Ok(()),
            Some(said) => Err(NoReply::Unasked(said)),
        }
    }

    /// The last block, and the final reply: one, and no more.
    async fn finish(
        &mut self,
        dot: &[u8],
        within: Duration,
        final_reply: Duration,
    ) -> Result<Reply, NoReply> {
        self.write(dot, Instant::now() + within, within).await?;
        let reply = self.reply(final_reply).await?;
        self.in_message = false;
        // Of two replies nobody can say which one is meant. A connection that ends here says nothing.
        match self.unasked().await {
            Ok(Some(_)) if self.is_leaving() && !reply.is_positive_completion() => Ok(reply),
            Ok(Some(said)) => Err(NoReply::Broken(format!(
                "{} {}, and then {said}",
                reply.code,
                visible(&reply.text())
            ))),
            Ok(None) | Err(_) => Ok(reply),
        }
    }
}

fn not_complete(problem: NoReply) -> Failure {
    let verb = match problem {
        NoReply::Unasked(_) => "the final dot",
        _ => "DATA, before the final dot",
    };
    no_reply(problem, verb)
}
