-- What people configure: versioned documents, one table for every kind.
CREATE TABLE resources (
    kind          TEXT    NOT NULL,
    environment   TEXT    NOT NULL,
    id            BLOB    NOT NULL CHECK (length(id) = 16),
    name          TEXT    NOT NULL,
    owner         TEXT    NOT NULL,
    version       INTEGER NOT NULL,
    schema        INTEGER NOT NULL,
    spec          TEXT    NOT NULL,
    created_at_ms INTEGER NOT NULL,
    updated_at_ms INTEGER NOT NULL,
    secret_hash   BLOB    UNIQUE CHECK (secret_hash IS NULL OR length(secret_hash) = 32),
    prefix        TEXT,
    revoked_at_ms INTEGER,
    PRIMARY KEY (id),
    UNIQUE (kind, environment, name)
) WITHOUT ROWID;
