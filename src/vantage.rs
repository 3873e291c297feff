//! Whether the vantage itself is all right, told by its canaries; it decides between `fail` and `error`.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use jiff::Timestamp;
use postrider_probes::canary::{Canary, Look, Proof};
use postrider_probes::kinds::deliver::Family;
use postrider_probes::net::Net;
use postrider_probes::outcome::{Finding, Outcome, Status};
use postrider_probes::reason::Reason;
use tokio::sync::Mutex;
use tokio::time::Instant;

/// How long one look may take.
const WITHIN: Duration = Duration::from_secs(5);
/// Looks are shared by all checks that fail within this time: thirty dead targets ask a canary once.
const FRESH: Duration = Duration::from_secs(15);

/// The canaries, and what they said last.
#[derive(Debug)]
pub struct Vantage {
    canaries: Vec<Canary>,
    net: Arc<dyn Net>,
    now: fn() -> Timestamp,
    last: Mutex<Option<(Instant, Arc<Health>)>>,
}

/// What the canaries said in one round.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Health {
    /// Every look, in the order of the configuration.
    pub looks: Vec<Look>,
}

impl Vantage {
    /// Nobody is asked yet.
    #[must_use]
    pub fn new(canaries: Vec<Canary>, net: Arc<dyn Net>, now: fn() -> Timestamp) -> Self {
        Self {
            canaries,
            net,
            now,
            last: Mutex::new(None),
        }
    }

    /// What the canaries say, of a round that began at `since` or later. Whoever asks at the same time waits for the
    /// same round.
    pub async fn health(&self, since: Instant) -> Arc<Health> {
        let mut last = self.last.lock().await;
        if let Some((began, health)) = last.as_ref()
            && (*began >= since || began.elapsed() < FRESH && !health.is_well())
        {
            return Arc::clone(health);
        }
        let began = Instant::now();
        let looks = self
            .canaries
            .iter()
            .map(|canary| canary.look(self.net.as_ref(), self.now, WITHIN));
        let health = Arc::new(Health {
            looks: join_all(looks).await.into_iter().flatten().collect(),
        });
        *last = Some((began, Arc::clone(&health)));
        health
    }

    /// Puts the blame where it belongs: what a dead vantage may have caused is no fault of the platform. `began` is
    /// when the check did, `family` that of its target, if it has one.
    pub async fn judge(&self, outcome: &mut Outcome, family: Option<Family>, began: Instant) {
        let in_doubt = |finding: &Finding| doubtful(finding).is_some();
        if self.canaries.is_empty() || !outcome.findings.iter().any(in_doubt) {
            return;
        }
        let health = self.health(began).await;
        health.overrule(outcome, family);
    }
}

impl Health {
    /// Whether every canary is well.
    #[must_use]
    pub fn is_well(&self) -> bool {
        self.looks.iter().all(|look| look.failure.is_none())
    }

    /// Whether the network of a family works, as far as canaries tell; `None` when none was asked.
    #[must_use]
    pub fn up(&self, family: Family) -> Option<bool> {
        let mut looks = self.of(Proof::Network, family).peekable();
        looks.peek()?;
        Some(looks.any(|look| look.failure.is_none()))
    }

    /// Every failure that the vantage may have caused becomes an error of the vantage, with the first words kept.
    pub fn overrule(&self, outcome: &mut Outcome, family: Option<Family>) {
        let findings = std::mem::take(&mut outcome.findings);
        for mut finding in findings {
            let blame = doubtful(&finding).and_then(|doubt| self.blame(doubt, family));
            if let Some((reason, canary)) = blame {
                finding = Finding {
                    status: Status::Error,
                    reason,
                    message: format!(
                        "the canary fails as well ({canary}); this check said {}",
                        finding.line()
                    ),
                };
            }
            outcome.add(finding);
        }
    }

    /// Which canary speaks against the vantage, if every one of its kind does.
    fn blame(&self, doubt: Doubt, family: Option<Family>) -> Option<(Reason, String)> {
        let family = family.unwrap_or(Family::Both);
        match doubt {
            Doubt::Names => self
                .dead(Proof::Resolver, Family::Both)
                .map(|canary| (Reason::VantageDns, canary)),
            Doubt::Connections => self
                .dead(Proof::Network, family)
                .map(|canary| match family {
                    Family::Ipv6 => (Reason::VantageNoIpv6, canary),
                    Family::Ipv4 | Family::Both => (Reason::VantageOffline, canary),
                })
                .or_else(|| {
                    self.dead(Proof::Smtp, family)
                        .map(|canary| (Reason::VantagePort25Blocked, canary))
                }),
        }
    }

    /// The first failure, when there are looks of this kind and none of them succeeded.
    fn dead(&self, proof: Proof, family: Family) -> Option<String> {
        let mut first = None;
        for look in self.of(proof, family) {
            let failure = look.failure.as_ref()?;
            first.get_or_insert_with(|| format!("{}: {}", look.name, failure.line()));
        }
        first
    }

    /// What speaks for or against it. A canary whose name cannot be resolved says nothing about the network.
    fn of(&self, proof: Proof, family: Family) -> impl Iterator<Item = &Look> {
        let tells = move |look: &&Look| match &look.failure {
            None => true,
            Some(failure) => proof == Proof::Resolver || is_of_connections(failure.reason),
        };
        self.looks
            .iter()
            .filter(move |look| {
                look.proof == proof && (family == Family::Both || look.family == family)
            })
            .filter(tells)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Doubt {
    Names,
    Connections,
}

/// What a dead vantage could have caused. A server that answered with words was reached.
fn doubtful(finding: &Finding) -> Option<Doubt> {
    if !matches!(finding.status, Status::Fail | Status::Degraded) {
        return None;
    }
    match finding.reason {
        Reason::DnsTimeout | Reason::DnsServfail => Some(Doubt::Names),
        Reason::SmtpTimeout => Some(Doubt::Connections),
        reason if is_of_connections(reason) => Some(Doubt::Connections),
        _ => None,
    }
}

fn is_of_connections(reason: Reason) -> bool {
    matches!(
        reason,
        Reason::ConnectTimeout
            | Reason::ConnectRefused
            | Reason::ConnectReset
            | Reason::BannerTimeout
            | Reason::VantageOffline
            | Reason::VantageNoIpv6
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn look(proof: Proof, family: Family, well: bool) -> Look {
        Look {
            proof,
            name: format!("{proof:?} over {family:?}"),
            family,
            saw: String::new(),
            failure: (!well).then(|| Finding::new(Reason::ConnectTimeout, "no answer")),
            took: Duration::ZERO,
        }
    }

    #[test]
    fn the_vantage_is_blamed_only_when_every_canary_of_the_kind_is_dead() {
        use Family::{Both, Ipv4, Ipv6};
        use Proof::{Network, Resolver, Smtp};
        let timeout = Reason::ConnectTimeout;
        type Canary = (Proof, Family, bool);
        let cases: &[(&[Canary], Reason, Family, Reason)] = &[
            (&[], timeout, Ipv4, timeout),
            (&[(Network, Ipv4, true)], timeout, Ipv4, timeout),
            (
                &[(Network, Ipv4, false)],
                timeout,
                Ipv4,
                Reason::VantageOffline,
            ),
            (
                &[(Network, Ipv6, false)],
                timeout,
                Ipv6,
                Reason::VantageNoIpv6,
            ),
            // The other family is no evidence.
            (&[(Network, Ipv6, false)], timeout, Ipv4, timeout),
            // One of two hosts may be dead by itself.
            (
                &[(Network, Ipv4, false), (Network, Ipv4, true)],
                timeout,
                Ipv4,
                timeout,
            ),
            (
                &[(Network, Ipv4, true), (Smtp, Ipv4, false)],
                timeout,
                Ipv4,
                Reason::VantagePort25Blocked,
            ),
            (&[(Resolver, Both, false)], timeout, Ipv4, timeout),
            (
                &[(Resolver, Both, false)],
                Reason::DnsTimeout,
                Ipv4,
                Reason::VantageDns,
            ),
            (
                &[(Network, Ipv4, false)],
                Reason::DnsTimeout,
                Ipv4,
                Reason::DnsTimeout,
            ),
            // It was reached.
            (
                &[(Network, Ipv4, false)],
                Reason::Smtp5xx,
                Ipv4,
                Reason::Smtp5xx,
            ),
        ];
        for (looks, said, family, expected) in cases {
            let health = Health {
                looks: looks
                    .iter()
                    .map(|(proof, family, well)| look(*proof, *family, *well))
                    .collect(),
            };
            let mut outcome = Outcome::default();
            outcome.add(Finding::new(*said, "what it said"));
            health.overrule(&mut outcome, Some(*family));
            let finding = &outcome.findings[0];
            assert_eq!(finding.reason, *expected, "{looks:?} {said} {family:?}");
            let is_ours = expected != said;
            assert_eq!(finding.status == Status::Error, is_ours);
            assert_eq!(
                finding
                    .message
                    .ends_with(&format!("this check said {said}: what it said")),
                is_ours
            );
        }
    }

    #[test]
    fn a_name_that_does_not_resolve_says_nothing_about_the_network() {
        let mut unresolved = look(Proof::Network, Family::Ipv6, false);
        unresolved.failure = Some(Finding::new(Reason::DnsServfail, "no"));
        let health = Health {
            looks: vec![unresolved],
        };
        assert_eq!(health.up(Family::Ipv6), None);
        let mut outcome = Outcome::default();
        outcome.add(Finding::new(Reason::ConnectRefused, "refused"));
        health.overrule(&mut outcome, Some(Family::Ipv6));
        assert_eq!(outcome.findings[0].reason, Reason::ConnectRefused);
    }

    #[test]
    fn a_family_is_up_when_one_canary_answers() {
        let health = Health {
            looks: vec![
                look(Proof::Network, Family::Ipv4, false),
                look(Proof::Network, Family::Ipv4, true),
                look(Proof::Network, Family::Ipv6, false),
            ],
        };
        assert_eq!(health.up(Family::Ipv4), Some(true));
        assert_eq!(health.up(Family::Ipv6), Some(false));
        assert_eq!(Health::default().up(Family::Ipv4), None);
    }
}
