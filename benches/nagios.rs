//! Debian's `check_email_delivery` (package nagios-plugins-contrib), made as quick as its options allow: it waits for
//! one second after sending instead of five, and looks every second instead of every five.

use std::fs;
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

/// Loaded first by each Perl process; those two load IO::Socket::SSL in any case.
const ANY_CERTIFICATE: &str = "\
package Laboratory;
if ($0 =~ /check_(smtp_send|imap_receive)$/) {
    require IO::Socket::SSL;
    IO::Socket::SSL::set_defaults(SSL_verify_mode => 0);
}
1;
";

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

/// One mail to bob, through the first primary address and without TLS, and its sighting. Used with its own options for
/// servers and mailbox: only so does it report a delay.
pub(crate) fn timed(lab: &Lab, message_id: &str) -> anyhow::Result<Ended> {
    let platform = &lab.platform;
    let imap = platform.imap();
    let mut command = Command::new(program());
    command
        .args(["--smtp-server", &PRIMARY[0].to_string()])
        .args(["--smtp-port", &platform.smtp_port().to_string()])
        .args(["--mailfrom", SENDER, "--mailto", BOB])
        .args(["--header", &format!("Message-ID: {message_id}")])
        .args(["--imap-server", &imap.ip().to_string()])
        .args(["--imap-port", &imap.port().to_string()])
        .args(["--username", BOB, "--password", PASSWORD])
        .args(["--wait", "1", "--imap-check-interval", "1"])
        .args(["--imap-retries", "30"]);
    finish(&mut command, &[0])
}

/// One mail through the first primary address and its sighting, used as the command definition that Debian ships uses
/// it: one command for sending, one for receiving. With TLS for both to alice, without to bob.
pub(crate) fn round_trip(lab: &Lab, tls: bool) -> anyhow::Result<Ended> {
    let platform = &lab.platform;
    let (recipient, imap, smtp_tls, imap_tls) = match tls {
        true => (ALICE, platform.imaps(), " --tls", " --ssl"),
        false => (BOB, platform.imap(), "", ""),
    };
    let send = format!(
        "{DIRECTORY}/check_smtp_send -H {} -p {} --mailfrom {SENDER} --mailto {recipient} \
         --header 'Subject: Nagios %TOKEN1%' --body 'Delivery check' -w 10 -c 20{smtp_tls}",
        PRIMARY[0],
        platform.smtp_port(),
    );
    let receive = format!(
        "{DIRECTORY}/check_imap_receive -H {} -p {} -U {recipient} -P '{PASSWORD}' \
         -s SUBJECT -s 'Nagios %TOKEN1%' -w 10 -c 20 \
         --imap-check-interval 1 --imap-retries 30{imap_tls}",
        imap.ip(),
        imap.port(),
    );
    let mut command = Command::new(program());
    command.args(["-p", &send, "-p", &receive, "--wait", "1"]);
    if tls {
        accept_any_certificate(lab, &mut command)?;
    }
    finish(&mut command, &[0])
}

/// The plugins connect to addresses and cannot be told which name to expect in the certificate.
fn accept_any_certificate(lab: &Lab, command: &mut Command) -> anyhow::Result<()> {
    fs::write(lab.file("Laboratory.pm"), ANY_CERTIFICATE)?;
    command
        .env("PERL5LIB", lab.file(""))
        .env("PERL5OPT", "-MLaboratory");
    Ok(())
}

/// The delay that it reports, in seconds: `… | delay=2s;95;300;0 elapsed=2s`.
pub(crate) fn reported_delay(ended: &Ended) -> anyhow::Result<f64> {
    let said = String::from_utf8_lossy(&ended.output.stdout);
    said.split_once("delay=")
        .and_then(|(_, rest)| rest.split_once("s;"))
        .and_then(|(delay, _)| delay.parse().ok())
        .ok_or_else(|| anyhow::anyhow!("no delay in {said:?}"))
}
