-- What happened and is told to somebody. An event is kept as long as one of its deliveries.
CREATE TABLE events (
    seq         INTEGER PRIMARY KEY,
    id          TEXT    NOT NULL UNIQUE,
    environment TEXT    NOT NULL,
    type        TEXT    NOT NULL,
    created_ms  INTEGER NOT NULL,
    body        TEXT    NOT NULL -- the envelope, byte for byte as it is sent
);

-- One event for one receiver. Their numbers are never used again: they are in answers of the API.
CREATE TABLE deliveries (
    seq         INTEGER PRIMARY KEY AUTOINCREMENT,
    event       INTEGER NOT NULL REFERENCES events (seq),
    environment TEXT    NOT NULL,
    channel     INTEGER NOT NULL, -- 0 a webhook, 1 an email
    name        TEXT    NOT NULL, -- of the webhook, or of the alert that sends the email
    address     TEXT    NOT NULL, -- of the email; empty for a webhook
    state       INTEGER NOT NULL, -- 0 waits, 1 delivered, 2 dead
    created_ms  INTEGER NOT NULL,
    attempts    INTEGER NOT NULL DEFAULT 0,
    due_ms      INTEGER,          -- when it is tried next; null when it is over
    last_ms     INTEGER,          -- when it was tried last
    took_ms     INTEGER,          -- how long that took
    status      INTEGER,          -- what the receiver answered then
    error       TEXT              -- what went wrong then
);
CREATE INDEX deliveries_waiting ON deliveries (environment, channel, name, address, due_ms) WHERE state = 0;
CREATE INDEX deliveries_of ON deliveries (environment, channel, name, seq);
CREATE INDEX deliveries_of_event ON deliveries (event);

-- How far the sources were read.
CREATE TABLE marks (
    name  TEXT PRIMARY KEY,
    value INTEGER NOT NULL
) WITHOUT ROWID;

-- What was raised once and is not raised again: within a window, or while it lasts.
CREATE TABLE raised (
    subject TEXT PRIMARY KEY, -- what it is about
    period  INTEGER NOT NULL, -- the first millisecond of the window; 0 where windows have none
    at_ms   INTEGER NOT NULL
) WITHOUT ROWID;
