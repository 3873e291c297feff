//! Starts the platform of real servers by hand, says where everything is, and stops it at the
//! end of standard input. See README.md beside this file.

#![expect(clippy::print_stdout, reason = "a program for a terminal")]

use std::io;

use postrider_testkit::live::{ALICE, DOMAIN, IMAP_NAME, Options, Platform, SENDER};

fn main() -> io::Result<()> {
    let ipv6 = std::env::args().any(|argument| argument == "--ipv6");
    let platform = Platform::start_with(Options { ipv6 })?;
    println!("directory      {}", platform.directory().display());
    println!("resolver       {}", platform.dns());
    println!("domain         {DOMAIN}, MX port {}", platform.smtp_port());
    for address in platform.mx_addresses() {
        println!("MX address     {address}");
    }
    println!(
        "IMAP           {} (STARTTLS), {} (TLS), as {IMAP_NAME}",
        platform.imap(),
        platform.imaps()
    );
    println!(
        "mailbox        {ALICE}, password in {}",
        platform.password_file().display()
    );
    println!(
        "sender         {SENDER}, DKIM key in {}",
        platform.dkim_key_file().display()
    );
    println!("authority      {}", platform.ca_file().display());
    println!("running; end with Ctrl-D");
    io::copy(&mut io::stdin(), &mut io::sink())?;
    Ok(())
}
