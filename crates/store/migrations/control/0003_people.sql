-- People who sign in, their sessions, and codes that are good for one use.
CREATE TABLE users (
    id                 BLOB    NOT NULL CHECK (length(id) = 16),
    email              TEXT    NOT NULL UNIQUE CHECK (email = lower(email)),
    name               TEXT    NOT NULL,
    role               TEXT    NOT NULL,
    role_from_issuer   INTEGER NOT NULL,
    password_hash      TEXT,
    oidc_issuer        TEXT,
    oidc_subject       TEXT,
    disabled           INTEGER NOT NULL,
    version            INTEGER NOT NULL,
    created_at_ms      INTEGER NOT NULL,
    updated_at_ms      INTEGER NOT NULL,
    last_sign_in_at_ms INTEGER,
    PRIMARY KEY (id),
    UNIQUE (oidc_issuer, oidc_subject)
) WITHOUT ROWID;

-- The hash is of the random id that the browser holds; `id` is what people call the session by.
CREATE TABLE sessions (
    id              BLOB    NOT NULL CHECK (length(id) = 16),
    hash            BLOB    NOT NULL UNIQUE CHECK (length(hash) = 32),
    user            BLOB    NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    method          TEXT    NOT NULL,
    created_at_ms   INTEGER NOT NULL,
    last_seen_at_ms INTEGER NOT NULL,
    expires_at_ms   INTEGER NOT NULL,
    ip              TEXT,
    user_agent      TEXT    NOT NULL,
    PRIMARY KEY (id)
) WITHOUT ROWID;
CREATE INDEX sessions_of_user ON sessions (user);

-- A code without a user is the one of the set-up.
CREATE TABLE codes (
    hash          BLOB    NOT NULL CHECK (length(hash) = 32),
    user          BLOB    REFERENCES users (id) ON DELETE CASCADE,
    created_at_ms INTEGER NOT NULL,
    expires_at_ms INTEGER NOT NULL,
    PRIMARY KEY (hash)
) WITHOUT ROWID;
CREATE INDEX codes_of_user ON codes (user);
