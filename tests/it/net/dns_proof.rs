//! Proofs (DNSSEC) from servers that answer badly, slowly or not at all: always an end, and never the zone's fault.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use hickory_resolver::proto::op::{Edns, Message, OpCode, ResponseCode};
use hickory_resolver::proto::rr::rdata::opt::EdnsOption;
use hickory_resolver::proto::rr::rdata::{A, CNAME};
use hickory_resolver::proto::rr::{Name, RData, Record, RecordType};
use postrider_probes::net::{AskError, Net, Proven, Question, Security, SystemNet, ask_failure};
use postrider_probes::outcome::Status;
use tokio::net::UdpSocket;
use tokio::time::Instant;

/// For the cases that must end by their deadline.
const SHORT: Duration = Duration::from_millis(400);
/// No other case waits for it.
const LONG: Duration = Duration::from_secs(20);

/// What a server does about a question.
enum Reply {
    Message(Box<Message>),
    Bytes(Vec<u8>),
    Silence,
}

/// Answers questions until the proof is done; gives its result and the number of questions.
async fn prove(
    name: &str,
    within: Duration,
    reply: impl Fn(&Message, usize) -> Reply,
) -> (Result<Proven, AskError>, usize) {
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let address: SocketAddr = socket.local_addr().unwrap();
    let asked = AtomicUsize::new(0);
    let proves = AtomicBool::new(false);
    let serve = async {
        let mut buffer = [0; 4096];
        loop {
            let (length, from) = socket.recv_from(&mut buffer).await.unwrap();
            let query = Message::from_vec(&buffer[..length]).unwrap();
            assert!(query.edns.as_ref().unwrap().flags().dnssec_ok);
            let number = asked.fetch_add(1, Ordering::Relaxed);
            // As everybody asks, and from then on for what there is, proven or not.
            let unchecked = query.metadata.checking_disabled;
            assert_eq!(
                proves.fetch_or(unchecked, Ordering::Relaxed) || unchecked,
                unchecked
            );
            let bytes = match reply(&query, number) {
                Reply::Message(message) => message.to_vec().unwrap(),
                Reply::Bytes(bytes) => bytes,
                Reply::Silence => continue,
            };
            socket.send_to(&bytes, from).await.unwrap();
        }
    };
    let net = SystemNet::new(None, None);
    let began = Instant::now();
    let proven = tokio::select! {
        proven = net.ask_securely(Some(address), Question::new(name, "A", within)) => proven,
        () = serve => unreachable!(),
    };
    assert!(began.elapsed() < within + Duration::from_secs(1));
    (proven, asked.into_inner())
}

fn answer_to(query: &Message, data: Option<RData>) -> Box<Message> {
    let mut answer = Message::response(query.metadata.id, OpCode::Query);
    answer.queries = query.queries.clone();
    if let Some(data) = data {
        let name = query.queries[0].name().clone();
        answer.add_answer(Record::from_rdata(name, 60, data));
    }
    Box::new(answer)
}

fn an_address() -> Option<RData> {
    Some(RData::A(A::new(192, 0, 2, 1)))
}

fn is_for(query: &Message, record_type: RecordType) -> bool {
    query.queries[0].query_type() == record_type
}

#[tokio::test]
async fn silence_in_the_middle_of_a_proof_is_a_time_out() {
    for answered in [0, 1, 2] {
        let (proven, _) = prove("example.test", SHORT, |query, number| {
            match number < answered {
                true => Reply::Message(answer_to(
                    query,
                    is_for(query, RecordType::A).then(an_address).flatten(),
                )),
                false => Reply::Silence,
            }
        })
        .await;
        let error = proven.unwrap_err();
        assert!(matches!(error, AskError::TimedOut { .. }), "{error:?}");
    }
}

#[tokio::test]
async fn a_proof_that_asks_for_too_much_is_given_up() {
    // Not signed, hence every name above is asked for its servers.
    let deep = format!("{}test", "a.".repeat(110));
    let (proven, asked) = prove(&deep, LONG, |query, _| {
        let data = is_for(query, RecordType::A).then(an_address).flatten();
        Reply::Message(answer_to(query, data))
    })
    .await;
    let question = Question::new("deep.test", "A", LONG);
    let failure = ask_failure(&proven.unwrap_err(), &question, true);
    assert_eq!(
        failure.line(),
        "dns-unvalidated: nothing is proven of deep.test A: given up at a limit of the probe's own: the proof takes more than 64 questions"
    );
    assert_eq!(failure.status, Status::Error);
    assert!(asked <= 66, "{asked}");
}

#[tokio::test]
async fn a_broken_answer_in_a_proof_is_told_and_blames_no_zone() {
    let (proven, _) = prove("example.test", LONG, |query, number| {
        if number < 2 {
            return Reply::Message(answer_to(query, an_address()));
        }
        // A name that points at itself.
        let mut bytes = answer_to(query, None).to_vec().unwrap();
        bytes[7] = 1;
        let at = u16::try_from(bytes.len()).unwrap();
        bytes.extend((0xc000 | at).to_be_bytes());
        bytes.extend([0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 192, 0, 2, 1]);
        Reply::Bytes(bytes)
    })
    .await;
    let error = proven.unwrap_err();
    assert!(matches!(error, AskError::Malformed { .. }), "{error:?}");
}

#[tokio::test]
async fn an_error_code_in_a_proof_proves_nothing() {
    let (proven, _) = prove("example.test", LONG, |query, number| {
        if number < 2 {
            return Reply::Message(answer_to(query, an_address()));
        }
        let mut answer = answer_to(query, None);
        answer.metadata.response_code = ResponseCode::Refused;
        Reply::Message(answer)
    })
    .await;
    let proven = proven.unwrap();
    assert_eq!(proven.security, Security::Indeterminate);
    let question = Question::new("example.test", "A", LONG);
    let line = proven.failure(&question).unwrap().line();
    assert!(
        line.starts_with("dns-unvalidated: nothing is proven of example.test A: "),
        "{line}"
    );
}

#[tokio::test]
async fn aliases_in_a_circle_come_to_an_end() {
    for circle in [1_usize, 2, 30] {
        let name = |number: usize| Name::from_ascii(format!("a{}.test.", number % circle)).unwrap();
        let (proven, asked) = prove("a0.test", LONG, |query, _| {
            if !is_for(query, RecordType::A) {
                return Reply::Message(answer_to(query, None));
            }
            let mut answer = answer_to(query, None);
            for number in 0..circle {
                let target = RData::CNAME(CNAME(name(number + 1)));
                answer.add_answer(Record::from_rdata(name(number), 60, target));
            }
            Reply::Message(answer)
        })
        .await;
        assert!(
            !matches!(&proven, Ok(proven) if matches!(proven.security, Security::Secure | Security::Insecure)),
            "{proven:?}"
        );
        // Whichever limit of ours ends it, the server's answers were sound.
        assert!(
            matches!(&proven, Ok(_) | Err(AskError::GivenUp { .. })),
            "{proven:?}"
        );
        assert!(asked <= 66, "{asked}");
    }
}

#[tokio::test]
async fn aliases_that_are_not_followed_are_a_limit_of_ours() {
    let name = |number: usize| Name::from_ascii(format!("a{number}.test.")).unwrap();
    let (proven, _) = prove("a0.test", LONG, |query, _| {
        let asked = query.queries[0].name();
        let alias = (0..30).find(|number| is_for(query, RecordType::A) && *asked == name(*number));
        let target = alias.map(|number| RData::CNAME(CNAME(name(number + 1))));
        Reply::Message(answer_to(query, target))
    })
    .await;
    let question = Question::new("a0.test", "A", LONG);
    let failure = ask_failure(&proven.unwrap_err(), &question, true);
    assert_eq!(
        failure.line(),
        "dns-unvalidated: nothing is proven of a0.test A: given up at a limit of the probe's own: there are more than 8 aliases in a row"
    );
}

#[tokio::test]
async fn what_nobody_asked_for_costs_no_question() {
    let (_, few) = prove("example.test", LONG, |query, _| {
        let data = is_for(query, RecordType::A).then(an_address).flatten();
        Reply::Message(answer_to(query, data))
    })
    .await;
    let (_, many) = prove("example.test", LONG, |query, _| {
        let data = is_for(query, RecordType::A).then(an_address).flatten();
        let mut answer = answer_to(query, data);
        for number in 0..50 {
            let name = Name::from_ascii(format!("h{number}.x{number}.test.")).unwrap();
            let address = RData::A(A::new(192, 0, 2, 2));
            answer.add_answer(Record::from_rdata(name.clone(), 60, address.clone()));
            answer
                .additionals
                .push(Record::from_rdata(name, 60, address));
        }
        Reply::Message(answer)
    })
    .await;
    assert_eq!(many, few);
}

#[tokio::test]
async fn what_the_resolver_says_of_its_refusal_is_quoted_and_made_safe() {
    for (option, words) in [
        (None, ""),
        (Some(vec![0, 7]), " says Signature Expired"),
        (
            Some([vec![0, 6], b"no \x1b[2Jsignature".to_vec()].concat()),
            " says DNSSEC Bogus: no \\x1b[2Jsignature",
        ),
        (Some(vec![1, 0, 0xff]), " says extended error 256: \u{fffd}"),
        // Too short to be one.
        (Some(vec![6]), ""),
    ] {
        let (proven, _) = prove("example.test", LONG, |query, number| {
            if number > 0 {
                let data = is_for(query, RecordType::A).then(an_address).flatten();
                return Reply::Message(answer_to(query, data));
            }
            let mut answer = answer_to(query, None);
            answer.metadata.response_code = ResponseCode::ServFail;
            let mut edns = Edns::new();
            if let Some(bytes) = &option {
                edns.options_mut()
                    .insert(EdnsOption::Unknown(15, bytes.clone()));
            }
            answer.set_edns(edns);
            Reply::Message(answer)
        })
        .await;
        let Security::Bogus(why) = proven.unwrap().security else {
            panic!("not bogus");
        };
        let (ours, theirs) = why.split_once("; 127.0.0.1 port ").unwrap_or((&why, ""));
        assert_eq!(
            ours,
            "example.test A has no signature (RRSIG), and its zone must be signed"
        );
        assert_eq!(
            theirs.trim_start_matches(|c: char| c.is_ascii_digit()),
            words
        );
    }
}
