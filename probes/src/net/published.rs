//! What is published under one name: the difference between "nothing there" and "nobody can say".

use std::net::SocketAddr;

use postrider_wire::text::RemoteText;

use crate::net::lookup::end_of_chain;
use crate::net::{Net, Question, Record, RecordData, answer_failure, ask_failure};
use crate::outcome::Failure;

/// Lines that one question leaves as proof.
const MOST_LINES: usize = 20;

/// The records of one type under one name, at the end of its aliases.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Published {
    /// What was asked for.
    pub question: Question,
    /// Who said it.
    pub server: SocketAddr,
    /// The name exists, with this type or with others.
    pub exists: bool,
    /// In the server's order.
    pub records: Vec<Record>,
}

impl Published {
    /// The texts of TXT records.
    pub fn texts(&self) -> impl Iterator<Item = &str> {
        self.records.iter().filter_map(|record| match &record.data {
            RecordData::Text(text) => Some(text.as_str()),
            _ => None,
        })
    }

    /// The records as proof: one safe line for each, or one that says there is none.
    #[must_use]
    pub fn lines(&self) -> Vec<String> {
        if self.records.is_empty() {
            let nothing = match self.exists {
                true => "no such record",
                false => "no such name",
            };
            return vec![format!("{}: {nothing}", self.question)];
        }
        self.records
            .iter()
            .take(MOST_LINES)
            .map(|record| {
                let line = format!(
                    "{} {} {} {}",
                    record.name, record.record_type, record.ttl, record.data
                );
                RemoteText::new(line.as_bytes(), RemoteText::LINE).to_string()
            })
            .collect()
    }
}

/// Asks `server` (`None`: the resolver). No such name and no such record are both an answer: that nothing is published.
///
/// # Errors
/// `dns-servfail`, `dns-timeout`, `vantage-dns`: nobody could say.
pub async fn published(
    net: &dyn Net,
    server: Option<SocketAddr>,
    question: Question,
) -> Result<Published, Failure> {
    let answer = net
        .ask(server, question.clone())
        .await
        .map_err(|error| ask_failure(&error, &question, server.is_none()))?;
    let exists = answer.rcode != "NXDOMAIN";
    if let (true, Some(failure)) = (exists, answer_failure(&answer, &question)) {
        return Err(failure);
    }
    let name = question.name.trim_end_matches('.').to_ascii_lowercase();
    let owner = end_of_chain(&name, &answer.records).to_owned();
    let records = answer
        .records
        .into_iter()
        .filter(|record| {
            exists && record.name == owner && record.record_type == question.record_type
        })
        .collect();
    Ok(Published {
        question,
        server: answer.server,
        exists,
        records,
    })
}
