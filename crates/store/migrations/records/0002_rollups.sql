-- Who asked, with the key's id and team: what a key is called and where it belongs at the time is one number in a row.
CREATE TABLE callers_2 (
    id          INTEGER PRIMARY KEY,
    environment TEXT NOT NULL,
    key_name    TEXT NOT NULL,
    key_id      BLOB,
    team        TEXT
);
INSERT INTO callers_2 (environment, key_name, key_id)
    SELECT DISTINCT c.environment, c.key_name, r.key_id FROM requests r JOIN callers c ON c.id = r.caller;
CREATE INDEX callers_by_name ON callers_2 (environment, key_name);

-- What is searched comes before `detail`, so that a search does not read over it.
CREATE TABLE requests_2 (
    seq                 INTEGER PRIMARY KEY,
    id                  BLOB    NOT NULL,
    caller              INTEGER NOT NULL,
    tags                INTEGER,
    surface             INTEGER NOT NULL,
    model               INTEGER,
    provider            INTEGER,
    stream              INTEGER NOT NULL,
    status              INTEGER NOT NULL,
    outcome             INTEGER NOT NULL,
    error_code          INTEGER,
    attempts            INTEGER NOT NULL, -- how many tries; rows of version 1 are counted when the file is opened
    input_tokens        INTEGER NOT NULL,
    cached_input_tokens INTEGER NOT NULL,
    cache_write_tokens  INTEGER NOT NULL,
    output_tokens       INTEGER NOT NULL,
    reasoning_tokens    INTEGER NOT NULL,
    audio_input_tokens  INTEGER NOT NULL,
    audio_output_tokens INTEGER NOT NULL,
    usage_origin        INTEGER NOT NULL,
    cost_nanos          INTEGER,
    baseline            INTEGER,
    baseline_cost_nanos INTEGER,
    latency_us          INTEGER NOT NULL,
    first_content_us    INTEGER,
    detail              BLOB    NOT NULL -- what only people read, see records/detail.rs
);
INSERT INTO requests_2
    SELECT r.seq, r.id,
        (SELECT n.id FROM callers c JOIN callers_2 n ON n.environment = c.environment AND n.key_name = c.key_name
            WHERE c.id = r.caller AND n.key_id IS r.key_id),
        NULL, r.surface, r.model, r.provider, r.stream, r.status, r.outcome, r.error_code, 0, r.input_tokens,
        r.cached_input_tokens, r.cache_write_tokens, r.output_tokens, r.reasoning_tokens, r.audio_input_tokens,
        r.audio_output_tokens, r.usage_origin, r.cost_nanos, r.baseline, r.baseline_cost_nanos, r.latency_us,
        r.first_content_us, r.detail
    FROM requests r ORDER BY r.seq;
DROP TABLE requests;
DROP TABLE callers;
ALTER TABLE requests_2 RENAME TO requests;
ALTER TABLE callers_2 RENAME TO callers;
CREATE INDEX requests_by_caller ON requests (caller);
CREATE INDEX callers_by_key ON callers (key_id) WHERE key_id IS NOT NULL;

-- The cost tags of a request, as a JSON array of text.
CREATE TABLE tag_sets (
    id   INTEGER PRIMARY KEY,
    tags TEXT    NOT NULL UNIQUE
);

-- Sums of records by time; `place` is made of level, bucket and part, see records/rollup.rs.
CREATE TABLE rollups (
    place INTEGER PRIMARY KEY,
    data  BLOB    NOT NULL
);

-- How far each level is complete, and from where on it is kept, as numbers of buckets.
CREATE TABLE rollup_marks (
    level  INTEGER PRIMARY KEY,
    folded INTEGER NOT NULL,
    kept   INTEGER NOT NULL
);
INSERT INTO rollup_marks (level, folded, kept) VALUES (0, 0, 0), (1, 0, 0), (2, 0, 0), (3, 0, 0);

-- What every caller has used in all.
CREATE TABLE caller_totals (
    caller        INTEGER PRIMARY KEY,
    requests      INTEGER NOT NULL,
    input_tokens  INTEGER NOT NULL,
    output_tokens INTEGER NOT NULL,
    cost_nanos    INTEGER NOT NULL,
    unknown_cost  INTEGER NOT NULL,
    last_used_ms  INTEGER NOT NULL
);

-- Has a row as long as the records of version 1 are not in the rollups.
CREATE TABLE rollup_pending (through INTEGER NOT NULL);
INSERT INTO rollup_pending SELECT max(seq) FROM requests HAVING count(*) > 0;
