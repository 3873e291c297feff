-- History: what was measured and counted, by check and hour. Hours are whole hours since 1970, UTC.

-- Which check is meant over all runs: one step against one target. Runs that people start are kept apart.
CREATE TABLE check_keys (
    id       INTEGER PRIMARY KEY,
    scenario TEXT NOT NULL,
    step     TEXT NOT NULL,
    target   TEXT NOT NULL,
    manual   INTEGER NOT NULL CHECK (manual IN (0, 1)),
    UNIQUE (scenario, step, target, manual)
) STRICT;

CREATE TABLE series (
    id        INTEGER PRIMARY KEY,
    check_key INTEGER NOT NULL REFERENCES check_keys (id),
    phase     TEXT NOT NULL,
    UNIQUE (check_key, phase)
) STRICT;

-- The open hours, sample by sample; no took_us: never finished.
CREATE TABLE samples (
    at_us   INTEGER NOT NULL,
    series  INTEGER NOT NULL REFERENCES series (id),
    took_us INTEGER CHECK (took_us >= 0)
) STRICT;

CREATE INDEX samples_by_series ON samples (series, at_us);

-- The closed hours. Keyed by the hour first: it is written and removed hour by hour, so the pages stay full.
CREATE TABLE sample_hours (
    hour   INTEGER NOT NULL,
    series INTEGER NOT NULL,
    packed BLOB NOT NULL,
    PRIMARY KEY (hour, series)
) STRICT, WITHOUT ROWID;

CREATE TABLE series_hours (
    hour       INTEGER NOT NULL,
    series     INTEGER NOT NULL,
    n          INTEGER NOT NULL,
    unfinished INTEGER NOT NULL,
    histogram  BLOB NOT NULL,
    PRIMARY KEY (hour, series)
) STRICT, WITHOUT ROWID;

-- How many checks ended how, by the hour in which they began.
CREATE TABLE check_hours (
    hour      INTEGER NOT NULL,
    check_key INTEGER NOT NULL,
    status    TEXT NOT NULL,
    checks    INTEGER NOT NULL,
    PRIMARY KEY (hour, check_key, status)
) STRICT, WITHOUT ROWID;

-- How many mails stand how, by the hour in which they were planned. They move when their state does.
CREATE TABLE mail_hours (
    hour         INTEGER NOT NULL,
    check_key    INTEGER NOT NULL,
    state        TEXT NOT NULL,
    mails        INTEGER NOT NULL,
    late         INTEGER NOT NULL,
    extra_copies INTEGER NOT NULL,
    PRIMARY KEY (hour, check_key, state)
) STRICT, WITHOUT ROWID;

-- The balance over all mails that ever were, those included that retention removed.
CREATE TABLE tallies (
    state        TEXT PRIMARY KEY,
    mails        INTEGER NOT NULL,
    extra_copies INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- What retention removed, by the hour that it was of: nothing vanishes without a trace.
CREATE TABLE removals (
    hour         INTEGER NOT NULL,
    what         TEXT NOT NULL,
    state        TEXT NOT NULL,
    removed      INTEGER NOT NULL,
    events       INTEGER NOT NULL,
    extra_copies INTEGER NOT NULL,
    last_at_us   INTEGER NOT NULL,
    PRIMARY KEY (hour, what, state)
) STRICT, WITHOUT ROWID;

ALTER TABLE entries ADD COLUMN late INTEGER NOT NULL DEFAULT 0;
ALTER TABLE entries ADD COLUMN check_key INTEGER;
ALTER TABLE runs ADD COLUMN status TEXT NOT NULL DEFAULT 'error';
ALTER TABLE runs ADD COLUMN manual INTEGER NOT NULL DEFAULT 1;
ALTER TABLE checks ADD COLUMN scenario TEXT NOT NULL DEFAULT '';
ALTER TABLE checks ADD COLUMN step TEXT NOT NULL DEFAULT '';
ALTER TABLE checks ADD COLUMN status TEXT NOT NULL DEFAULT 'error';
ALTER TABLE checks ADD COLUMN started_at_us INTEGER NOT NULL DEFAULT 0;

UPDATE entries SET late = 1
WHERE first_seen_at_us IS NOT NULL AND id IN (SELECT entry FROM ledger_events WHERE kind = 'overdue');

UPDATE runs SET
    status = json_extract(head, '$.status'),
    manual = CASE WHEN json_extract(head, '$.origin') = 'schedule'
                    OR json_extract(head, '$.origin') LIKE 'schedule %' THEN 0 ELSE 1 END;

UPDATE checks SET
    scenario = json_extract(document, '$.scenario'),
    step = json_extract(document, '$.step'),
    status = json_extract(document, '$.status'),
    -- Whole seconds will do for what is older than this table.
    started_at_us = coalesce(CAST(strftime('%s', json_extract(document, '$.started_at')) AS INTEGER), 0) * 1000000;

CREATE INDEX runs_passed ON runs (started_at_us) WHERE status = 'pass';
-- All that checks are searched by: their documents lie between the key and the columns that were added.
CREATE INDEX checks_by_time ON checks (started_at_us, status, scenario, step);
CREATE INDEX entries_ordinary ON entries (id)
    WHERE open = 0 AND state = 'delivered' AND late = 0 AND copies <= 1;
CREATE INDEX entries_closed ON entries (id)
    WHERE open = 0 AND (state <> 'delivered' OR late = 1 OR copies > 1);

INSERT INTO check_keys (scenario, step, target, manual)
SELECT DISTINCT coalesce(scenario, ''), coalesce(step, ''),
                CASE WHEN instr(route, '[') > 0 THEN route ELSE '' END,
                coalesce((SELECT manual FROM runs WHERE runs.id = entries.run), 1)
FROM entries;

UPDATE entries SET check_key = (
    SELECT check_keys.id FROM check_keys
    WHERE check_keys.scenario = coalesce(entries.scenario, '')
      AND check_keys.step = coalesce(entries.step, '')
      AND check_keys.target = CASE WHEN instr(entries.route, '[') > 0 THEN entries.route ELSE '' END
      AND check_keys.manual = coalesce((SELECT manual FROM runs WHERE runs.id = entries.run), 1)
);

INSERT INTO mail_hours (hour, check_key, state, mails, late, extra_copies)
SELECT coalesce(planned_at_us, 0) / 3600000000, check_key, state, count(*), sum(late), sum(max(copies - 1, 0))
FROM entries GROUP BY 1, 2, 3;

INSERT INTO tallies (state, mails, extra_copies)
SELECT state, count(*), sum(max(copies - 1, 0)) FROM entries GROUP BY state;
