-- What counters of limits want of a request beside its record, after a restart: users, addresses and buckets (as digests),
-- tries that failed, and what was held where nobody knows what was used. Most requests have no row here.
CREATE TABLE counted (
    environment TEXT    NOT NULL,
    at_ms       INTEGER NOT NULL,
    id          BLOB    NOT NULL,
    detail      BLOB    NOT NULL, -- see records/beside.rs
    PRIMARY KEY (environment, at_ms, id)
) WITHOUT ROWID;
