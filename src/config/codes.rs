//! The codes of mistakes.

/// Every code that a mistake in the configuration can have, sorted. Each has a page in `explain` and a case in
/// `tests/it/config_errors.rs`.
pub const CODES: &[&str] = &[
    "bad-address",
    "bad-cron",
    "bad-host",
    "bad-value",
    "conflicting-keys",
    "duplicate-address",
    "duplicate-id",
    "duplicate-key",
    "file-too-large",
    "inline-secret",
    "item-without-for-each",
    "line-break",
    "missing-file",
    "missing-key",
    "missing-unit",
    "schedule-too-often",
    "secret-line-end",
    "secret-missing",
    "secret-readable-by-others",
    "secret-unreadable",
    "timeout-too-short",
    "too-deep",
    "too-many-files",
    "too-many-nodes",
    "unknown-key",
    "unknown-reference",
    "unknown-timezone",
    "unknown-variable",
    "unused-mailbox",
    "verb-count",
    "warn-after-within",
    "wrong-type",
    "yaml-ambiguous",
    "yaml-syntax",
];

#[cfg(test)]
mod tests {
    use super::CODES;

    #[test]
    fn the_list_is_sorted() {
        assert!(CODES.is_sorted());
    }
}
