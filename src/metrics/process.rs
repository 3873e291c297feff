//! What the system says of this process.

use std::fs;

use super::catalogue::Family;

/// The process metrics that everybody has, as far as the system tells.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Process(Vec<(Family, f64)>);

impl Process {
    /// Reads /proc: small files that cannot block.
    pub(super) fn read() -> Self {
        let read = |name: &str| fs::read_to_string(format!("/proc/{name}")).unwrap_or_default();
        let mut values = of_stat(
            &read("self/stat"),
            &read("stat"),
            rustix::param::clock_ticks_per_second() as f64,
            rustix::param::page_size() as f64,
        );
        if let Ok(open) = fs::read_dir("/proc/self/fd") {
            // Reading the directory needs a descriptor of its own.
            values.push((
                Family::ProcessOpenFds,
                open.count().saturating_sub(1) as f64,
            ));
        }
        let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile).current;
        values.extend(limit.map(|limit| (Family::ProcessMaxFds, limit as f64)));
        Self(values)
    }

    pub(super) fn values(&self) -> impl Iterator<Item = (Family, f64)> {
        self.0.iter().copied()
    }
}

/// `/proc/self/stat` and the boot time of `/proc/stat` (proc(5)).
fn of_stat(own: &str, system: &str, ticks: f64, page: f64) -> Vec<(Family, f64)> {
    // The name of the program is in brackets and may hold anything, brackets too.
    let fields: Vec<&str> = own
        .rsplit_once(") ")
        .map(|(_, rest)| rest.split(' ').collect())
        .unwrap_or_default();
    // Counted from the third field, the state.
    let field = |number: usize| fields.get(number - 3)?.trim().parse::<f64>().ok();
    let booted = system
        .lines()
        .find_map(|line| line.strip_prefix("btime ")?.parse::<f64>().ok());
    let found = [
        field(14)
            .zip(field(15))
            .map(|(user, kernel)| (Family::ProcessCpu, (user + kernel) / ticks)),
        field(23).map(|bytes| (Family::ProcessVirtualMemory, bytes)),
        field(24).map(|pages| (Family::ProcessResidentMemory, pages * page)),
        booted
            .zip(field(22))
            .map(|(booted, after)| (Family::ProcessStartTime, booted + after / ticks)),
    ];
    found.into_iter().flatten().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const OWN: &str = "4711 (post) rider) S 1 4711 4711 0 -1 4194560 1 0 0 0 250 50 0 0 20 0 7 0 1000 1048576 256 18446744073709551615 1 1";

    #[test]
    fn fields_are_found_behind_a_strange_name() {
        let found = of_stat(OWN, "cpu 1 2\nbtime 1790000000\n", 100.0, 4096.0);
        assert_eq!(
            found,
            [
                (Family::ProcessCpu, 3.0),
                (Family::ProcessVirtualMemory, 1_048_576.0),
                (Family::ProcessResidentMemory, 1_048_576.0),
                (Family::ProcessStartTime, 1_790_000_010.0),
            ]
        );
        assert_eq!(of_stat("", "", 100.0, 4096.0), []);
        assert_eq!(of_stat("1 (x) R", "btime", 100.0, 4096.0), []);
    }

    #[test]
    fn this_process_is_known() {
        let process = Process::read();
        let of = |family| process.values().find(|(found, _)| *found == family);
        for family in Family::ALL {
            if family.description().name.starts_with("process_") {
                assert!(
                    of(*family).is_some_and(|(_, value)| value >= 0.0),
                    "{family:?}"
                );
            }
        }
        assert!(of(Family::ProcessResidentMemory).is_some_and(|(_, bytes)| bytes > 1e5));
    }
}
