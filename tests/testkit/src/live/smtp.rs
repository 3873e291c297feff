//! The plainest SMTP client: sends one mail in lock-step, without TLS, and keeps the replies.
//!
//! It is deliberately not the client under test.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

const LIMIT: Duration = Duration::from_secs(10);
const LONGEST_REPLY: u64 = 16 * 1024;

/// Sends `message` and returns the reply to its final dot, `250 2.0.0 Ok: queued as …`.
///
/// # Errors
/// The first reply that is neither 2xx nor 354, or whatever the connection met.
pub fn send_plain(
    server: SocketAddr,
    reverse_path: &str,
    forward_path: &str,
    message: &[u8],
) -> io::Result<String> {
    let mut stream = TcpStream::connect_timeout(&server, LIMIT)?;
    stream.set_read_timeout(Some(LIMIT))?;
    stream.set_write_timeout(Some(LIMIT))?;
    stream.set_nodelay(true)?;
    let mut replies = BufReader::new(stream.try_clone()?);
    let answer = transaction(
        &mut stream,
        &mut replies,
        reverse_path,
        forward_path,
        message,
    );
    stream.write_all(b"QUIT\r\n")?;
    let _goodbye = reply(&mut replies);
    answer
}

fn transaction(
    stream: &mut TcpStream,
    replies: &mut impl BufRead,
    reverse_path: &str,
    forward_path: &str,
    message: &[u8],
) -> io::Result<String> {
    reply(replies)?;
    for command in [
        "EHLO probe.outside.test\r\n".to_owned(),
        format!("MAIL FROM:<{reverse_path}>\r\n"),
        format!("RCPT TO:<{forward_path}>\r\n"),
        "DATA\r\n".to_owned(),
    ] {
        stream.write_all(command.as_bytes())?;
        reply(replies)?;
    }
    stream.write_all(&transparent(message))?;
    reply(replies)
}

/// Line ends as CRLF, dots doubled (RFC 5321 §4.5.2), and the final dot.
fn transparent(message: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(message.len() + 16);
    let message = message.strip_suffix(b"\n").unwrap_or(message);
    for line in message.split(|byte| *byte == b'\n') {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        if line.starts_with(b".") {
            bytes.push(b'.');
        }
        bytes.extend_from_slice(line);
        bytes.extend_from_slice(b"\r\n");
    }
    bytes.extend_from_slice(b".\r\n");
    bytes
}

/// The last line of a reply that is not a refusal.
fn reply(stream: &mut impl BufRead) -> io::Result<String> {
    let mut stream = stream.take(LONGEST_REPLY);
    loop {
        let mut line = String::new();
        if stream.read_line(&mut line)? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let line = line.trim_end();
        if line.as_bytes().get(3) == Some(&b'-') {
            continue;
        }
        return match line.as_bytes().first() {
            Some(b'2' | b'3') => Ok(line.to_owned()),
            _ => Err(io::Error::other(line.to_owned())),
        };
    }
}
