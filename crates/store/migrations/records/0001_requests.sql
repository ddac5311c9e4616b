-- What happened: one row per settled request. The id is ordered by time, so that rows are appended at the end.
CREATE TABLE requests (
    id                  BLOB    NOT NULL PRIMARY KEY,
    environment         TEXT    NOT NULL,
    key_id              BLOB,
    key_name            TEXT    NOT NULL,
    surface             TEXT    NOT NULL,
    requested_model     TEXT    NOT NULL,
    model               TEXT,
    provider            TEXT,
    stream              INTEGER NOT NULL,
    status              INTEGER NOT NULL,
    outcome             TEXT    NOT NULL,
    error_code          TEXT,
    error_detail        TEXT,
    finish_reason       TEXT,
    upstream_id         TEXT,
    input_tokens        INTEGER NOT NULL,
    cached_input_tokens INTEGER NOT NULL,
    cache_write_tokens  INTEGER NOT NULL,
    output_tokens       INTEGER NOT NULL,
    reasoning_tokens    INTEGER NOT NULL,
    audio_input_tokens  INTEGER NOT NULL,
    audio_output_tokens INTEGER NOT NULL,
    usage_origin        TEXT    NOT NULL,
    cost_nanos          INTEGER,
    baseline            TEXT,
    baseline_cost_nanos INTEGER,
    latency_us          INTEGER NOT NULL,
    first_content_us    INTEGER,
    admitted_ms         INTEGER NOT NULL,
    attempts            TEXT    NOT NULL
) WITHOUT ROWID;

CREATE INDEX requests_by_key ON requests (environment, key_name, id);

-- How far each journal segment has been committed to this database, in bytes.
CREATE TABLE watermarks (
    segment BLOB    NOT NULL PRIMARY KEY,
    offset  INTEGER NOT NULL
) WITHOUT ROWID;
