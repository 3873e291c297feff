//! One check at once for a scraper, in the words of the blackbox exporter. It goes nowhere where the configuration does not
//! go, sends no mail, and leaves no trace in the store.

mod exposition;
mod modules;
mod named;
#[cfg(test)]
mod tests;

use std::time::Duration;

use postrider_probes::context::{Context, Surroundings};
use postrider_probes::kinds::deliver::MessageDefaults;
use postrider_probes::limit::{Limit, Limits};
use postrider_probes::outcome::{Failure, Outcome};
use postrider_probes::phase::Phase;
use postrider_probes::reason::Reason;
use postrider_probes::setting::Variables;
use tokio::time::{Instant, timeout_at};

use self::exposition::Measured;
use self::modules::{MODULES, Module, Prepared};
use self::named::Named;
use crate::run::Engine;
use crate::web::{ProbeQuery, ProbeRefusal, ProbeRefused, Probed};

/// For the answer to be written, after the check has ended.
const WRITING: Duration = Duration::from_millis(20);

/// Makes the check and writes what came of it.
pub(super) async fn probe(engine: &Engine, query: &ProbeQuery) -> Result<Probed, ProbeRefused> {
    let began = Instant::now();
    let until = query.until - WRITING;
    let module = Module::named(&query.module).ok_or_else(|| {
        let known = MODULES.map(|(name, _)| name).join(", ");
        meaningless(format!(
            "no module is called `{}`: there are {known}",
            query.module.escape_debug()
        ))
    })?;
    let named = Named::of(&engine.plan);
    let place = module.place(&query.target, engine)?;
    // What DNS says of the platform's domains may be needed to know whether the target is ours.
    let looked = timeout_at(until, named.holds(&place, module, engine.net.as_ref())).await;
    let known = looked.unwrap_or_else(|_| Err(too_late()));
    if matches!(known, Ok(false)) {
        return Err(ProbeRefused {
            kind: ProbeRefusal::NotNamed,
            reason: format!(
                "the configuration names no {} for {}: only its own nodes, domains, MX hosts, mailboxes and targets are probed",
                place,
                module.name()
            ),
        });
    }
    let lookup = Instant::now();
    let prepared = match known {
        Ok(_) => match timeout_at(until, module.prepare(&place, engine)).await {
            Ok(prepared) => prepared?,
            Err(_) => Prepared::Failed(too_late()),
        },
        Err(failure) => Prepared::Failed(failure),
    };
    let lookup = lookup.elapsed();
    let mut outcome = Outcome::default();
    match prepared {
        Prepared::Failed(failure) => outcome.add(failure),
        Prepared::Ready(probe) => {
            let step = format!("probe/{}", module.name());
            let post = engine.pipeline.post("probe", "probe", module.name());
            let around = Surroundings {
                net: engine.net.as_ref(),
                post: &post,
                senders: &engine.plan.senders,
                mailboxes: &engine.plan.mailboxes,
                platform: &engine.plan.platform,
                slots: &engine.slots,
                now: engine.now,
            };
            let (message, variables) = (MessageDefaults::default(), Variables::default());
            let cx = Context::new(&around, &message, None, &variables, "probe", &step);
            let limit = Limit {
                length: until.saturating_duration_since(Instant::now()),
                whose: "the scrape's",
            };
            let limits = Limits {
                own: limit,
                outer: limit,
                ends: until,
            };
            probe.run(&cx, limits, std::future::pending()).await;
            outcome = cx.finish();
        }
    }
    if module.resolves() && place.address().is_none() {
        outcome.phases.add(Phase::Dns, lookup);
    }
    let measured = Measured {
        module,
        outcome: &outcome,
        took: began.elapsed(),
        address: place.address(),
    };
    Ok(Probed {
        metrics: exposition::metrics(&measured),
        log: exposition::log(&measured, &query.target),
    })
}

fn too_late() -> Failure {
    Failure::new(
        Reason::DnsTimeout,
        "no name server answered before the scrape's time was over",
    )
}

fn meaningless(reason: impl Into<String>) -> ProbeRefused {
    ProbeRefused {
        kind: ProbeRefusal::Meaningless,
        reason: reason.into(),
    }
}
