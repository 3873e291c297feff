-- Times are microseconds since 1970, UTC. What the ledger says is in ledger_events, for good; entries is what those
-- events add up to, kept for queries, and can be computed again at any time.

CREATE TABLE meta (
    name  TEXT PRIMARY KEY,
    value BLOB NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE ledger_events (
    seq   INTEGER PRIMARY KEY CHECK (seq > 0),
    at_us INTEGER NOT NULL,
    entry TEXT NOT NULL,
    kind  TEXT NOT NULL,
    body  TEXT NOT NULL
) STRICT;

CREATE INDEX ledger_events_by_entry ON ledger_events (entry, seq);

CREATE TABLE entries (
    id              TEXT PRIMARY KEY,
    run             TEXT,
    scenario        TEXT,
    step            TEXT,
    route           TEXT,
    mailbox         TEXT,
    folder          TEXT,
    planned_at_us   INTEGER,
    attempted_at_us INTEGER,
    first_seen_at_us INTEGER,
    latency_us      INTEGER,
    copies          INTEGER NOT NULL,
    state           TEXT NOT NULL,
    open            INTEGER NOT NULL CHECK (open IN (0, 1))
) STRICT, WITHOUT ROWID;

CREATE INDEX entries_open ON entries (id) WHERE open = 1;
CREATE INDEX entries_by_run ON entries (run);

CREATE TABLE runs (
    id            TEXT PRIMARY KEY,
    started_at_us INTEGER NOT NULL,
    head          TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX runs_by_time ON runs (started_at_us);

CREATE TABLE checks (
    run      TEXT NOT NULL REFERENCES runs (id) ON DELETE CASCADE,
    number   INTEGER NOT NULL CHECK (number > 0),
    document TEXT NOT NULL,
    PRIMARY KEY (run, number)
) STRICT, WITHOUT ROWID;

CREATE TABLE positions (
    mailbox      TEXT NOT NULL,
    folder       TEXT NOT NULL,
    uid_validity INTEGER NOT NULL,
    uid_next     INTEGER NOT NULL,
    PRIMARY KEY (mailbox, folder)
) STRICT, WITHOUT ROWID;
