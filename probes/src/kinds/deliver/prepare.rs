//! Everything about a delivery that is known before anything is contacted.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use postrider_wire::address::{EhloName, HeaderText, Mailbox};
use postrider_wire::message::tag::EntryId;

use super::route::Host;
use super::settings::{Deliver, StopAfter, TlsPolicy};
use crate::account::{MailboxAccount, Sender, Trust};
use crate::context::Context;
use crate::message::Letter;
use crate::outcome::{Failure, Mark};
use crate::post::Draft;
use crate::reason::Reason;

const SMTP_PORT: u16 = 25;
/// The route of a mail that several hosts may take.
const BY_MX_RECORDS: &str = "by MX records";
const DEFAULT_SUBJECT: &str = "Delivery check";

/// Time limits with their defaults applied.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    pub(super) connect: Duration,
    pub(super) banner: Duration,
    pub(super) command: Duration,
    pub(super) handshake: Duration,
    pub(super) data: Duration,
    pub(super) final_reply: Duration,
}

impl Limits {
    pub(super) fn new(settings: &Deliver) -> Self {
        let set = settings.timeouts.unwrap_or_default();
        let or = |value: Option<crate::setting::Period>, default: u64| {
            value.map_or(Duration::from_secs(default), |value| value.0)
        };
        Self {
            connect: or(set.connect, 10),
            banner: or(set.banner, 30),
            command: or(set.command, 30),
            handshake: or(set.handshake, 15),
            data: or(set.data, 180),
            final_reply: or(set.final_reply, 600),
        }
    }
}

/// A delivery that is ready to go.
#[derive(Debug)]
pub(super) struct Prepared<'a> {
    pub(super) sender: &'a Sender,
    pub(super) account: &'a MailboxAccount,
    pub(super) envelope_to: Mailbox,
    pub(super) helo: EhloName,
    pub(super) port: u16,
    pub(super) source: Option<IpAddr>,
    pub(super) tls: TlsPolicy,
    pub(super) trust: Trust,
    pub(super) limits: Limits,
    pub(super) stop_after: Option<StopAfter>,
    /// Whether `expect.reply` wants the reply that decides to be a refusal.
    pub(super) refusal_expected: bool,
    /// The intent; `None` when the dialogue ends before anything is sent.
    pub(super) draft: Option<Draft>,
    /// The message.
    pub(super) message: Vec<u8>,
}

impl<'a> Prepared<'a> {
    pub(super) fn new(settings: &Deliver, cx: &Context<'a>) -> Result<Self, Failure> {
        let sender = by_name(
            "sender",
            settings.from.as_ref().or(cx.message.from.as_ref()),
            cx.around.senders,
        )?;
        let account = by_name(
            "mailbox",
            settings.to.as_ref().or(cx.message.to.as_ref()),
            cx.around.mailboxes,
        )?;
        let envelope_to = match &settings.envelope_to {
            Some(template) => parse("envelope_to", &cx.fill(template)?)?,
            None => account.address.clone(),
        };
        if settings.stop_after.is_none() && !same_domain(&envelope_to, &account.address) {
            return Err(Failure::new(
                Reason::Internal,
                format!(
                    "envelope_to {envelope_to} is outside the mailbox's own domain {}; test mail goes nowhere else, nothing was sent",
                    account.address.domain()
                ),
            ));
        }
        let platform = &cx.around.platform;
        let mut prepared = Self {
            sender,
            account,
            envelope_to,
            helo: settings
                .helo
                .as_ref()
                .map_or_else(|| sender.helo.clone(), |helo| helo.value.0.clone()),
            port: settings.port.or(platform.smtp_port).unwrap_or(SMTP_PORT),
            source: settings
                .source_address
                .map(|address| address.0)
                .or(platform.source_address),
            tls: settings.tls.unwrap_or_default(),
            trust: settings.trust.as_ref().map_or_else(
                || platform.trust.clone(),
                super::settings::TrustSettings::trust,
            ),
            limits: Limits::new(settings),
            stop_after: settings.stop_after,
            refusal_expected: settings
                .expect
                .as_ref()
                .and_then(|expect| expect.reply)
                .is_some_and(|reply| reply.is_refusal()),
            draft: None,
            message: Vec::new(),
        };
        if settings.stop_after.is_none() {
            prepared.write(settings, cx)?;
        }
        Ok(prepared)
    }

    fn write(&mut self, settings: &Deliver, cx: &Context<'_>) -> Result<(), Failure> {
        let id: EntryId = cx.around.post.new_id();
        let subject = match settings.subject.as_ref().or(cx.message.subject.as_ref()) {
            Some(template) => cx.fill(template)?,
            None => DEFAULT_SUBJECT.to_owned(),
        };
        let subject: HeaderText = parse("subject", &subject)?;
        let arrives = settings.expected_arrival();
        let draft = Draft {
            id,
            retry_of: None,
            sender: self.sender.address.to_string(),
            recipient: self.envelope_to.to_string(),
            // Named after the sender's domain; a new one for each mail, so that no store drops it as a duplicate.
            message_id: format!("{id}@{}", self.sender.address.domain()).to_ascii_lowercase(),
            route: BY_MX_RECORDS.to_owned(),
            mx: None,
            address: None,
            mailbox: self
                .account
                .imap
                .is_some()
                .then(|| self.account.name.clone()),
            folder: settings.folder().into(),
            bounces_to: self.sender.bounces_to.clone(),
            within: arrives.map_or(Duration::MAX, |arrives| arrives.within.0),
        };
        self.message = Letter {
            sender: self.sender,
            recipient: &self.account.address,
            subject: &subject,
            id,
            tag: &cx.around.post.tag(&draft),
            message_id: &draft.message_id,
            run: cx.run,
            check: cx.check,
            size: settings.size.or(cx.message.size).map(|size| size.0),
            date: (cx.around.now)(),
        }
        .compose()?;
        self.draft = Some(draft);
        Ok(())
    }

    /// Says in the intent where the mail goes, when only one host may take it.
    pub(super) fn aim(&mut self, cx: &Context<'_>, hosts: &[Host]) {
        let (Some(draft), [host]) = (&mut self.draft, hosts) else {
            return;
        };
        // The name in DNS; the certificate may be asked for another one.
        let target = cx.target.filter(|target| target.address == host.address);
        let name = target.map(|target| &target.mx).or(host.name.as_ref());
        let mx = Host {
            name: name.map(|name| name.to_ascii_lowercase()),
            address: host.address,
        };
        draft.route = format!("{}:{}", mx.label(), self.port);
        draft.mx = mx.name;
        draft.address = Some(SocketAddr::new(host.address, self.port));
    }

    /// Commits the intent.
    pub(super) async fn plan(&mut self, cx: &Context<'_>) -> Result<(), Failure> {
        let Some(draft) = &self.draft else {
            return Ok(());
        };
        cx.around.post.plan(draft.clone()).await?;
        cx.say(
            Mark::Info,
            &format!("entry {} planned, {} bytes", draft.id, self.message.len()),
        );
        cx.evidence(|evidence| evidence.entries.push(draft.id.to_string()));
        Ok(())
    }
}

fn by_name<'a, T>(
    what: &str,
    name: Option<&crate::setting::Spanned<String>>,
    known: &'a std::collections::BTreeMap<String, T>,
) -> Result<&'a T, Failure> {
    name.and_then(|name| known.get(&name.value)).ok_or_else(|| {
        Failure::new(
            Reason::Internal,
            format!("the {what} of this step is not defined"),
        )
    })
}

/// Whether both are the same operator's, as far as names tell.
fn same_domain(one: &Mailbox, other: &Mailbox) -> bool {
    one.domain().eq_ignore_ascii_case(other.domain())
}

/// Text that templates filled in is checked again: it must not be able to end a line or a command.
fn parse<T: std::str::FromStr>(what: &str, text: &str) -> Result<T, Failure>
where
    T::Err: std::fmt::Display,
{
    text.parse().map_err(|problem| {
        let text = postrider_wire::text::visible(text);
        Failure::new(Reason::Internal, format!("{what} `{text}`: {problem}"))
    })
}
