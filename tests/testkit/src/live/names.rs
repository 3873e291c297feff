//! A laboratory of names on loopback: authoritative servers with signed zones, and two resolvers.
//!
//! ```text
//!  ns1.names.test 127.0.0.1   BIND, all zones, the signed root included (ns1-v6.names.test: the same on ::1)
//!  ns2.names.test 127.0.31.2  NSD, the zones that `Zone::on_second` names, with what it says
//!  ns3.names.test 127.0.31.3  NSD, no zone: lame
//!  resolver       127.0.0.1   BIND, does not validate      both ask ns1 and nobody else, so that
//!  validating     127.0.31.9  Unbound, validates           no question leaves the machine
//! ```
//!
//! The authoritative servers share one port, since NS records have none. BIND listens only on addresses that the system
//! has by name, hence on these two. The laboratory needs neither root nor the mail platform.

mod liar;
mod servers;
mod sign;
#[cfg(test)]
mod tests;
mod zone;

use std::fs;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

use super::bind;
use super::process::{Daemon, Group, Guard, free_port};
pub use liar::{Liar, Lie};
use sign::Key;
pub use zone::{Signing, Zone};

/// The authoritative servers `ns1.names.test`, `ns2.names.test` and `ns3.names.test`; the last one is lame.
pub const NAME_SERVERS: [Ipv4Addr; 3] = [
    Ipv4Addr::LOCALHOST,
    Ipv4Addr::new(127, 0, 31, 2),
    Ipv4Addr::new(127, 0, 31, 3),
];
const RESOLVER: Ipv4Addr = Ipv4Addr::LOCALHOST;
const VALIDATING: Ipv4Addr = Ipv4Addr::new(127, 0, 31, 9);
const UNBOUND: &str = "/usr/sbin/unbound";
const NSD: &str = "/usr/sbin/nsd";

/// Running name servers; dropping them stops all and removes their files.
#[derive(Debug)]
pub struct Names {
    port: u16,
    resolver: SocketAddr,
    validating: SocketAddr,
    daemons: Vec<Daemon>,
    guard: Guard,
    // Last: the directory goes after the processes.
    directory: TempDir,
}

impl Names {
    /// Starts all servers with these zones, and waits until they answer.
    ///
    /// The root zone and `names.test` exist without being given; the zone above another one delegates to it. A zone that
    /// is signed below one that is not is insecure.
    ///
    /// # Errors
    /// A zone with a mistake, a server that is not installed or does not start; the message says which.
    pub fn start(zones: &[Zone]) -> io::Result<Self> {
        let directory = tempfile::Builder::new()
            .prefix("postrider-names-")
            .tempdir()?;
        let guard = Guard::start(directory.path())?;
        let addresses: Vec<IpAddr> = NAME_SERVERS
            .into_iter()
            .map(IpAddr::V4)
            .chain([IpAddr::V6(Ipv6Addr::LOCALHOST)])
            .collect();
        let port = free_port(&addresses, &[])?;
        let resolver = free_port(&[RESOLVER.into()], &[port])?;
        let validating = free_port(&[VALIDATING.into()], &[])?;
        let mut names = Self {
            port,
            resolver: (RESOLVER, resolver).into(),
            validating: (VALIDATING, validating).into(),
            daemons: Vec::new(),
            guard,
            directory,
        };
        names.serve(zones)?;
        Ok(names)
    }

    /// Replaces all zones. Every server is started anew, so that nothing is remembered.
    ///
    /// # Errors
    /// As [`Self::start`].
    pub fn replace(&mut self, zones: &[Zone]) -> io::Result<()> {
        self.stop();
        self.serve(zones)
    }

    /// The resolver that does not validate.
    #[must_use]
    pub fn resolver(&self) -> SocketAddr {
        self.resolver
    }

    /// The resolver that validates.
    #[must_use]
    pub fn validating(&self) -> SocketAddr {
        self.validating
    }

    /// An authoritative server: 1 has everything, 2 what it was given, 3 nothing.
    ///
    /// # Panics
    /// When there is no such server.
    #[must_use]
    pub fn authoritative(&self, number: usize) -> SocketAddr {
        (NAME_SERVERS[number - 1], self.port).into()
    }

    /// The port of all authoritative servers.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The DNSKEY record of the laboratory's root, as a file: where trust begins.
    #[must_use]
    pub fn trust_anchor(&self) -> PathBuf {
        self.directory.path().join("root.key")
    }

    /// The directory of the laboratory; a test may put files of its own there.
    #[must_use]
    pub fn directory(&self) -> &Path {
        self.directory.path()
    }

    fn serve(&mut self, zones: &[Zone]) -> io::Result<()> {
        let all = with_own_zones(zones);
        let first = self.fresh_directory("ns1")?;
        let second = self.fresh_directory("ns2")?;
        let third = self.fresh_directory("ns3")?;
        self.write_zones(&all, &first, &second)?;

        let known: Vec<&Zone> = all.iter().collect();
        let to_second: Vec<&Zone> = all.iter().filter(|zone| zone.second.is_some()).collect();
        let upstream = self.authoritative(1);
        let on_first = [upstream, (Ipv6Addr::LOCALHOST, self.port).into()];
        let resolver = self.fresh_directory("resolver")?;
        let validating = self.fresh_directory("validating")?;
        let guard = &self.guard;
        // All at once, then wait for each.
        let started = [
            bind::start_named(
                &first,
                &servers::authoritative(&first, &on_first, &known),
                guard,
            ),
            start_copy(
                NSD,
                &second,
                &servers::other_authoritative(&second, self.authoritative(2), &to_second),
                guard,
            ),
            start_copy(
                NSD,
                &third,
                &servers::other_authoritative(&third, self.authoritative(3), &[]),
                guard,
            ),
            bind::start_named(
                &resolver,
                &servers::resolver(&resolver, self.resolver, upstream),
                guard,
            ),
            start_copy(
                UNBOUND,
                &validating,
                &servers::validating(&self.trust_anchor(), self.validating, upstream, &known),
                guard,
            ),
        ];
        // Who runs is kept before anyone's failure is told, so that it is stopped.
        let failures: Vec<io::Error> = started
            .into_iter()
            .filter_map(|daemon| daemon.map(|daemon| self.daemons.push(daemon)).err())
            .collect();
        if let Some(failure) = failures.into_iter().next() {
            return Err(failure);
        }
        let nsd = " started (NSD ";
        self.daemons
            .iter_mut()
            .zip([bind::READY, nsd, nsd, bind::READY, "start of service"])
            .try_for_each(|(daemon, mark)| daemon.await_output(mark))
    }

    /// Writes every zone file; children before their parents, which hold their DS records.
    fn write_zones(&self, zones: &[Zone], first: &Path, second: &Path) -> io::Result<()> {
        let keys = self.fresh_directory("keys")?;
        let mut order: Vec<usize> = (0..zones.len()).collect();
        order.sort_by_key(|&index| std::cmp::Reverse(zones[index].depth()));
        let mut delegated: Vec<(usize, String)> = Vec::new();
        for index in order {
            let zone = &zones[index];
            let children: String = delegated
                .iter()
                .filter(|(child, _)| parent(zones, &zones[*child]) == Some(index))
                .map(|(_, records)| records.as_str())
                .collect();
            let key = match zone.signing {
                Signing::None => None,
                _ => Some(Key::new(&keys, zone)?),
            };
            let own = Some((zone.serial, &zone.records, first));
            let other = zone
                .second
                .as_ref()
                .map(|(serial, records)| (*serial, records, second));
            for (serial, records, directory) in own.into_iter().chain(other) {
                let text = zone.text(serial, &format!("{records}\n{children}"));
                let file = directory.join(zone.file());
                match &key {
                    Some(key) => sign::sign(&keys, zone, key, &text, &file)?,
                    None => fs::write(&file, text)?,
                }
            }
            let mut above = zone.delegation();
            if let Some(key) = &key {
                above.push_str(&sign::delegation_signer(&keys, zone, key)?);
                if zone.origin.is_empty() {
                    fs::write(self.trust_anchor(), key.record(&keys)?)?;
                }
            }
            delegated.push((index, above));
        }
        Ok(())
    }

    /// An empty directory of this name.
    fn fresh_directory(&self, name: &str) -> io::Result<PathBuf> {
        let directory = self.directory.path().join(name);
        match fs::remove_dir_all(&directory) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        fs::create_dir(&directory)?;
        Ok(directory)
    }

    fn stop(&mut self) {
        for daemon in self.daemons.drain(..) {
            daemon.kill(&self.guard);
        }
    }
}

impl Drop for Names {
    fn drop(&mut self) {
        self.stop();
        self.guard.dismiss();
    }
}

/// The given zones, and those that are always there.
fn with_own_zones(zones: &[Zone]) -> Vec<Zone> {
    let addresses = NAME_SERVERS
        .iter()
        .enumerate()
        .map(|(index, address)| format!("ns{} A {address}\n", index + 1))
        .chain(["ns1-v6 AAAA ::1\n".to_owned()])
        .collect::<String>();
    let own = [
        Zone::new("", "").signed(),
        Zone::new("names.test", &addresses).signed(),
    ];
    let mut all = zones.to_vec();
    for zone in own {
        if !all.iter().any(|given| given.origin == zone.origin) {
            all.push(zone);
        }
    }
    all
}

/// The zone directly above `zone`.
fn parent(zones: &[Zone], zone: &Zone) -> Option<usize> {
    zones
        .iter()
        .enumerate()
        .filter(|(_, above)| above.is_above(zone))
        .max_by_key(|(_, above)| above.depth())
        .map(|(index, _)| index)
}

/// Starts a copy of `program`, in the foreground: AppArmor may confine it where it is installed.
fn start_copy(
    program: &str,
    directory: &Path,
    configuration: &str,
    guard: &Guard,
) -> io::Result<Daemon> {
    let file = directory.join("server.conf");
    fs::write(&file, configuration)?;
    let copy = directory.join("server");
    fs::copy(program, &copy)
        .map_err(|error| io::Error::other(format!("{program}: {error}: run tests/run once")))?;
    Daemon::start(
        program,
        Command::new(copy).arg("-d").arg("-c").arg(file),
        Group::Given,
        &directory.join("server.log"),
        guard,
    )
}
