//! Signed zone files, made by BIND's own tools, and the faults that they do not make.

use std::fs;
use std::io;
use std::path::Path;
use std::process::{Command, Stdio};

use super::zone::{Signing, Zone};

const KEYGEN: &str = "dnssec-keygen";
const SIGNZONE: &str = "dnssec-signzone";

/// The key of a zone: the name of its files, without their endings.
#[derive(Debug)]
pub(super) struct Key(String);

impl Key {
    /// Makes the one key that signs the whole zone.
    pub(super) fn new(directory: &Path, zone: &Zone) -> io::Result<Self> {
        let made = run(Command::new(KEYGEN)
            .args(["-q", "-a", "ECDSAP256SHA256", "-f", "KSK", "-K"])
            .arg(directory)
            .arg(zone.absolute()))?;
        Ok(Self(made.trim().to_owned()))
    }

    /// The DNSKEY record.
    pub(super) fn record(&self, directory: &Path) -> io::Result<String> {
        fs::read_to_string(directory.join(format!("{}.key", self.0)))
    }

    /// The DS record for the zone above.
    fn delegation_signer(&self, directory: &Path) -> io::Result<String> {
        run(Command::new("dnssec-dsfromkey")
            .arg("-2")
            .arg(directory.join(&self.0)))
    }
}

/// The DS record that the parent of `zone` has.
pub(super) fn delegation_signer(directory: &Path, zone: &Zone, key: &Key) -> io::Result<String> {
    match zone.signing {
        Signing::WrongDs => Key::new(directory, zone)?.delegation_signer(directory),
        _ => key.delegation_signer(directory),
    }
}

/// Signs `text` into the zone file `to`.
pub(super) fn sign(
    directory: &Path,
    zone: &Zone,
    key: &Key,
    text: &str,
    to: &Path,
) -> io::Result<()> {
    let unsigned = directory.join("unsigned");
    fs::write(&unsigned, format!("{text}{}", key.record(directory)?))?;
    let mut command = Command::new(SIGNZONE);
    // One key signs everything, whatever its flags; nothing is verified afterwards, since it may be wrong on purpose.
    command.args(["-q", "-z", "-P", "-O", "full", "-o", &zone.absolute()]);
    if zone.signing == Signing::Nsec3 {
        command.args(["-3", "-"]);
    }
    if zone.signing == Signing::Expired {
        command.args(["-s", "20210101000000", "-e", "20210201000000"]);
    } else {
        command.args(["-e", "now+864000"]);
    }
    run(command
        .arg("-K")
        .arg(directory)
        .arg("-d")
        .arg(directory)
        .arg("-f")
        .arg(to)
        .arg(&unsigned)
        .arg(&key.0)
        .current_dir(directory))?;
    let changed = match zone.signing {
        Signing::MissingSignatures => without_signatures(&fs::read_to_string(to)?),
        Signing::ChangedTexts => with_changed_texts(&fs::read_to_string(to)?),
        _ => return Ok(()),
    };
    fs::write(to, changed)
}

/// A signed zone has one record a line: `owner ttl class type data`.
fn record_type(line: &str) -> &str {
    line.split_whitespace().nth(3).unwrap_or_default()
}

fn without_signatures(signed: &str) -> String {
    let kept = signed.lines().filter(|line| {
        record_type(line) != "RRSIG" || line.split_whitespace().nth(4) == Some("DNSKEY")
    });
    kept.map(|line| format!("{line}\n")).collect()
}

fn with_changed_texts(signed: &str) -> String {
    let changed = signed.lines().map(|line| match record_type(line) {
        "TXT" => match line.split_once('"') {
            Some((head, text)) => {
                format!("{head}\"_{}\n", text.get(1..).unwrap_or_default())
            }
            None => format!("{line}\n"),
        },
        _ => format!("{line}\n"),
    });
    changed.collect()
}

/// What a tool writes to its standard output.
fn run(command: &mut Command) -> io::Result<String> {
    let name = command.get_program().to_string_lossy().into_owned();
    let output = command
        .stdin(Stdio::null())
        .output()
        .map_err(|error| io::Error::other(format!("{name}: {error}: run tests/run once")))?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        return Err(io::Error::other(format!(
            "{name}: {}: {said}",
            output.status
        )));
    }
    String::from_utf8(output.stdout).map_err(io::Error::other)
}
