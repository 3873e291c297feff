//! One IMAP session (RFC 3501): its state, and what each command answers. No I/O.
//!
//! Two things the codec does not do are done in [`Session::malformed`]: STARTTLS, which it
//! does not know without a feature of its own, and a tagged BAD for what it cannot parse.

use std::sync::Arc;
use std::time::Duration;

use imap_codec::imap_types::auth::{AuthMechanism, AuthenticateData};
use imap_codec::imap_types::command::{Command, CommandBody};
use imap_codec::imap_types::core::{Tag, Text};
use imap_codec::imap_types::response::{
    Capability, Code, CommandContinuationRequest, Data, Greeting, GreetingKind, Response, Status,
    StatusBody, StatusKind,
};
use imap_next::server::{Error, Event, Server};
use imap_next::types::CommandAuthenticate;
use tokio::sync::watch;

use super::imap::ImapServer;
use super::imap_folder::Selected;
use super::imap_list;
use super::imap_reply::{Done, Next, bye};
use super::misbehaviour::Idle;
use super::topology;

/// The state of one session.
pub(super) struct Session {
    server: Arc<ImapServer>,
    encrypted: bool,
    logged_in: bool,
    selected: Option<Selected>,
    /// The tag of the IDLE under way.
    idling: Option<Tag<'static>>,
    /// The tag of the AUTHENTICATE under way.
    authenticating: Option<Tag<'static>>,
}

impl Session {
    pub(super) fn new(server: Arc<ImapServer>, encrypted: bool) -> Self {
        Self {
            server,
            encrypted,
            logged_in: false,
            selected: None,
            idling: None,
            authenticating: None,
        }
    }

    pub(super) fn is_logged_in(&self) -> bool {
        self.logged_in
    }

    pub(super) fn is_idling(&self) -> bool {
        self.idling.is_some() && self.server.misbehaviour().idle != Idle::Mute
    }

    pub(super) fn push_delay(&self) -> Option<Duration> {
        self.server.misbehaviour().push_delay
    }

    pub(super) fn changes(&self) -> watch::Receiver<u64> {
        self.server.store.changes()
    }

    pub(super) fn greeting(&self) -> Greeting<'static> {
        Greeting {
            kind: GreetingKind::Ok,
            code: capability_list(self.capabilities()).map(Code::Capability),
            text: Text::unvalidated(topology::IMAP_HOST),
        }
    }

    fn capabilities(&self) -> Vec<Capability<'static>> {
        let misbehaviour = self.server.misbehaviour();
        let clear = !self.encrypted && !self.logged_in;
        let named = |name: &'static str| Capability::try_from(name).ok();
        let when = |yes: bool, capability: Option<Capability<'static>>| capability.filter(|_| yes);
        let login = !(clear && misbehaviour.login_disabled_in_clear);
        [
            Some(Capability::Imap4Rev1),
            Some(Capability::LiteralPlus),
            Some(Capability::SaslIr),
            named("ID"),
            when(
                misbehaviour.idle != Idle::NotOffered,
                Some(Capability::Idle),
            ),
            Some(Capability::UidPlus),
            Some(Capability::Unselect),
            named("SPECIAL-USE"),
            when(clear, named("STARTTLS")),
            when(!login, Some(Capability::LoginDisabled)),
            when(
                login && !self.logged_in,
                Some(Capability::Auth(AuthMechanism::Plain)),
            ),
        ]
        .into_iter()
        .flatten()
        .collect()
    }

    pub(super) fn handle(&mut self, event: Event, protocol: &mut Server) -> Next {
        match event {
            Event::GreetingSent { .. } | Event::ResponseSent { .. } => Next::Go,
            Event::CommandReceived { command } => self.command(command),
            Event::CommandAuthenticateReceived {
                command_authenticate,
            } => self.authenticate(command_authenticate, protocol),
            Event::AuthenticateDataReceived { authenticate_data } => {
                self.authenticate_data(&authenticate_data, protocol)
            }
            Event::IdleCommandReceived { tag } => self.idle(tag, protocol),
            Event::IdleDoneReceived => match self.idling.take() {
                Some(tag) => Next::IdleEnds(Done::ok(Vec::new(), "IDLE completed").tagged(tag)),
                None => Next::Go,
            },
        }
    }

    fn command(&mut self, command: Command<'static>) -> Next {
        let name = name_of(&command.body);
        self.server.record.imap_command(&name);
        let misbehaviour = self.server.misbehaviour();
        if misbehaviour.hang_at.as_deref() == Some(name.as_str()) {
            return Next::Hang;
        }
        match command.body {
            // Known to the codec only when something else in the build asks for it.
            body if body.name() == "STARTTLS" => self.start_tls(command.tag),
            CommandBody::Logout => {
                let mut responses = vec![bye("Logging out")];
                responses.extend(Done::ok(Vec::new(), "LOGOUT completed").tagged(command.tag));
                Next::Close(responses)
            }
            body => {
                if let Some(gone) = self.stale() {
                    return Next::Close(gone);
                }
                if let Some(selected) = &self.selected
                    && let Some(flood) = selected.flood(&self.server.store, &misbehaviour, &body)
                {
                    return flood;
                }
                let done = self.execute(body, &name);
                Next::Say(done.tagged(command.tag))
            }
        }
    }

    fn execute(&mut self, body: CommandBody<'static>, name: &str) -> Done {
        match body {
            CommandBody::Capability => self.capability(),
            CommandBody::Noop => Done::ok(self.news(), "NOOP completed"),
            CommandBody::Id { .. } => {
                let id = Data::Id { parameters: None };
                Done::ok(vec![Response::Data(id)], "ID completed")
            }
            CommandBody::Login { username, password } if !self.logged_in => {
                self.login(username.as_ref(), password.declassify().as_ref())
            }
            _ if !self.logged_in => Done::bad("Log in first"),
            CommandBody::Select { mailbox, .. } | CommandBody::Examine { mailbox, .. } => {
                let read_only = name == "EXAMINE";
                let (selected, done) = Selected::open(&self.server, &mailbox, read_only);
                self.selected = selected;
                done
            }
            CommandBody::List {
                reference,
                mailbox_wildcard,
            } => imap_list::list(&reference, &mailbox_wildcard),
            CommandBody::Status {
                mailbox,
                item_names,
            } => imap_list::status(&self.server.store, mailbox, &item_names),
            CommandBody::Close | CommandBody::Unselect => match self.selected.take() {
                Some(selected) if name == "CLOSE" => selected.close(&self.server),
                Some(_) => Done::ok(Vec::new(), "UNSELECT completed"),
                None => Done::bad("No folder is selected"),
            },
            CommandBody::Login { .. } => Done::bad("Already logged in"),
            body => match &mut self.selected {
                Some(selected) => selected.execute(&self.server, body, name),
                None => Done::no("Not here, or no folder is selected"),
            },
        }
    }

    fn capability(&self) -> Done {
        let list = capability_list(self.capabilities()).map(Data::Capability);
        let responses = list.map(Response::Data).into_iter().collect();
        Done::ok(responses, "CAPABILITY completed")
    }

    fn login(&mut self, username: &[u8], password: &[u8]) -> Done {
        let misbehaviour = self.server.misbehaviour();
        if misbehaviour.login_disabled_in_clear && !self.encrypted {
            return Done::no("Login is disabled without TLS");
        }
        let known = username == self.server.username.as_bytes()
            && password == self.server.password.as_bytes();
        if misbehaviour.refuse_login || !known {
            return Done::no("Authentication failed");
        }
        self.logged_in = true;
        self.server.record.imap(|seen| seen.logins += 1);
        Done {
            code: capability_list(self.capabilities()).map(Code::Capability),
            ..Done::ok(Vec::new(), "Logged in")
        }
    }

    /// AUTHENTICATE PLAIN, with or without an initial response (RFC 4616, RFC 4959).
    fn authenticate(&mut self, command: CommandAuthenticate, protocol: &mut Server) -> Next {
        self.server.record.imap_command("AUTHENTICATE");
        self.authenticating = Some(command.tag);
        if command.mechanism != AuthMechanism::Plain || self.logged_in {
            return self.finish_authentication(Done::no("Only PLAIN, and once"), protocol);
        }
        if let Some(response) = command.initial_response {
            let done = self.plain(response.declassify());
            return self.finish_authentication(done, protocol);
        }
        // Refused only where no AUTHENTICATE is under way, and one is.
        let _ = protocol.authenticate_continue(CommandContinuationRequest::base64(Vec::new()));
        Next::Go
    }

    fn authenticate_data(&mut self, data: &AuthenticateData<'_>, protocol: &mut Server) -> Next {
        let done = match data {
            AuthenticateData::Continue(response) => self.plain(response.declassify()),
            AuthenticateData::Cancel => Done::bad("AUTHENTICATE cancelled"),
        };
        self.finish_authentication(done, protocol)
    }

    fn plain(&mut self, response: &[u8]) -> Done {
        let mut parts = response.split(|byte| *byte == 0).skip(1);
        match (parts.next(), parts.next()) {
            (Some(username), Some(password)) => self.login(username, password),
            _ => Done::bad("No PLAIN response"),
        }
    }

    fn finish_authentication(&mut self, done: Done, protocol: &mut Server) -> Next {
        let tag = self.authenticating.take();
        for response in tag.map(|tag| done.tagged(tag)).unwrap_or_default() {
            if let Response::Status(status) = response {
                // Refused only where no AUTHENTICATE is under way, and one is.
                let _ = protocol.authenticate_finish(status);
            }
        }
        Next::Go
    }

    fn idle(&mut self, tag: Tag<'static>, protocol: &mut Server) -> Next {
        self.server.record.imap_command("IDLE");
        let misbehaviour = self.server.misbehaviour();
        if misbehaviour.hang_at.as_deref() == Some("IDLE") {
            return Next::Hang;
        }
        if let Some(gone) = self.stale() {
            return Next::Close(gone);
        }
        let refusal = match misbehaviour.idle {
            Idle::NotOffered => Some(Done::bad("Unknown command")),
            Idle::Refused => Some(Done::no("IDLE is not available now")),
            _ if self.selected.is_none() => Some(Done::bad("No folder is selected")),
            Idle::Offered | Idle::Mute => None,
        };
        // imap-next refuses either call only where no IDLE waits for its answer, and one does.
        if let Some(done) = refusal {
            for response in done.tagged(tag) {
                if let Response::Status(status) = response {
                    let _ = protocol.idle_reject(status);
                }
            }
            return Next::Go;
        }
        if let Ok(go_ahead) = CommandContinuationRequest::basic(None, Text::unvalidated("idling")) {
            let _ = protocol.idle_accept(go_ahead);
        }
        self.idling = Some(tag);
        Next::IdleBegins {
            cut_after: misbehaviour.close_in_idle_after,
        }
    }

    /// EXPUNGE and EXISTS since the client last heard of them.
    pub(super) fn news(&mut self) -> Vec<Response<'static>> {
        if self.idling.is_some() && self.server.misbehaviour().idle == Idle::Mute {
            return Vec::new();
        }
        let selected = self.selected.as_mut();
        selected.map_or_else(Vec::new, |selected| selected.news(&self.server.store))
    }

    /// A farewell, if the selected folder got another UIDVALIDITY meanwhile.
    pub(super) fn stale(&self) -> Option<Vec<Response<'static>>> {
        let selected = self.selected.as_ref()?;
        let stale = !selected.is_current(&self.server.store);
        stale.then(|| vec![bye("The folder has another UIDVALIDITY now")])
    }

    pub(super) fn autologout() -> Vec<Response<'static>> {
        vec![bye("Autologout")]
    }

    fn start_tls(&self, tag: Tag<'static>) -> Next {
        if self.encrypted {
            return Next::Say(Done::bad("TLS is already active").tagged(tag));
        }
        Next::StartTls(Done::ok(Vec::new(), "Begin TLS negotiation now").tagged(tag))
    }

    /// TLS is active: what was said in clear does not count.
    pub(super) fn secured(self) -> Self {
        Self::new(self.server, true)
    }

    /// Answers what the codec could not parse.
    pub(super) fn malformed(&self, error: &Error) -> Next {
        let bytes = match error {
            Error::ExpectedCrlfGotLf { discarded_bytes }
            | Error::MalformedMessage { discarded_bytes }
            | Error::CommandTooLong { discarded_bytes } => discarded_bytes,
            // The state machine has answered already.
            Error::LiteralTooLong { .. } => return Next::Go,
        };
        let line = String::from_utf8_lossy(bytes.declassify());
        let (tag, command) = line.trim_end().split_once(' ').unwrap_or(("", ""));
        let Ok(tag) = Tag::try_from(tag.to_owned()) else {
            self.server.record.imap_command("malformed");
            let body = StatusBody {
                kind: StatusKind::Bad,
                code: None,
                text: Text::unvalidated("No tag"),
            };
            return Next::Say(vec![Response::Status(Status::Untagged(body))]);
        };
        if command.eq_ignore_ascii_case("STARTTLS") {
            self.server.record.imap_command("STARTTLS");
            return self.start_tls(tag);
        }
        self.server.record.imap_command("malformed");
        Next::Say(Done::bad("Unknown command or syntax error").tagged(tag))
    }
}

fn capability_list<L>(capabilities: Vec<Capability<'static>>) -> Option<L>
where
    L: TryFrom<Vec<Capability<'static>>>,
{
    L::try_from(capabilities).ok()
}

/// The command's name, with `UID` in front where it is one of those.
fn name_of(body: &CommandBody<'_>) -> String {
    let uid = match body {
        CommandBody::ExpungeUid { .. } => true,
        CommandBody::Fetch { uid, .. }
        | CommandBody::Store { uid, .. }
        | CommandBody::Search { uid, .. }
        | CommandBody::Copy { uid, .. }
        | CommandBody::Move { uid, .. } => *uid,
        _ => false,
    };
    let prefix = if uid { "UID " } else { "" };
    format!("{prefix}{}", body.name())
}
