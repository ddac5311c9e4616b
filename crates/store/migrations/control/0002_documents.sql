-- Every kind in one table, several secrets per key, who refers to what, what changed, who did it.
CREATE TABLE documents (
    kind          TEXT    NOT NULL,
    environment   TEXT    NOT NULL,
    id            BLOB    NOT NULL CHECK (length(id) = 16),
    name          TEXT    NOT NULL,
    version       INTEGER NOT NULL,
    schema        INTEGER NOT NULL,
    spec          TEXT    NOT NULL,
    created_at_ms INTEGER NOT NULL,
    updated_at_ms INTEGER NOT NULL,
    revoked_at_ms INTEGER,
    team          TEXT,
    owner         TEXT    NOT NULL DEFAULT '',
    enabled       INTEGER NOT NULL DEFAULT 1,
    expires_at_ms INTEGER,
    PRIMARY KEY (id),
    UNIQUE (kind, environment, name)
) WITHOUT ROWID;

CREATE TABLE key_secrets (
    hash          BLOB    NOT NULL CHECK (length(hash) = 32),
    key_id        BLOB    NOT NULL,
    prefix        TEXT    NOT NULL,
    created_at_ms INTEGER NOT NULL,
    until_ms      INTEGER,
    PRIMARY KEY (hash)
) WITHOUT ROWID;

INSERT INTO documents (kind, environment, id, name, version, schema, spec, created_at_ms, updated_at_ms, revoked_at_ms,
                       team, owner, enabled, expires_at_ms)
SELECT 'keys', environment, id, name, version, schema, spec, created_at_ms, updated_at_ms, revoked_at_ms,
       json_extract(spec, '$.team'), owner, coalesce(json_extract(spec, '$.enabled'), 1),
       1000 * CASE json_type(spec, '$.expires_at')
                  WHEN 'integer' THEN json_extract(spec, '$.expires_at')
                  ELSE CAST(strftime('%s', json_extract(spec, '$.expires_at')) AS INTEGER)
              END
FROM resources WHERE kind = 'api_key';

INSERT INTO key_secrets (hash, key_id, prefix, created_at_ms)
SELECT secret_hash, id, coalesce(prefix, ''), created_at_ms
FROM resources WHERE kind = 'api_key' AND secret_hash IS NOT NULL;

DROP TABLE resources;
ALTER TABLE documents RENAME TO resources;

CREATE INDEX resources_in_order ON resources (kind, environment, id);
CREATE INDEX resources_by_team ON resources (kind, environment, team, id) WHERE team IS NOT NULL;
CREATE INDEX resources_by_owner ON resources (kind, environment, owner, id) WHERE owner <> '';
CREATE INDEX key_secrets_by_key ON key_secrets (key_id);
CREATE INDEX key_secrets_by_prefix ON key_secrets (prefix);

-- Names are kept in the form in which they are compared: those of models in lower case with dashes for dots.
CREATE TABLE refs (
    environment TEXT NOT NULL,
    to_kind     TEXT NOT NULL,
    to_name     TEXT NOT NULL,
    from_id     BLOB NOT NULL,
    field       TEXT NOT NULL,
    PRIMARY KEY (environment, to_kind, to_name, from_id, field)
) WITHOUT ROWID;
CREATE INDEX refs_by_source ON refs (from_id);

INSERT INTO refs SELECT environment, 'teams', team, id, 'team' FROM resources WHERE team IS NOT NULL;
INSERT OR IGNORE INTO refs
SELECT r.environment, 'providers', lower(j.value), r.id, 'providers[' || j.key || ']'
FROM resources r, json_each(r.spec, '$.providers') j WHERE json_type(r.spec, '$.providers') = 'array';
INSERT OR IGNORE INTO refs
SELECT r.environment, 'models', replace(lower(j.value), '.', '-'), r.id, 'models[' || j.key || ']'
FROM resources r, json_each(r.spec, '$.models') j WHERE json_type(r.spec, '$.models') = 'array';

CREATE TABLE changes (
    seq         INTEGER PRIMARY KEY AUTOINCREMENT,
    environment TEXT NOT NULL,
    kind        TEXT NOT NULL,
    id          BLOB NOT NULL
);

CREATE TABLE audit (
    seq         INTEGER PRIMARY KEY AUTOINCREMENT,
    at_ms       INTEGER NOT NULL,
    actor       TEXT    NOT NULL,
    role        TEXT    NOT NULL,
    ip          TEXT,
    request_id  TEXT    NOT NULL,
    action      TEXT    NOT NULL,
    kind        TEXT    NOT NULL,
    environment TEXT    NOT NULL,
    name        TEXT    NOT NULL,
    resource_id BLOB,
    before      TEXT,
    after       TEXT
);

-- Small facts about the database itself, such as the value that tells a wrong master key.
CREATE TABLE facts (
    name  TEXT NOT NULL PRIMARY KEY,
    value TEXT NOT NULL
) WITHOUT ROWID;
