//! Debian's `check_email_delivery` (package nagios-plugins-contrib), made as quick as its options allow: it waits for
//! one second after sending instead of five, and looks every second instead of every five.

use std::path::Path;
use std::process::Command;

use postrider_testkit::live::{ALICE, BOB, PASSWORD, PRIMARY, SENDER};

use crate::lab::{Ended, Lab, finish};

const DIRECTORY: &str = "/usr/lib/nagios/plugins";
const PACKAGES: [&str; 4] = [
    "nagios-plugins-contrib",
    "libmail-imapclient-perl",
    "libio-socket-ssl-perl",
    "libnet-smtp-tls-perl",
];

/// Installs the plugin and the modules it needs, if it is missing.
pub(crate) fn install() -> anyhow::Result<()> {
    if Path::new(&program()).exists() {
        return Ok(());
    }
    let mut apt = Command::new("apt-get");
    apt.args(["-q", "-y", "--no-install-recommends", "install"])
        .args(PACKAGES)
        .env("DEBIAN_FRONTEND", "noninteractive");
    finish(&mut apt, &[0]).map(|_| ())
}

pub(crate) fn program() -> String {
    format!("{DIRECTORY}/check_email_delivery")
}

/// The version of the package.
pub(crate) fn version() -> anyhow::Result<String> {
    let mut query = Command::new("dpkg-query");
    query.args(["-W", "-f=${Version}", "monitoring-plugins-contrib"]);
    let version = finish(&mut query, &[0])?.output.stdout;
    Ok(String::from_utf8_lossy(&version).into_owned())
}

/// One mail to the first primary address and its sighting. With TLS to alice, without to bob.
pub(crate) fn round_trip(lab: &Lab, message_id: &str, tls: bool) -> anyhow::Result<Ended> {
    let platform = &lab.platform;
    let imap = if tls {
        platform.imaps()
    } else {
        platform.imap()
    };
    let recipient = if tls { ALICE } else { BOB };
    let mut command = Command::new(program());
    command
        .args(["--smtp-server", &PRIMARY[0].to_string()])
        .args(["--smtp-port", &platform.smtp_port().to_string()])
        .args(["--mailfrom", SENDER, "--mailto", recipient])
        .args(["--header", &format!("Message-ID: {message_id}")])
        .args(["--imap-server", &imap.ip().to_string()])
        .args(["--imap-port", &imap.port().to_string()])
        .args(["--username", recipient, "--password", PASSWORD])
        .args(["--wait", "1", "--imap-check-interval", "1"])
        .args(["--imap-retries", "30"]);
    if tls {
        command.args(["--smtptls", "--imapssl"]);
    }
    finish(&mut command, &[0])
}

/// The delay that it reports, in seconds: `… | delay=2s;95;300;0 elapsed=2s`.
pub(crate) fn reported_delay(ended: &Ended) -> anyhow::Result<f64> {
    let said = String::from_utf8_lossy(&ended.output.stdout);
    said.split_once("delay=")
        .and_then(|(_, rest)| rest.split_once("s;"))
        .and_then(|(delay, _)| delay.parse().ok())
        .ok_or_else(|| anyhow::anyhow!("no delay in {said:?}"))
}
