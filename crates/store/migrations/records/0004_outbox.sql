-- Environments whose requests are announced to webhooks.
CREATE TABLE announced (
    environment TEXT PRIMARY KEY
) WITHOUT ROWID;

-- Requests of theirs, in the order in which they were committed, in the transaction of their records. Who announces them
-- keeps how far it came; what it has seen is deleted later.
CREATE TABLE outbox (
    seq         INTEGER PRIMARY KEY AUTOINCREMENT,
    environment TEXT NOT NULL,
    id          BLOB NOT NULL
);
