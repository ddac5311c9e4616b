-- What callers say of the answers they got, one word per request: the last one counts.
CREATE TABLE feedback (
    request     BLOB    PRIMARY KEY, -- the request's id
    environment TEXT    NOT NULL,
    at_ms       INTEGER NOT NULL,    -- when it was said last, Unix milliseconds
    score       REAL    NOT NULL,    -- 0 useless, 1 as good as can be
    rating      TEXT,                -- the word that was said instead of a score: up or down
    comment     TEXT
) WITHOUT ROWID;
CREATE INDEX feedback_by_age ON feedback (environment, at_ms);
