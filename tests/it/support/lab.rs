//! One platform, one directory of configuration and state.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::net::{IpAddr, SocketAddr};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use postrider::clock;
use postrider::demo::platform::misbehaviour::{Faults, ImapMisbehaviour, Misbehaviour};
use postrider::demo::platform::topology::{
    FILTER1_FALLBACK, FILTER1_PRIMARY, FILTER2_FALLBACK, FILTER2_PRIMARY, Role,
};
use postrider::demo::platform::{Platform, Setup};
use postrider::ledger::entry::Entry;
use postrider::store::Store;
use tempfile::TempDir;

use super::Program;

/// The four addresses, each with the domain whose only MX has that address, and the name that its certificate carries.
const ADDRESSES: [(IpAddr, &str, &str); 4] = [
    (FILTER1_PRIMARY, "one.example.test", "mx1.example.test"),
    (FILTER1_FALLBACK, "two.example.test", "mx2.example.test"),
    (FILTER2_PRIMARY, "three.example.test", "mx1.example.test"),
    (FILTER2_FALLBACK, "four.example.test", "mx2.example.test"),
];

/// How the mailbox stands in the main file.
#[derive(Debug, Clone)]
pub(crate) struct Mailbox {
    /// Under `imap:`, without server and port.
    pub(crate) tls: &'static str,
    /// Instead of the platform's IMAP port.
    pub(crate) port: Option<u16>,
    /// What the password file holds; no file when there is nothing, and `a directory` is one.
    pub(crate) password: Option<&'static str>,
}

impl Default for Mailbox {
    fn default() -> Self {
        Self {
            tls: "implicit",
            port: None,
            password: Some("correct-horse-battery"),
        }
    }
}

/// The laboratory.
#[derive(Debug)]
pub(crate) struct Lab {
    pub(crate) platform: Platform,
    pub(crate) mailbox: Mailbox,
    /// Instead of the platform's name server.
    pub(crate) resolver: Option<SocketAddr>,
    /// Instead of the platform's nodes, below `nodes:`.
    pub(crate) nodes: Option<String>,
    /// Keys at the end of the main file.
    pub(crate) more: String,
    files: TempDir,
}

impl Lab {
    /// A platform in good order.
    pub(crate) async fn start() -> Self {
        Self::with(Faults::default()).await
    }

    /// A platform with these faults.
    pub(crate) async fn with(faults: Faults) -> Self {
        Self::from_setup(Self::setup().with_faults(faults)).await
    }

    /// A platform with a fault at the first address.
    pub(crate) async fn with_server(server: Misbehaviour) -> Self {
        let [first, ..] = Self::addresses();
        let smtp = BTreeMap::from([(first, server)]);
        Self::with(Faults {
            smtp,
            ..Faults::default()
        })
        .await
    }

    /// A platform whose IMAP server has a fault.
    pub(crate) async fn with_imap(imap: ImapMisbehaviour) -> Self {
        Self::with(Faults {
            imap,
            ..Faults::default()
        })
        .await
    }

    /// What [`Self::from_setup`] wants: every address alone behind a domain of its own, see [`Self::domain`].
    pub(crate) fn setup() -> Setup {
        let mut setup = Setup::new(clock::now());
        for (address, domain, _) in ADDRESSES {
            setup
                .records
                .push(format!("{domain}. IN MX 10 mx.{domain}."));
            setup.records.push(format!("mx.{domain}. IN A {address}"));
        }
        setup
    }

    pub(crate) async fn from_setup(setup: Setup) -> Self {
        let platform = Platform::start(setup).await.unwrap();
        Self {
            platform,
            mailbox: Mailbox::default(),
            resolver: None,
            nodes: None,
            more: String::new(),
            files: TempDir::new().unwrap(),
        }
    }

    /// The addresses, one after the other.
    pub(crate) fn addresses() -> [IpAddr; 4] {
        ADDRESSES.map(|(address, ..)| address)
    }

    /// A step with this verb `deliver` to one address only.
    pub(crate) fn deliver(id: &str, address: IpAddr, keys: &str) -> String {
        let (_, domain, name) = ADDRESSES
            .into_iter()
            .find(|(known, ..)| *known == address)
            .unwrap();
        format!(
            "  - id: {id}
    for_each: {{ mx_of: {domain} }}
    deliver: {{ to_address: \"${{item.address}}\", server_name: {name}, {keys} }}
"
        )
    }

    /// Runs a scenario of these steps, all at the same time, and gives the result as JSON.
    pub(crate) fn run(&self, steps: &str) -> Program {
        self.program(steps).args(["run", "lab", "--format", "json"])
    }

    /// The program with a scenario `lab` of these steps; the subcommand is still to be given.
    pub(crate) fn program(&self, steps: &str) -> Program {
        self.scenario("together", steps)
    }

    /// The same with steps that run one after the other.
    pub(crate) fn in_order(&self, steps: &str) -> Program {
        self.scenario("in-order", steps)
    }

    fn scenario(&self, order: &str, steps: &str) -> Program {
        let scenario = format!(
            "version: 1
name: lab
steps_run: {order}
message: {{ from: outside, to: alice }}
steps:
{steps}"
        );
        self.write("lab.yaml", &scenario);
        self.write("postrider.yaml", &self.main_file());
        self.write("ca.pem", self.platform.ca_pem());
        match self.mailbox.password {
            None => {}
            Some("a directory") => {
                std::fs::create_dir(self.directory().join("alice_password")).unwrap()
            }
            Some(password) => drop(self.write("alice_password", password)),
        }
        Program::new(self.directory())
    }

    /// The program, with the files of the last run.
    pub(crate) fn again(&self) -> Program {
        Program::new(self.directory())
    }

    pub(crate) fn directory(&self) -> &Path {
        self.files.path()
    }

    /// Writes a file that only we can read.
    pub(crate) fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.directory().join(name);
        std::fs::write(&path, text).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
        path
    }

    /// A mail's account, from the store that the program has left.
    pub(crate) async fn entry(&self, id: &str) -> Entry {
        let store = self.store().await;
        let entry = store.entry(id.parse().unwrap()).await.unwrap();
        store.close().await;
        entry.unwrap_or_else(|| panic!("the ledger does not know {id}"))
    }

    /// The store that the program has left; close it before the program runs again.
    pub(crate) async fn store(&self) -> Store {
        Store::open(&self.directory().join("state")).await.unwrap()
    }

    fn main_file(&self) -> String {
        let platform = &self.platform;
        let mut nodes = String::new();
        for node in ["filter1", "filter2"] {
            let of = |role: Role| {
                let own = platform.addresses().iter();
                let own = own.filter(|address| address.node == node && address.role == role);
                own.map(|address| format!("\"{}\"", address.ip))
                    .collect::<Vec<_>>()
                    .join(", ")
            };
            let (primary, fallback) = (of(Role::Primary), of(Role::Fallback));
            writeln!(
                nodes,
                "    {node}: {{ primary: [{primary}], fallback: [{fallback}] }}"
            )
            .unwrap();
        }
        let nodes = self.nodes.as_ref().unwrap_or(&nodes);
        let tls = self.mailbox.tls;
        let port = self.mailbox.port.unwrap_or(match tls {
            "implicit" => platform.imaps_addr().port(),
            _ => platform.imap_addr().port(),
        });
        format!(
            "version: 1
vantage: lab
resolver: {dns}
include: [lab.yaml]
platform:
  domains: [example.test]
  smtp_port: {smtp}
  trust: {{ ca_file: ca.pem }}
  nodes:
{nodes}senders:
  outside: {{ address: probe@outside.test, helo: probe.outside.test }}
mailboxes:
  alice:
    address: {recipient}
    imap: {{ server: imap.example.test, port: {port}, tls: {tls}, trust: {{ ca_file: ca.pem }} }}
    username: {user}
    password_file: alice_password
{more}",
            more = self.more,
            dns = self.resolver.unwrap_or(platform.dns_addr()),
            smtp = platform.smtp_port(),
            recipient = platform.recipient(),
            user = platform.username(),
        )
    }
}
