//! An IMAP server in memory, so that time can be virtual: one account, folders, and switches for what a server may
//! do or fail to do. It is strict in one thing: whatever it does not know, it answers with BAD, and the test sees it.

use std::collections::{BTreeMap, BTreeSet};
use std::io::ErrorKind;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use postrider_probes::dialogue::stream::BoxStream;
use postrider_probes::net::{Answer, AskError, BoxFuture, Net, Question};
use tokio::io::{
    AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, DuplexStream, ReadHalf, WriteHalf,
};
use tokio::sync::watch as channel;
use tokio::time::{Instant, sleep_until};

/// What a server can do or not do.
#[derive(Debug, Clone)]
pub(super) struct Switches {
    pub(super) capabilities: &'static str,
    pub(super) accept_connections: bool,
    pub(super) accept_logins: bool,
    pub(super) refuse_idle: bool,
    /// How long announcements are gathered during IDLE.
    pub(super) gathers: Duration,
    /// UIDNEXT is said when a folder is opened.
    pub(super) says_uid_next: bool,
    /// Folders open for reading only.
    pub(super) read_only: bool,
    /// Instead of the answer to UID FETCH.
    pub(super) fetch_says: Option<&'static [u8]>,
    /// Commands that are never answered.
    pub(super) hangs_at: Option<&'static str>,
}

impl Default for Switches {
    fn default() -> Self {
        Self {
            capabilities: "IMAP4rev1 IDLE UIDPLUS SPECIAL-USE LIST-EXTENDED",
            accept_connections: true,
            accept_logins: true,
            refuse_idle: false,
            gathers: Duration::from_millis(500),
            says_uid_next: true,
            read_only: false,
            fetch_says: None,
            hangs_at: None,
        }
    }
}

#[derive(Debug, Clone)]
pub(super) struct Message {
    pub(super) uid: u32,
    pub(super) flags: BTreeSet<String>,
    pub(super) header: String,
}

#[derive(Debug, Clone)]
pub(super) struct Folder {
    pub(super) uid_validity: u32,
    pub(super) uid_next: u32,
    pub(super) attributes: &'static str,
    pub(super) messages: Vec<Message>,
}

#[derive(Debug, Default)]
pub(super) struct State {
    pub(super) switches: Switches,
    pub(super) folders: BTreeMap<String, Folder>,
    /// Every command with its arguments, tag left out, and when it came.
    pub(super) log: Vec<(Instant, String)>,
    pub(super) connections: usize,
    pub(super) open: usize,
    pub(super) most_open: usize,
}

/// The server and the way to it.
#[derive(Debug)]
pub(crate) struct Server {
    state: Mutex<State>,
    changed: channel::Sender<u64>,
    cut: channel::Sender<u64>,
}

impl Server {
    pub(crate) fn new() -> Arc<Self> {
        let server = Self {
            state: Mutex::default(),
            changed: channel::Sender::new(0),
            cut: channel::Sender::new(0),
        };
        server.make_folder("INBOX", "");
        server.make_folder("Junk", "\\Junk");
        Arc::new(server)
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn switch(&self, work: impl FnOnce(&mut Switches)) {
        work(&mut self.state().switches);
    }

    pub(super) fn make_folder(&self, name: &str, attributes: &'static str) {
        let folder = Folder {
            uid_validity: 1,
            uid_next: 1,
            attributes,
            messages: Vec::new(),
        };
        self.state().folders.insert(name.to_owned(), folder);
    }

    /// Puts a message with this header block into a folder; its UID.
    pub(crate) fn deliver(&self, folder: &str, header: &str) -> u32 {
        let uid = {
            let mut state = self.state();
            let folder = state.folders.get_mut(folder).unwrap();
            let uid = folder.uid_next;
            folder.uid_next += 1;
            folder.messages.push(Message {
                uid,
                flags: BTreeSet::from(["\\Recent".to_owned()]),
                header: format!("{header}\r\n\r\n"),
            });
            uid
        };
        self.changed.send_modify(|count| *count += 1);
        uid
    }

    /// Every message gets a new UID.
    pub(super) fn renumber(&self, folder: &str) {
        let mut state = self.state();
        let folder = state.folders.get_mut(folder).unwrap();
        folder.uid_validity += 1;
        for (uid, message) in (1..).zip(&mut folder.messages) {
            message.uid = uid;
            folder.uid_next = uid + 1;
        }
    }

    /// The folder is restored from a backup that was made when this was its UIDNEXT.
    pub(super) fn set_back(&self, folder: &str, uid_next: u32) {
        {
            let mut state = self.state();
            let folder = state.folders.get_mut(folder).unwrap();
            folder.messages.retain(|message| message.uid < uid_next);
            folder.uid_next = uid_next;
        }
        self.cut();
    }

    /// Ends every connection.
    pub(super) fn cut(&self) {
        self.cut.send_modify(|count| *count += 1);
    }

    pub(crate) fn uids(&self, folder: &str) -> Vec<u32> {
        let state = self.state();
        state.folders[folder]
            .messages
            .iter()
            .map(|m| m.uid)
            .collect()
    }

    /// The commands that begin with this.
    pub(super) fn commands(&self, start: &str) -> Vec<(Instant, String)> {
        let state = self.state();
        let log = state.log.iter();
        log.filter(|(_, command)| command.starts_with(start))
            .cloned()
            .collect()
    }
}

/// The network in which there is nothing but this server.
#[derive(Debug)]
pub(crate) struct OnlyThis(pub(crate) Arc<Server>);

impl Net for OnlyThis {
    fn connect(
        &self,
        _: SocketAddr,
        _: Option<IpAddr>,
    ) -> BoxFuture<'_, std::io::Result<BoxStream>> {
        Box::pin(async {
            {
                let mut state = self.0.state();
                state.connections += 1;
                if !state.switches.accept_connections {
                    return Err(ErrorKind::ConnectionRefused.into());
                }
            }
            let (ours, theirs) = tokio::io::duplex(64 * 1024);
            let mut cut = self.0.cut.subscribe();
            let server = Arc::clone(&self.0);
            tokio::spawn(async move {
                {
                    let mut state = server.state();
                    state.open += 1;
                    state.most_open = state.most_open.max(state.open);
                }
                tokio::select! {
                    _ = converse(&server, theirs) => {}
                    _ = cut.changed() => {}
                }
                server.state().open -= 1;
            });
            Ok(Box::new(ours) as BoxStream)
        })
    }

    fn ask(&self, _: Option<SocketAddr>, _: Question) -> BoxFuture<'_, Result<Answer, AskError>> {
        Box::pin(async { Err(AskError::NoResolver) })
    }
}

struct Connection<'a> {
    server: &'a Server,
    reader: BufReader<ReadHalf<DuplexStream>>,
    writer: WriteHalf<DuplexStream>,
    selected: Option<String>,
    writable: bool,
    /// The messages that the client knows of.
    told: Vec<u32>,
}

/// Talks until the client is gone.
async fn converse(server: &Server, stream: DuplexStream) -> std::io::Result<()> {
    let (reader, writer) = tokio::io::split(stream);
    let mut connection = Connection {
        server,
        reader: BufReader::new(reader),
        writer,
        selected: None,
        writable: false,
        told: Vec::new(),
    };
    connection.say("* OK ready").await?;
    loop {
        let Some(line) = connection.line().await? else {
            return Ok(());
        };
        let (tag, command) = line.split_once(' ').unwrap();
        let now = Instant::now();
        server.state().log.push((now, command.to_owned()));
        let hangs_at = server.state().switches.hangs_at;
        if hangs_at.is_some_and(|at| command.starts_with(at)) {
            return std::future::pending().await;
        }
        let answer = connection.obey(command).await?;
        connection.say(&format!("{tag} {answer}")).await?;
        if command == "LOGOUT" {
            return Ok(());
        }
    }
}

impl Connection<'_> {
    async fn obey(&mut self, command: &str) -> std::io::Result<&'static str> {
        let words: Vec<&str> = command.split(' ').collect();
        let switches = self.server.state().switches.clone();
        match words.as_slice() {
            ["CAPABILITY"] => {
                self.say(&format!("* CAPABILITY {}", switches.capabilities))
                    .await?;
            }
            ["LOGIN", user, password] => {
                if !switches.accept_logins || (*user, *password) != ("alice", "secret") {
                    return Ok("NO [AUTHENTICATIONFAILED] who are you?");
                }
            }
            ["LIST", ..] => self.list().await?,
            ["EXAMINE", name] => return self.select(name, false, &switches).await,
            ["SELECT", name] => return self.select(name, true, &switches).await,
            ["NOOP"] => self.tell_news().await?,
            ["IDLE"] if switches.refuse_idle => return Ok("NO not today"),
            ["IDLE"] => self.idle(switches.gathers).await?,
            ["UID", "SEARCH", criteria @ ..] => self.search(criteria).await?,
            ["UID", "FETCH", set, ..] => match switches.fetch_says {
                Some(bytes) => {
                    self.writer.write_all(bytes).await?;
                    return std::future::pending().await;
                }
                None => self.fetch(set).await?,
            },
            ["UID", "STORE", set, "+FLAGS.SILENT", "(\\Deleted)"] if self.writable => {
                self.each(set, |message| {
                    message.flags.insert("\\Deleted".to_owned());
                });
            }
            ["UID", "EXPUNGE", set] if self.writable => self.expunge(set).await?,
            ["LOGOUT"] => self.say("* BYE").await?,
            _ => return Ok("BAD unknown"),
        }
        Ok("OK done")
    }

    async fn list(&mut self) -> std::io::Result<()> {
        let lines: Vec<String> = {
            let state = self.server.state();
            let folders = state.folders.iter();
            folders
                .map(|(name, f)| format!("* LIST ({}) \"/\" \"{name}\"", f.attributes))
                .collect()
        };
        for line in lines {
            self.say(&line).await?;
        }
        Ok(())
    }

    async fn select(
        &mut self,
        name: &str,
        write: bool,
        switches: &Switches,
    ) -> std::io::Result<&'static str> {
        let name = name.trim_matches('"').to_owned();
        let opened = self.server.state().folders.get(&name).cloned();
        let Some(folder) = opened else {
            return Ok("NO [NONEXISTENT] no such folder");
        };
        self.selected = Some(name.clone());
        self.writable = write && !switches.read_only;
        self.told = folder.messages.iter().map(|m| m.uid).collect();
        if write {
            let mut state = self.server.state();
            for message in &mut state.folders.get_mut(&name).unwrap().messages {
                message.flags.remove("\\Recent");
            }
        }
        self.say(&format!("* {} EXISTS", self.told.len())).await?;
        self.say(&format!("* OK [UIDVALIDITY {}] ok", folder.uid_validity))
            .await?;
        if switches.says_uid_next {
            self.say(&format!("* OK [UIDNEXT {}] ok", folder.uid_next))
                .await?;
        }
        Ok(match self.writable {
            true => "OK [READ-WRITE] done",
            false => "OK [READ-ONLY] done",
        })
    }

    /// EXPUNGE and EXISTS for what has changed since the client was told.
    async fn tell_news(&mut self) -> std::io::Result<()> {
        let Some(now) = self.messages(|m| m.uid) else {
            return Ok(());
        };
        let before = self.told.clone();
        for uid in before {
            if !now.contains(&uid) {
                let at = self.told.iter().position(|u| *u == uid).unwrap();
                self.told.remove(at);
                self.say(&format!("* {} EXPUNGE", at + 1)).await?;
            }
        }
        if now.len() > self.told.len() {
            self.say(&format!("* {} EXISTS", now.len())).await?;
        }
        self.told = now;
        Ok(())
    }

    async fn idle(&mut self, gathers: Duration) -> std::io::Result<()> {
        let mut changes = self.server.changed.subscribe();
        self.say("+ idling").await?;
        self.tell_news().await?;
        let mut gathered = None;
        loop {
            tokio::select! {
                line = self.line() => {
                    let done = line?.as_deref() == Some("DONE");
                    return if done { Ok(()) } else { Err(ErrorKind::UnexpectedEof.into()) };
                }
                Ok(()) = changes.changed(), if gathered.is_none() => {
                    gathered = Some(Instant::now() + gathers);
                }
                () = sleep_until(gathered.unwrap_or_else(Instant::now)), if gathered.is_some() => {
                    gathered = None;
                    self.tell_news().await?;
                }
            }
        }
    }

    async fn search(&mut self, criteria: &[&str]) -> std::io::Result<()> {
        let found: Vec<String> = match criteria {
            ["HEADER", field, value] => {
                let (field, value) = (format!("{field}: "), value.trim_matches('"'));
                let fits = |m: &Message| {
                    m.header
                        .lines()
                        .any(|l| l.starts_with(&field) && l.contains(value))
                };
                let uids = self.messages(|m| fits(m).then_some(m.uid)).unwrap();
                uids.into_iter()
                    .flatten()
                    .map(|uid| uid.to_string())
                    .collect()
            }
            [sequence, "UID", set] => {
                let all = self.told.len();
                let (low, high) = sequence.split_once(':').unwrap();
                let low: usize = low.parse().unwrap();
                let high: usize = high.parse().unwrap_or(all);
                let here = self
                    .told
                    .get(low - 1..high.min(all))
                    .unwrap_or_default()
                    .to_vec();
                let wanted = self.members(set);
                here.iter()
                    .filter(|uid| wanted.contains(uid))
                    .map(u32::to_string)
                    .collect()
            }
            _ => panic!("an unknown search: {criteria:?}"),
        };
        self.say(&format!("* SEARCH {}", found.join(" "))).await
    }

    async fn fetch(&mut self, set: &str) -> std::io::Result<()> {
        for uid in self.members(set) {
            let Some(at) = self.told.iter().position(|u| *u == uid) else {
                continue;
            };
            let headers = self
                .messages(|m| (m.uid == uid).then(|| m.header.clone()))
                .unwrap();
            let Some(header) = headers.into_iter().flatten().next() else {
                continue;
            };
            let line = format!(
                "* {} FETCH (UID {uid} INTERNALDATE \"21-Nov-2026 10:00:00 +0000\" RFC822.SIZE 1000 BODY[HEADER]<0> {{{}}}\r\n{header})",
                at + 1,
                header.len()
            );
            self.say(&line).await?;
        }
        Ok(())
    }

    async fn expunge(&mut self, set: &str) -> std::io::Result<()> {
        let wanted = self.members(set);
        {
            let mut state = self.server.state();
            let folder = state
                .folders
                .get_mut(self.selected.as_ref().unwrap())
                .unwrap();
            folder
                .messages
                .retain(|m| !(wanted.contains(&m.uid) && m.flags.contains("\\Deleted")));
        }
        self.tell_news().await
    }

    fn each(&self, set: &str, mut work: impl FnMut(&mut Message)) {
        let wanted = self.members(set);
        let mut state = self.server.state();
        let folder = state
            .folders
            .get_mut(self.selected.as_ref().unwrap())
            .unwrap();
        for message in folder
            .messages
            .iter_mut()
            .filter(|m| wanted.contains(&m.uid))
        {
            work(message);
        }
    }

    fn messages<T>(&self, look: impl FnMut(&Message) -> T) -> Option<Vec<T>> {
        let state = self.server.state();
        let folder = state.folders.get(self.selected.as_ref()?)?;
        Some(folder.messages.iter().map(look).collect())
    }

    /// The UIDs of a set that the client knows of. `n:*` holds the newest in any case (RFC 9051 §9).
    fn members(&self, set: &str) -> Vec<u32> {
        let newest = self.told.last().copied().unwrap_or(0);
        let number = |text: &str| {
            if text == "*" {
                newest
            } else {
                text.parse().unwrap()
            }
        };
        let ranges: Vec<(u32, u32)> = set
            .split(',')
            .map(|part| {
                let (low, high) = part.split_once(':').unwrap_or((part, part));
                let (low, high) = (number(low), number(high));
                (low.min(high), low.max(high))
            })
            .collect();
        let within = |uid: &u32| ranges.iter().any(|(low, high)| (low..=high).contains(&uid));
        self.told.iter().copied().filter(within).collect()
    }

    /// The next line; `None` at the end.
    async fn line(&mut self) -> std::io::Result<Option<String>> {
        let mut line = String::new();
        let count = self.reader.read_line(&mut line).await?;
        Ok((count > 0).then(|| line.trim_end().to_owned()))
    }

    async fn say(&mut self, line: &str) -> std::io::Result<()> {
        self.writer.write_all(line.as_bytes()).await?;
        self.writer.write_all(b"\r\n").await
    }
}
