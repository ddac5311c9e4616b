-- What a request was charged, with its margin; NULL where usage was not charged. The ledger is checked against it.
ALTER TABLE requests ADD COLUMN charged_nanos INTEGER;

-- The ledger: transfers between the accounts of an environment, in nano-dollars. Every row is a whole transfer, a column
-- an account, and what is posted adds up to nothing. Rows are never changed or removed: corrections are rows.

-- What requests were charged. `environment` is a number of `names`, `seq` the place of the request (records/seq.rs).
CREATE TABLE ledger_charges (
    environment INTEGER NOT NULL,
    seq         INTEGER NOT NULL,
    id          BLOB    NOT NULL,
    caller      INTEGER NOT NULL,
    tags        INTEGER,
    model       INTEGER,
    provider    INTEGER,
    estimated   INTEGER NOT NULL, -- 0: of the usage that the provider reported
    credits     INTEGER NOT NULL,
    cost        INTEGER NOT NULL,
    margin      INTEGER NOT NULL,
    PRIMARY KEY (environment, seq),
    CHECK (credits + cost + margin = 0 AND cost >= 0 AND margin >= 0)
) STRICT, WITHOUT ROWID;

-- What else changed the credits: top-ups, promotions, refunds, adjustments. `number` is the order in which they were posted.
CREATE TABLE ledger_credits (
    number      INTEGER PRIMARY KEY AUTOINCREMENT,
    seq         INTEGER NOT NULL,
    id          BLOB    NOT NULL UNIQUE,
    environment TEXT    NOT NULL,
    kind        TEXT    NOT NULL,
    reference   TEXT    NOT NULL,
    note        TEXT    NOT NULL,
    actor       TEXT    NOT NULL,
    credits     INTEGER NOT NULL,
    funding     INTEGER NOT NULL,
    promotions  INTEGER NOT NULL,
    adjustments INTEGER NOT NULL,
    UNIQUE (environment, reference),
    CHECK (credits + funding + promotions + adjustments = 0)
) STRICT;
CREATE INDEX ledger_credits_by_time ON ledger_credits (environment, seq);

-- The balance of every account: what was posted to it in all.
CREATE TABLE ledger_accounts (
    environment TEXT    NOT NULL PRIMARY KEY,
    credits     INTEGER NOT NULL DEFAULT 0,
    funding     INTEGER NOT NULL DEFAULT 0,
    promotions  INTEGER NOT NULL DEFAULT 0,
    adjustments INTEGER NOT NULL DEFAULT 0,
    cost        INTEGER NOT NULL DEFAULT 0,
    margin      INTEGER NOT NULL DEFAULT 0,
    CHECK (credits + funding + promotions + adjustments + cost + margin = 0)
) STRICT, WITHOUT ROWID;

CREATE TRIGGER ledger_charges_stay BEFORE DELETE ON ledger_charges BEGIN
    SELECT RAISE(ABORT, 'the ledger is append-only'); END;
CREATE TRIGGER ledger_charges_do_not_change BEFORE UPDATE ON ledger_charges BEGIN
    SELECT RAISE(ABORT, 'the ledger is append-only'); END;
CREATE TRIGGER ledger_credits_stay BEFORE DELETE ON ledger_credits BEGIN
    SELECT RAISE(ABORT, 'the ledger is append-only'); END;
CREATE TRIGGER ledger_credits_do_not_change BEFORE UPDATE ON ledger_credits BEGIN
    SELECT RAISE(ABORT, 'the ledger is append-only'); END;
CREATE TRIGGER ledger_accounts_stay BEFORE DELETE ON ledger_accounts BEGIN
    SELECT RAISE(ABORT, 'the ledger is append-only'); END;
