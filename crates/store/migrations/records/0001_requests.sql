-- What happened: one row per settled request. `seq` is made of the id (see records/seq.rs) and ordered by time, so that
-- rows are appended at the end and an id is found without an index of its own.
CREATE TABLE requests (
    seq                 INTEGER PRIMARY KEY,
    id                  BLOB    NOT NULL,
    caller              INTEGER NOT NULL,
    key_id              BLOB,
    surface             INTEGER NOT NULL,
    model               INTEGER,
    provider            INTEGER,
    stream              INTEGER NOT NULL,
    status              INTEGER NOT NULL,
    outcome             INTEGER NOT NULL,
    error_code          INTEGER,
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

-- The rows of a caller, in the order of `seq`, which every index holds behind its columns.
CREATE INDEX requests_by_caller ON requests (caller);

-- Who asks: a key's name in its environment.
CREATE TABLE callers (
    id          INTEGER PRIMARY KEY,
    environment TEXT    NOT NULL,
    key_name    TEXT    NOT NULL,
    UNIQUE (environment, key_name)
);

-- The words that many rows share: surfaces, models, providers, outcomes, error codes.
CREATE TABLE names (
    id   INTEGER PRIMARY KEY,
    name TEXT    NOT NULL UNIQUE
);

-- How far each journal segment has been committed to this database, in bytes.
CREATE TABLE watermarks (
    segment BLOB    NOT NULL PRIMARY KEY,
    offset  INTEGER NOT NULL
) WITHOUT ROWID;
