//! What the network's errors mean for a check: reasons and the sentences after them.

use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::time::Duration;

use crate::net::connect::NoRoute;
use crate::net::{Answer, AskError, Question};
use crate::outcome::Failure;
use crate::reason::Reason;
use crate::span::Span;

/// Why a TCP connection could not be opened. `waited` is the time limit or the time that passed.
#[must_use]
pub fn connect_failure(error: &io::Error, to: SocketAddr, waited: Duration) -> Failure {
    let (address, port) = (to.ip(), to.port());
    if error.get_ref().is_some_and(|inner| inner.is::<NoRoute>()) {
        return if to.is_ipv6() {
            Failure::new(
                Reason::VantageNoIpv6,
                format!("no IPv6 route from here to {address}"),
            )
        } else {
            Failure::new(
                Reason::VantageOffline,
                format!("no route from here to {address}"),
            )
        };
    }
    match error.kind() {
        ErrorKind::ConnectionRefused => Failure::new(
            Reason::ConnectRefused,
            format!("{address} port {port} refused the connection"),
        ),
        ErrorKind::ConnectionReset | ErrorKind::ConnectionAborted | ErrorKind::BrokenPipe => {
            Failure::new(
                Reason::ConnectReset,
                format!("{address} port {port} reset the connection while it was opened"),
            )
        }
        ErrorKind::TimedOut => Failure::new(
            Reason::ConnectTimeout,
            format!("no answer on port {port} within {}", Span(waited)),
        ),
        // An ICMP error from a router or a firewall on the way: nobody there wants us.
        ErrorKind::HostUnreachable
        | ErrorKind::NetworkUnreachable
        | ErrorKind::PermissionDenied => Failure::new(
            Reason::ConnectRefused,
            format!(
                "{address} port {port} cannot be reached: {}",
                system_words(error)
            ),
        ),
        _ => Failure::new(
            Reason::Internal,
            format!(
                "cannot open a connection to {address} port {port}: {}",
                system_words(error)
            ),
        ),
    }
}

/// Why a question got no answer. `by_resolver` says that the vantage's own resolver was asked, so that its absence
/// is the probe's fault and nobody else's.
#[must_use]
pub fn ask_failure(error: &AskError, question: &Question, by_resolver: bool) -> Failure {
    match error {
        // The limit and not the time that was measured: the same failure has the same line each time.
        AskError::TimedOut { server, .. } => Failure::new(
            Reason::DnsTimeout,
            format!(
                "no answer from {server} for {question} within {}",
                Span(question.within)
            ),
        ),
        AskError::Unreachable { server, problem } if by_resolver => Failure::new(
            Reason::VantageDns,
            format!("the resolver {server} cannot be asked: {problem}"),
        ),
        AskError::Unreachable { server, problem } => Failure::new(
            Reason::DnsTimeout,
            format!("{server} cannot be asked for {question}: {problem}"),
        ),
        AskError::Malformed { server, problem } => Failure::new(
            Reason::DnsServfail,
            format!("{server} sent a broken answer for {question}: {problem}"),
        ),
        AskError::GivenUp { problem } => Failure::new(
            Reason::DnsUnvalidated,
            format!(
                "nothing is proven of {question}: given up at a limit of the probe's own: {problem}"
            ),
        ),
        AskError::NoResolver => Failure::new(Reason::VantageDns, error.to_string()),
        AskError::BadQuestion(_) => Failure::new(Reason::Internal, error.to_string()),
    }
}

/// What an answer's response code means; `None` for `NOERROR`.
#[must_use]
pub fn answer_failure(answer: &Answer, question: &Question) -> Option<Failure> {
    let server = server_words(answer.server);
    match answer.rcode.as_str() {
        "NOERROR" => None,
        "NXDOMAIN" => Some(Failure::new(
            Reason::DnsNxdomain,
            format!("{} does not exist, says {server}", question.name),
        )),
        rcode => Some(Failure::new(
            Reason::DnsServfail,
            format!("{server} answered {rcode} for {question}"),
        )),
    }
}

/// `192.0.2.53`, or with the port when it is not the usual one.
pub(crate) fn server_words(server: SocketAddr) -> String {
    if server.port() == 53 {
        server.ip().to_string()
    } else {
        format!("{} port {}", server.ip(), server.port())
    }
}

/// The system's sentence without its error number.
pub(crate) fn system_words(error: &io::Error) -> String {
    let text = error.to_string();
    match text.split_once(" (os error") {
        Some((words, _)) => words.to_owned(),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_connect_error_has_its_reason_and_its_sentence() {
        let v4: SocketAddr = "127.0.21.2:2525".parse().unwrap();
        let v6: SocketAddr = "[2001:db8::1]:25".parse().unwrap();
        let no_route = || io::Error::new(ErrorKind::NetworkUnreachable, NoRoute);
        for (error, to, line) in [
            (
                ErrorKind::ConnectionRefused.into(),
                v4,
                "connect-refused: 127.0.21.2 port 2525 refused the connection",
            ),
            (
                ErrorKind::TimedOut.into(),
                v6,
                "connect-timeout: no answer on port 25 within 10 s",
            ),
            (
                ErrorKind::ConnectionReset.into(),
                v4,
                "connect-reset: 127.0.21.2 port 2525 reset the connection while it was opened",
            ),
            (
                no_route(),
                v6,
                "vantage-no-ipv6: no IPv6 route from here to 2001:db8::1",
            ),
            (
                no_route(),
                v4,
                "vantage-offline: no route from here to 127.0.21.2",
            ),
            (
                io::Error::from_raw_os_error(113),
                v4,
                "connect-refused: 127.0.21.2 port 2525 cannot be reached: No route to host",
            ),
            (
                io::Error::other("cannot use the source address 192.0.2.1: no"),
                v4,
                "internal: cannot open a connection to 127.0.21.2 port 2525: cannot use the source address 192.0.2.1: no",
            ),
        ] {
            let failure = connect_failure(&error, to, Duration::from_secs(10));
            assert_eq!(failure.line(), line);
        }
    }

    #[test]
    fn a_missing_answer_blames_the_resolver_only_when_it_is_ours() {
        let question = Question::new("example.test", "MX", Duration::from_secs(5));
        let unreachable = AskError::Unreachable {
            server: "127.0.0.1 port 5353".to_owned(),
            problem: "Connection refused".to_owned(),
        };
        let line = |error: &AskError, ours| ask_failure(error, &question, ours).line();
        assert_eq!(
            line(&unreachable, true),
            "vantage-dns: the resolver 127.0.0.1 port 5353 cannot be asked: Connection refused"
        );
        assert_eq!(
            line(&unreachable, false),
            "dns-timeout: 127.0.0.1 port 5353 cannot be asked for example.test MX: Connection refused"
        );
        let silent = AskError::TimedOut {
            server: "192.0.2.53".to_owned(),
            waited: Duration::from_secs(5),
        };
        assert_eq!(
            line(&silent, true),
            "dns-timeout: no answer from 192.0.2.53 for example.test MX within 5 s"
        );
    }
}
