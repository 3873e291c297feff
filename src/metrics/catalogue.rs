//! Every metric that there is: name, type, meaning, labels. The manual's page and the expositions are made from it.

/// How a metric behaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Only grows, until the program starts again.
    Counter,
    /// Goes up and down.
    Gauge,
    /// Classic and native buckets of durations in seconds.
    Histogram,
}

impl Kind {
    /// The word of the exposition formats.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram => "histogram",
        }
    }
}

/// What is said of a metric.
#[derive(Debug, Clone, Copy)]
pub struct Description {
    /// The name, with its unit, and `_total` on a counter.
    pub name: &'static str,
    /// How it behaves.
    pub kind: Kind,
    /// Its labels, in the order of the values.
    pub labels: &'static [&'static str],
    /// What it says, one or more sentences.
    pub help: &'static str,
}

impl Description {
    /// The unit at the end of the name, when there is one.
    #[must_use]
    pub fn unit(&self) -> &'static str {
        let bare = self.name.strip_suffix("_total").unwrap_or(self.name);
        let units = ["seconds", "bytes"];
        let is_last = |unit: &&str| bare.ends_with(*unit);
        units.into_iter().find(is_last).unwrap_or_default()
    }
}

/// Makes the enum and its descriptions from one list.
macro_rules! families {
    ($($family:ident $kind:ident $name:literal [$($label:literal)*] $help:literal;)*) => {
        /// A metric.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Family { $(#[doc = $help] $family,)* }

        impl Family {
            /// Every metric, in the order of the expositions.
            pub const ALL: &'static [Self] = &[$(Self::$family,)*];

            /// What is said of it.
            #[must_use]
            pub fn description(self) -> Description {
                match self {
                    $(Self::$family => Description {
                        name: $name,
                        kind: Kind::$kind,
                        labels: &[$($label,)*],
                        help: $help,
                    },)*
                }
            }
        }
    };
}

families! {
    BuildInfo Gauge "postrider_build_info" ["version" "revision" "rustversion"]
        "Always 1; the labels say which program this is.";
    VantageInfo Gauge "postrider_vantage_info" ["vantage"]
        "Always 1; the label is the name of the place that the checks look from.";
    VantageUp Gauge "postrider_vantage_up" ["family"]
        "1 if the vantage's own network worked when it was last looked at, else 0.";
    ConfigReloadSuccessful Gauge "postrider_config_last_reload_successful" []
        "1 if the configuration was taken when it was last loaded, 0 if it had mistakes and the one before stays in force.";
    ConfigReloadTimestamp Gauge "postrider_config_last_reload_success_timestamp_seconds" []
        "When a configuration was last taken, in seconds since 1970.";
    CheckSuccess Gauge "postrider_check_success" ["scenario" "step" "mx" "address"]
        "1 if the last finished check proved the function (pass or degraded), else 0. Cached: updated by the scheduler, not by the scrape.";
    CheckStatus Gauge "postrider_check_status" ["scenario" "step" "mx" "address" "status"]
        "1 for the current status of the check, 0 for the other four. All five are 0 until it has ended once. Cached: updated by the scheduler, not by the scrape.";
    Checks Counter "postrider_checks_total" ["scenario" "step" "mx" "address"]
        "Checks that ended, whatever their status.";
    CheckFailures Counter "postrider_check_failures_total" ["scenario" "step" "mx" "address" "reason"]
        "Checks that ended with status fail, by the reason code of the worst finding.";
    CheckErrors Counter "postrider_check_errors_total" ["scenario" "step" "reason"]
        "Checks that ended with status error (could not be tested), by the reason code of the worst finding.";
    CheckLastRun Gauge "postrider_check_last_run_timestamp_seconds" ["scenario" "step" "mx" "address"]
        "When the check last ended, in seconds since 1970; absent until it has ended once. Survives a restart.";
    CheckLastSuccess Gauge "postrider_check_last_success_timestamp_seconds" ["scenario" "step" "mx" "address"]
        "When the check last ended with pass or degraded, in seconds since 1970; absent until it has. Survives a restart.";
    ScenarioInterval Gauge "postrider_scenario_interval_seconds" ["scenario"]
        "The longest time between two planned starts of the scenario; absent without a schedule.";
    Runs Counter "postrider_runs_total" ["scenario"]
        "Runs of the scenario that ended.";
    RunsMissed Counter "postrider_runs_missed_total" ["scenario"]
        "Planned starts of the scenario that did not take place.";
    RunStartDelay Histogram "postrider_run_start_delay_seconds" ["scenario"]
        "How much later than planned a scheduled run started.";
    PhaseDuration Histogram "postrider_phase_duration_seconds" ["scenario" "step" "mx" "phase"]
        "How long each timed part of a check took, failed ones included. The transit of a mail that was not seen is not counted.";
    DeliveryDuration Histogram "postrider_delivery_duration_seconds" ["scenario" "step" "mx" "address"]
        "From the final reply until the message was visible where it belongs. A message that was never seen is not counted here.";
    MessagesSent Counter "postrider_messages_sent_total" ["scenario" "step" "mx"]
        "Test messages that the server accepted, or may have accepted (the connection was lost after the final dot). Refused and deferred ones are not counted.";
    MessagesDelivered Counter "postrider_messages_delivered_total" ["scenario" "step" "mx"]
        "Test messages seen where they belong, in time, late, or after they had been called lost.";
    MessagesLost Counter "postrider_messages_lost_total" ["scenario" "step" "mx"]
        "Conclusions that an accepted test message is lost. A message that turns up after all stays counted here, and counts as late and delivered as well.";
    MessagesLate Counter "postrider_messages_late_total" ["scenario" "step" "mx"]
        "Test messages that were first seen after their time was over, in whatever folder.";
    MessagesDuplicated Counter "postrider_messages_duplicated_total" ["scenario" "step" "mx"]
        "Copies of test messages that were seen beyond the first one of each.";
    MessagesInFlight Gauge "postrider_messages_in_flight" []
        "Test messages that were accepted, and neither seen nor given up yet.";
    SmtpReplies Counter "postrider_smtp_replies_total" ["scenario" "step" "mx" "verb" "code"]
        "SMTP replies by what they answer (connect, dot, or the command) and code; codes that no server should send are counted by their class, as 5xx.";
    DnsLookupDuration Histogram "postrider_dns_lookup_duration_seconds" ["scenario" "step" "record_type"]
        "How long the look-ups of a check took; MX includes the addresses of the hosts, A+AAAA is a host's addresses.";
    CertificateNotAfter Gauge "postrider_certificate_not_after_timestamp_seconds" ["scenario" "step" "host" "address" "port"]
        "When the certificate that the server last presented expires, in seconds since 1970.";
    Changes Counter "postrider_changes_total" ["what"]
        "Times that something which every client can see became another one: a banner, a certificate, a record. Expected ones are counted as well.";
    StoreSize Gauge "postrider_store_size_bytes" []
        "Size of the store's files.";
    StoreWriteFailures Counter "postrider_store_write_failures_total" []
        "Attempts to write to the store that failed.";
    SeriesDropped Counter "postrider_metric_observations_dropped_total" []
        "Observations that would have made one label set too many, and were dropped.";
    ProcessCpu Counter "process_cpu_seconds_total" []
        "Total user and system CPU time spent in seconds.";
    ProcessOpenFds Gauge "process_open_fds" []
        "Number of open file descriptors.";
    ProcessMaxFds Gauge "process_max_fds" []
        "Maximum number of open file descriptors.";
    ProcessVirtualMemory Gauge "process_virtual_memory_bytes" []
        "Virtual memory size in bytes.";
    ProcessResidentMemory Gauge "process_resident_memory_bytes" []
        "Resident memory size in bytes.";
    ProcessStartTime Gauge "process_start_time_seconds" []
        "Start time of the process since unix epoch in seconds.";
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    /// Row 64 of the conventions: success and failure apart, `phase` and not `stage`, no vantage label on data.
    #[test]
    fn row_64_names_and_labels_are_as_the_conventions_say() {
        let mut names = BTreeSet::new();
        for family in Family::ALL {
            let Description {
                name,
                kind,
                labels,
                help,
            } = family.description();
            assert!(names.insert(name), "{name} stands twice");
            assert_eq!(name.ends_with("_total"), kind == Kind::Counter, "{name}");
            assert!(!name.contains(':'), "{name}");
            assert!(name.starts_with("postrider_") || name.starts_with("process_"));
            assert!(help.ends_with('.'), "{name}: {help}");
            assert!(!labels.contains(&"stage"), "{name}");
            let about_vantage = name == "postrider_vantage_info";
            assert_eq!(labels.contains(&"vantage"), about_vantage, "{name}");
            assert!(
                !labels.contains(&"success") && !labels.contains(&"result"),
                "{name}"
            );
            if kind == Kind::Histogram {
                assert!(name.ends_with("_seconds"), "{name}");
            }
        }
        for name in [
            "postrider_checks_total",
            "postrider_check_failures_total",
            "postrider_check_errors_total",
        ] {
            assert!(names.contains(name), "{name}");
        }
    }

    #[test]
    fn unit_is_the_end_of_the_name() {
        assert_eq!(Family::StoreSize.description().unit(), "bytes");
        assert_eq!(Family::ProcessCpu.description().unit(), "seconds");
        assert_eq!(Family::Checks.description().unit(), "");
    }
}
