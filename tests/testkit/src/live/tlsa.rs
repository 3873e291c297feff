//! TLSA records of certificates, made by openssl: a second opinion on what they must hold.

use std::io::{self, Write as _};
use std::path::Path;
use std::process::{Command, Stdio};

/// The TLSA record (RFC 6698) of the first certificate in a PEM file, in the notation of zone files; `numbers` are its usage,
/// selector and matching type.
///
/// # Errors
/// A file that openssl cannot read.
pub fn tlsa_record(certificate: &Path, numbers: [u8; 3]) -> io::Result<String> {
    let pem = std::fs::read(certificate)?;
    let [_, selector, matching] = numbers;
    let part = match selector {
        0 => openssl(&["x509", "-outform", "DER"], &pem)?,
        _ => {
            let key = openssl(&["x509", "-noout", "-pubkey"], &pem)?;
            openssl(&["pkey", "-pubin", "-outform", "DER"], &key)?
        }
    };
    let data = match matching {
        0 => part,
        1 => openssl(&["dgst", "-sha256", "-binary"], &part)?,
        _ => openssl(&["dgst", "-sha512", "-binary"], &part)?,
    };
    let hex: String = data.iter().map(|byte| format!("{byte:02x}")).collect();
    let [usage, selector, matching] = numbers;
    Ok(format!("{usage} {selector} {matching} {hex}"))
}

fn openssl(arguments: &[&str], input: &[u8]) -> io::Result<Vec<u8>> {
    let mut child = Command::new("openssl")
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .map_err(|error| io::Error::other(format!("openssl: {error}: run tests/run once")))?;
    if let Some(mut stdin) = child.stdin.take() {
        stdin.write_all(input)?;
    }
    let output = child.wait_with_output()?;
    match output.status.success() {
        true => Ok(output.stdout),
        false => Err(io::Error::other(format!(
            "openssl {arguments:?}: {}",
            output.status
        ))),
    }
}
