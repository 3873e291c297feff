//! The resolver as the validator sees it: each question is asked once, and there is an end to questions.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures_util::stream::{self, Stream};
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::net::{DnsHandle, NetError};
use hickory_resolver::proto::op::{DnsRequest, DnsResponse, Message, Query, ResponseCode};
use hickory_resolver::proto::rr::{Name, RData, RecordType};
use tokio::time::Instant;

use super::LONGEST_CHAIN;
use crate::net::answer::{Asked, Signatures};
use crate::net::failure::server_words;
use crate::net::{AskError, exchange};

/// A name of ten labels below as many signed zones takes about half of these.
const MOST_QUESTIONS: usize = 64;

/// One resolver, for the time of one proof.
#[derive(Clone)]
pub(super) struct Upstream(Arc<Inner>);

struct Inner {
    server: SocketAddr,
    source: Option<IpAddr>,
    deadline: Instant,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    asked: usize,
    answers: HashMap<(Name, RecordType), Message>,
    /// Why a question got no answer.
    trouble: Option<AskError>,
    /// A server answered that it failed.
    has_failed: bool,
}

impl Upstream {
    pub(super) fn new(server: SocketAddr, source: Option<IpAddr>, deadline: Instant) -> Self {
        Self(Arc::new(Inner {
            server,
            source,
            deadline,
            state: Mutex::default(),
        }))
    }

    pub(super) fn who(&self) -> String {
        server_words(self.0.server)
    }

    /// An answer that is there already.
    pub(super) fn knows(&self, name: &Name, record_type: RecordType, message: Message) {
        let message = needed(message, name, record_type);
        self.state()
            .answers
            .insert((name.clone(), record_type), message);
    }

    /// The reason why something could not be proven, when it is that a question got no answer.
    pub(super) fn trouble(&self) -> Result<(), AskError> {
        match &self.state().trouble {
            Some(error) => Err(error.clone()),
            None => Ok(()),
        }
    }

    /// Whether a server answered with an error code.
    pub(super) fn has_failed(&self) -> bool {
        self.state().has_failed
    }

    /// Whether the resolver says of the root zone, which is signed wherever there is a trust anchor, that it validates.
    pub(super) async fn root_is_vouched_for(&self) -> Result<bool, AskError> {
        let asked = Asked::of(Name::root(), RecordType::SOA, Signatures::Wanted);
        let message = self.exchange(asked).await?;
        Ok(message.metadata.authentic_data)
    }

    async fn answer(&self, query: &Query) -> Result<Message, AskError> {
        let key = (query.name().clone(), query.query_type());
        {
            let mut state = self.state();
            if let Some(known) = state.answers.get(&key) {
                return Ok(known.clone());
            }
            if let Some(trouble) = &state.trouble {
                return Err(trouble.clone());
            }
            state.asked += 1;
            if state.asked > MOST_QUESTIONS {
                let error = AskError::GivenUp {
                    problem: format!("the proof takes more than {MOST_QUESTIONS} questions"),
                };
                state.trouble = Some(error.clone());
                return Err(error);
            }
        }
        let asked = Asked::of(key.0.clone(), key.1, Signatures::Unchecked);
        let came = self.exchange(asked).await;
        let mut state = self.state();
        let message = match came {
            Ok(message) => message,
            Err(error) => {
                state.trouble.get_or_insert(error.clone());
                return Err(error);
            }
        };
        let code = message.metadata.response_code;
        state.has_failed |= !matches!(code, ResponseCode::NoError | ResponseCode::NXDomain);
        let message = needed(message, &key.0, key.1);
        state.answers.insert(key, message.clone());
        Ok(message)
    }

    async fn exchange(&self, asked: Asked) -> Result<Message, AskError> {
        let left = self.0.deadline.saturating_duration_since(Instant::now());
        exchange::message(self.0.server, asked, left, self.0.source).await
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What is not needed for the proof is not judged: each record set more would be more questions. There remain the aliases
/// of `name`, what is at their end, the signatures of both, and the proof that there is nothing.
fn needed(mut message: Message, name: &Name, record_type: RecordType) -> Message {
    message.additionals.clear();
    message
        .authorities
        .retain(|record| record.record_type() != RecordType::NS);
    let mut names = vec![name.clone()];
    for _ in 0..LONGEST_CHAIN {
        let next = message.answers.iter().find_map(|record| {
            let RData::CNAME(target) = &record.data else {
                return None;
            };
            (names.contains(&record.name) && !names.contains(&target.0)).then(|| target.0.clone())
        });
        match next {
            Some(next) => names.push(next),
            None => break,
        }
    }
    let wanted = [record_type, RecordType::CNAME, RecordType::RRSIG];
    message
        .answers
        .retain(|record| names.contains(&record.name) && wanted.contains(&record.record_type()));
    message
}

impl DnsHandle for Upstream {
    type Response = Pin<Box<dyn Stream<Item = Result<DnsResponse, NetError>> + Send>>;
    type Runtime = TokioRuntimeProvider;

    fn send(&self, request: DnsRequest) -> Self::Response {
        let upstream = self.clone();
        Box::pin(stream::once(async move {
            let query = request
                .queries
                .first()
                .ok_or_else(|| NetError::from("nothing is asked"))?;
            let message = upstream
                .answer(query)
                .await
                .map_err(|error| NetError::from(error.to_string()))?;
            Ok(DnsResponse::from_message(message)?)
        }))
    }
}
