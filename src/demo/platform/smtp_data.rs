//! The content of a mail: DATA, the final dot, and what is said and done about it.

use smtp_proto::request::receiver::{DataReceiver, DummyDataReceiver};

use super::misbehaviour::{Answer, FLOOD_LIMIT, Point};
use super::relay::Mail;
use super::smtp_session::{MAX_MESSAGE, Session};
use super::smtp_wire::{End, Said, Transport, Wire};

impl Session {
    /// DATA (RFC 5321 §4.1.1.4).
    pub(super) async fn data<S: Transport>(&mut self, wire: &mut Wire<S>) -> Result<(), End> {
        self.count(|seen| seen.data_commands += 1);
        if self.rcpt_to.is_empty() {
            wire.reply("503 5.5.1 No valid recipients");
            return Ok(());
        }
        let go_ahead = "354 End data with <CR><LF>.<CR><LF>";
        if self.say(wire, Point::Data, go_ahead).await? == Said::Otherwise {
            return Ok(());
        }
        let began = self.context.relay.clock.now();
        let content = self.content(wire).await?;
        let (Some((helo, esmtp)), Some(mail_from)) = (&self.helo, self.mail_from.take()) else {
            return Err(End::Close);
        };
        let rcpt_to = std::mem::take(&mut self.rcpt_to);
        let Some(content) = content else {
            wire.reply("552 5.3.4 Message size exceeds fixed limit");
            return Ok(());
        };
        let relay = &self.context.relay;
        // Kept twice, as received and as delivered, and the notes about it.
        if !relay.reserve(2 * content.len() + 2048) {
            wire.reply("452 4.3.1 Insufficient system storage");
            return Ok(());
        }
        let mail = Mail {
            address: self.context.address,
            peer: self.context.peer,
            esmtp: *esmtp,
            helo: helo.clone(),
            mail_from,
            rcpt_to,
            tls: self.tls.clone(),
            queue_id: relay.queue_id(self.context.address.node),
            began,
            raw: content.into(),
        };
        self.dispose(mail, wire).await
    }

    /// The final reply, and the delivery that it does or does not promise.
    async fn dispose<S: Transport>(&self, mail: Mail, wire: &mut Wire<S>) -> Result<(), End> {
        let (relay, misbehaviour) = (&self.context.relay, &self.context.conduct.misbehaviour);
        let promised = match misbehaviour.at(Point::Dot) {
            None | Some(Answer::Late(_)) => true,
            Some(Answer::Reply(text)) => text.starts_with('2'),
            Some(_) => false,
        };
        let deliver = promised || misbehaviour.deliver_unacknowledged;
        if deliver {
            relay.note(&mail);
        }
        let ordinary = format!("250 2.0.0 Ok: queued as {}", mail.queue_id);
        let said = self.say(wire, Point::Dot, &ordinary).await;
        if deliver {
            // The reply is on its way before the mail is: sent now, not with the next read.
            let _ = wire.flush().await;
            let handed = relay.hand_over(mail, misbehaviour.delivery).await;
            handed.map_err(|_| End::Close)?;
        }
        said.map(|_| ())
    }

    /// Reads up to the final dot; `None` if the message was too large.
    async fn content<S: Transport>(&self, wire: &mut Wire<S>) -> Result<Option<Vec<u8>>, End> {
        let mut content = Vec::new();
        let mut receiver = DataReceiver::new();
        // The receiver looks for CRLF before the dot; the CRLF of DATA counts as one.
        receiver.ingest(&mut b"\r\n".iter(), &mut content);
        let mut discard = None;
        let mut total = 0_usize;
        loop {
            if wire.unused().is_empty() {
                wire.fill().await?;
                total += wire.unused().len();
            }
            if total > FLOOD_LIMIT {
                return Err(End::Close);
            }
            // There is no ordinary reply here: what is scripted is said, and that is the end.
            if let Some(answer) = self.context.conduct.misbehaviour.at(Point::Content) {
                wire.say(Some(answer), "").await?;
                return Err(End::Close);
            }
            let mut bytes = wire.unused().iter();
            let done = match &mut discard {
                None => receiver.ingest(&mut bytes, &mut content),
                Some(rest) => DummyDataReceiver::ingest(rest, &mut bytes),
            };
            let left = bytes.as_slice().len();
            wire.keep_last(left);
            if done {
                content.drain(..2);
                return Ok((discard.is_none() && content.len() <= MAX_MESSAGE).then_some(content));
            }
            if discard.is_none() && content.len() > MAX_MESSAGE {
                discard = Some(DummyDataReceiver::new_data(&receiver));
            }
        }
    }
}
