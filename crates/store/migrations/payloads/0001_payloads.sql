-- What was asked and answered, where that is kept. `seq` is made of the id as in records.db.
CREATE TABLE payloads (
    seq                INTEGER PRIMARY KEY,
    id                 BLOB    NOT NULL,
    environment        TEXT    NOT NULL,
    state              INTEGER NOT NULL, -- 0 as it was, 1 redacted, 2 dropped
    request_bytes      INTEGER,          -- how many passed; more than are kept when it was cut
    request_cut        INTEGER NOT NULL,
    response_bytes     INTEGER,
    response_cut       INTEGER NOT NULL,
    request            BLOB,             -- compressed
    response           BLOB
);
