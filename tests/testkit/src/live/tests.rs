//! The platform itself, tested with the plainest client.

use super::*;

const MAIL: &str = "From: probe@outside.test\nTo: alice@example.test\nSubject: hello\n\
    Date: Sat, 01 Nov 2025 12:00:00 +0000\n";

fn mail(message_id: &str) -> Vec<u8> {
    format!("{MAIL}Message-ID: {message_id}\n\nHello.\n").into_bytes()
}

#[test]
fn every_address_delivers_into_the_mailbox() -> io::Result<()> {
    let platform = Platform::start_with(Options { ipv6: true })?;
    let addresses = platform.mx_addresses();
    assert_eq!(addresses.len(), 5);
    for (index, address) in addresses.iter().enumerate() {
        let id = format!("<{index}@outside.test>");
        send_plain(*address, SENDER, ALICE, &mail(&id))?;
        let delivery = platform.await_delivery(&id)?;
        assert_eq!(
            (delivery.user.as_str(), delivery.folder.as_str()),
            (ALICE, "INBOX")
        );
    }
    let mut ids: Vec<_> = platform
        .list_mailbox(ALICE)?
        .iter()
        .filter_map(|mail| mail.header("message-id"))
        .collect();
    ids.sort();
    let expected: Vec<_> = (0..5)
        .map(|index| format!("<{index}@outside.test>"))
        .collect();
    assert_eq!(ids, expected);
    Ok(())
}
