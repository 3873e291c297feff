-- What every client can see: what was seen last, what of it is all right, and how it became another one.

CREATE TABLE baselines (
    what             TEXT NOT NULL,
    subject          TEXT NOT NULL,
    -- A list of lists of values, the one accepted last first.
    accepted         TEXT NOT NULL,
    -- Those of them that a change window let in.
    windowed         TEXT NOT NULL,
    several_until_us INTEGER,
    accepted_at_us   INTEGER NOT NULL,
    accepted_by      TEXT NOT NULL,
    first_seen_at_us INTEGER NOT NULL,
    current          TEXT NOT NULL,
    current_since_us INTEGER NOT NULL,
    last_seen_at_us  INTEGER NOT NULL,
    run              TEXT NOT NULL,
    scenario         TEXT NOT NULL,
    step             TEXT NOT NULL,
    PRIMARY KEY (what, subject)
) STRICT, WITHOUT ROWID;

CREATE TABLE changes (
    id              INTEGER PRIMARY KEY,
    at_us           INTEGER NOT NULL,
    what            TEXT NOT NULL,
    subject         TEXT NOT NULL,
    how             TEXT NOT NULL,
    before          TEXT NOT NULL,
    before_since_us INTEGER NOT NULL,
    after           TEXT NOT NULL,
    run             TEXT NOT NULL,
    scenario        TEXT NOT NULL,
    step            TEXT NOT NULL,
    accepted_by     TEXT
) STRICT;

CREATE INDEX changes_by_subject ON changes (what, subject, id);
CREATE INDEX changes_by_time ON changes (at_us);
