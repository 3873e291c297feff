//! Time zones and cron patterns.

use croner::parser::{CronParser, Seconds, Year};
use postrider_probes::setting::{Place, Spanned};

use super::{Scope, did_you_mean};
use crate::config::plan::{Schedule, When};
use crate::config::raw::RawSchedule;

impl Scope<'_> {
    /// An IANA time zone.
    pub(super) fn timezone(&mut self, name: &Spanned<String>) -> Option<jiff::tz::TimeZone> {
        if let Ok(zone) = jiff::tz::TimeZone::get(name) {
            return Some(zone);
        }
        let known: Vec<String> = jiff::tz::db()
            .available()
            .map(|zone| zone.to_string())
            .collect();
        let problem = self.error(
            "unknown-timezone",
            name.at,
            format!("no time zone is called `{}`", name.value),
        );
        problem.note =
            Some("time zones have IANA names, as `Europe/Amsterdam` or `UTC`".to_owned());
        // People write the city alone, too.
        let city = known.iter().find(|zone| {
            zone.rsplit('/')
                .next()
                .is_some_and(|city| city.eq_ignore_ascii_case(name))
        });
        match city {
            Some(zone) => problem.help = Some(format!("did you mean `{zone}`?")),
            None => nearest_zone(problem, name, &known),
        }
        None
    }

    /// A pattern of five fields that comes true some day.
    pub(super) fn cron(&mut self, pattern: &Spanned<String>, zone: Option<&jiff::tz::TimeZone>) {
        let fields = pattern.split_whitespace().count();
        let why = if fields != 5 || pattern.starts_with('@') {
            Some(format!("it has {fields} fields"))
        } else {
            let parser = CronParser::builder()
                .seconds(Seconds::Disallowed)
                .year(Year::Disallowed)
                .build();
            match parser.parse(pattern) {
                Err(error) => Some(cron_words(&error.to_string())),
                Ok(cron) => {
                    let zone = zone.cloned().unwrap_or(jiff::tz::TimeZone::UTC);
                    // Any fixed moment will do: the question is whether there is a next time at all.
                    let start = jiff::Timestamp::UNIX_EPOCH.to_zoned(zone);
                    cron.find_next_occurrence(&start, false)
                        .err()
                        .map(|_| "no such day ever comes".to_owned())
                }
            }
        };
        if let Some(why) = why {
            let problem = self.error(
                "bad-cron",
                pattern.at,
                format!("`{}` is not a cron pattern: {why}", pattern.value),
            );
            problem.help = Some(
                "write five fields: minute, hour, day of the month, month, day of the week, as `30 12 * * TUE`"
                    .to_owned(),
            );
        }
    }

    pub(super) fn schedule(&mut self, raw: &RawSchedule, at: Place) -> Option<Schedule> {
        let zone = raw.timezone.as_ref().and_then(|name| self.timezone(name));
        if let Some(cron) = &raw.cron {
            self.cron(cron, zone.as_ref());
        }
        if let (None, Some(timezone)) = (&raw.cron, &raw.timezone) {
            self.error(
                "conflicting-keys",
                timezone.at,
                "`timezone` belongs to `cron`, and there is none",
            )
            .help = Some("remove it, or write `cron` instead of `every`".to_owned());
        }
        let jitter = raw
            .jitter
            .map_or(std::time::Duration::ZERO, |jitter| jitter.0);
        let when = match (&raw.every, &raw.cron) {
            (Some(_), Some(cron)) => {
                self.error(
                    "conflicting-keys",
                    cron.at,
                    "a schedule has `every` or `cron`, not both",
                );
                return None;
            }
            (None, None) => {
                self.missing("every` or `cron", at, "`schedule`", "every: 5m");
                return None;
            }
            (Some(every), None) => {
                if every.0.is_zero() {
                    self.error("bad-value", every.at, "`every` is longer than nothing");
                }
                When::Every(every.0)
            }
            (None, Some(cron)) => {
                let Some(timezone) = &raw.timezone else {
                    self.missing("timezone", cron.at, "`cron`", "timezone: Europe/Amsterdam");
                    return None;
                };
                When::Cron {
                    pattern: cron.value.clone(),
                    timezone: timezone.value.clone(),
                }
            }
        };
        if let (When::Every(every), Some(written)) = (&when, raw.jitter)
            && jitter >= *every
        {
            self.error("bad-value", written.at, "`jitter` is shorter than `every`");
        }
        let in_flight = raw.max_in_flight.map_or(1, |number| number.value);
        if let (0, Some(number)) = (in_flight, raw.max_in_flight) {
            self.error("bad-value", number.at, "`max_in_flight` is at least 1");
        }
        Some(Schedule {
            when,
            jitter,
            max_in_flight: in_flight,
        })
    }
}

fn nearest_zone(problem: &mut postrider_probes::setting::Problem, name: &str, known: &[String]) {
    // Names are compared without regard to case, and the answer is the name as it is written.
    let lower: Vec<String> = known.iter().map(|zone| zone.to_lowercase()).collect();
    did_you_mean(problem, name, lower.iter().map(String::as_str));
    if let Some(help) = &mut problem.help
        && let Some(zone) = known
            .iter()
            .find(|zone| help.contains(&format!("`{}`", zone.to_lowercase())))
    {
        *help = format!("did you mean `{zone}`?");
    }
}

/// The library's sentence without its prefix and its full stop.
fn cron_words(error: &str) -> String {
    let words = error.split_once(": ").map_or(error, |(_, words)| words);
    let mut letters = words.trim_end_matches('.').chars();
    letters
        .next()
        .map(|first| first.to_lowercase().chain(letters).collect())
        .unwrap_or_default()
}
