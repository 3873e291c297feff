//! Every exit code of the program. They are an interface: documented in `--help`, the manual and `docs/`.

use postrider_probes::outcome::Status;

/// How the program ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// It ran and nothing failed.
    Ok,
    /// At least one check failed.
    Failed,
    /// Bad usage or bad configuration; nothing ran.
    Usage,
    /// No verdict: an error on the probe's side, and nothing failed.
    NotTested,
    /// Nothing to run, or everything was skipped.
    NothingToRun,
    /// SIGINT; what had ended is reported.
    Interrupted,
    /// SIGTERM; what had ended is reported.
    Terminated,
}

impl Exit {
    /// The number.
    #[must_use]
    pub fn code(self) -> u8 {
        match self {
            Self::Ok => 0,
            Self::Failed => 1,
            Self::Usage => 2,
            Self::NotTested => 3,
            Self::NothingToRun => 4,
            Self::Interrupted => 130,
            Self::Terminated => 143,
        }
    }

    /// The code for the worst status of a run; `--fail-on degraded` makes `degraded` a failure.
    #[must_use]
    pub fn of(worst: Status, fail_on_degraded: bool) -> Self {
        match worst {
            Status::Fail => Self::Failed,
            Status::Degraded if fail_on_degraded => Self::Failed,
            Status::Error => Self::NotTested,
            Status::Pass | Status::Degraded => Self::Ok,
            Status::Skip => Self::NothingToRun,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_status_has_its_code() {
        for (status, strict, code) in [
            (Status::Pass, false, 0),
            (Status::Degraded, false, 0),
            (Status::Degraded, true, 1),
            (Status::Fail, false, 1),
            (Status::Error, false, 3),
            (Status::Skip, false, 4),
        ] {
            assert_eq!(Exit::of(status, strict).code(), code, "{status} {strict}");
        }
    }
}
