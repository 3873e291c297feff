//! The configuration files of the demo: a main file for the embedded platform, the flagship scenario, secrets, and the
//! authority's certificate. `--keep` leaves them as a starting point to edit.

use std::fmt::Write as _;
use std::io;
use std::path::{Path, PathBuf};

use super::platform::Platform;
use super::platform::topology::{Address, Role};
use crate::schema;

/// The scenario.
const SCENARIO: &str = include_str!("mx-delivery.yaml");

/// Writes the files into `directory` and gives the main file's path.
///
/// # Errors
/// When a file cannot be written.
pub fn write(platform: &Platform, dkim_key_pem: &str, directory: &Path) -> io::Result<PathBuf> {
    std::fs::create_dir_all(directory.join("scenarios"))?;
    private(&directory.join("alice_password"), platform.password())?;
    private(&directory.join("dkim_outside.pem"), dkim_key_pem)?;
    std::fs::write(directory.join("ca.pem"), platform.ca_pem())?;
    for (name, schema) in [
        ("config.v1.json", schema::config()),
        ("scenario.v1.json", schema::scenario()),
    ] {
        std::fs::write(directory.join(name), schema::text(&schema))?;
    }
    std::fs::write(directory.join("scenarios/mx-delivery.yaml"), SCENARIO)?;
    let main = directory.join("postrider.yaml");
    std::fs::write(&main, main_file(platform))?;
    Ok(main)
}

fn main_file(platform: &Platform) -> String {
    let mut nodes = String::new();
    for name in ["filter1", "filter2"] {
        let list = |role: Role| {
            let own = |address: &&Address| address.node == name && address.role == role;
            let addresses: Vec<String> = platform
                .addresses()
                .iter()
                .filter(own)
                .map(|address| format!("\"{}\"", address.ip))
                .collect();
            addresses.join(", ")
        };
        // A String never refuses to be written to.
        let _ = writeln!(
            nodes,
            "    {name}: {{ name: {name}.cluster.test, primary: [{}], fallback: [{}] }}",
            list(Role::Primary),
            list(Role::Fallback)
        );
    }
    format!(
        "\
# yaml-language-server: $schema=./config.v1.json
version: 1
vantage: demo
include:
  - scenarios/*.yaml

resolver: {dns}                # without this line: the system's

platform:
  domains: [example.test]
  smtp_port: {port}                      # 25 in the world
  trust: {{ ca_file: ca.pem }}             # without this line: the system's authorities
  nodes:                               # what the operator believes; DNS is compared with it
{nodes}
senders:
  outside:                             # a foreign sender
    address: probe@outside.test
    helo: probe.outside.test
    dkim: {{ selector: demo, key_file: dkim_outside.pem }}

mailboxes:
  alice:
    address: {recipient}
    imap: {{ server: imap.example.test, port: {imaps}, tls: implicit, trust: {{ ca_file: ca.pem }} }}
    username: {user}
    password_file: alice_password
",
        dns = platform.dns_addr(),
        port = platform.smtp_port(),
        imaps = platform.imaps_addr().port(),
        recipient = platform.recipient(),
        user = platform.username(),
    )
}

fn private(path: &Path, text: &str) -> io::Result<()> {
    use std::os::unix::fs::OpenOptionsExt as _;

    let mut file = std::fs::OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(path)?;
    io::Write::write_all(&mut file, text.as_bytes())
}
