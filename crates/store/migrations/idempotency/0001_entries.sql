-- What became of requests that bear an Idempotency-Key, for as long as they may be repeated. Nothing in it is readable
-- without the master key: names and requests are keyed hashes, results are sealed.
CREATE TABLE entries (
    name        BLOB    PRIMARY KEY, -- of environment, API key and idempotency key
    request     BLOB    NOT NULL,    -- of the parameters
    environment TEXT    NOT NULL,
    state       INTEGER NOT NULL,    -- 0 claimed, 1 kept, 2 over but not kept
    expires_ms  INTEGER NOT NULL,
    bytes       INTEGER NOT NULL DEFAULT 0,
    result      BLOB
);
CREATE INDEX entries_expire ON entries (expires_ms);
CREATE INDEX entries_kept ON entries (environment, expires_ms) WHERE bytes > 0;

-- How many bytes each environment keeps.
CREATE TABLE totals (
    environment TEXT    PRIMARY KEY,
    bytes       INTEGER NOT NULL
) WITHOUT ROWID;
CREATE TRIGGER entries_deleted AFTER DELETE ON entries WHEN OLD.bytes > 0 BEGIN
    UPDATE totals SET bytes = bytes - OLD.bytes WHERE environment = OLD.environment;
    DELETE FROM totals WHERE environment = OLD.environment AND bytes = 0;
END;
CREATE TRIGGER entries_changed AFTER UPDATE OF bytes ON entries WHEN OLD.bytes <> NEW.bytes BEGIN
    INSERT INTO totals VALUES (NEW.environment, NEW.bytes - OLD.bytes)
        ON CONFLICT (environment) DO UPDATE SET bytes = bytes + excluded.bytes;
    DELETE FROM totals WHERE environment = NEW.environment AND bytes = 0;
END;
