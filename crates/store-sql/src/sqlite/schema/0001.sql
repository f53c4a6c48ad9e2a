-- The first schema. What each table's columns mean stands in `store::rows`.
--
-- Tables of sealed bodies are rowid tables: their rows are long, and those of one renewal are appended side by side.
-- Integers that are u64 in the program stay below 2^63. Instants are milliseconds since the Unix epoch, 2^63 - 1 is
-- 'never'.

PRAGMA application_id = 0x5673746C; -- "Vstl"

-- One row. `epoch` is that of the process that has the store open; `probes` is what a probe writes.
CREATE TABLE meta (
    id     INTEGER PRIMARY KEY CHECK (id = 1),
    epoch  INTEGER NOT NULL,
    probes INTEGER NOT NULL
) STRICT;

INSERT INTO meta (id, epoch, probes) VALUES (1, 0, 0);

CREATE TABLE keyring (
    term    INTEGER PRIMARY KEY,
    wrapped BLOB NOT NULL
) STRICT;

CREATE TABLE secret (
    id            INTEGER PRIMARY KEY,
    vault         TEXT NOT NULL,
    name          TEXT NOT NULL,
    current       BLOB NOT NULL,
    changed       INTEGER NOT NULL,
    keep_versions INTEGER,
    sealed        BLOB NOT NULL,
    UNIQUE (vault, name)
) STRICT;

-- `id` goes up with each insertion: the oldest version is the one with the smallest. The index of the key holds it too,
-- so that the oldest is found without reading a row.
CREATE TABLE version (
    id         INTEGER PRIMARY KEY,
    vault      TEXT NOT NULL,
    name       TEXT NOT NULL,
    version    BLOB NOT NULL,
    created    INTEGER NOT NULL,
    enabled    INTEGER NOT NULL,
    not_before INTEGER,
    expires    INTEGER,
    generation INTEGER NOT NULL,
    sealed     BLOB NOT NULL,
    UNIQUE (vault, name, version)
) STRICT;

-- Every lane that a token is in, and every lane that was written. `sealed` is null in the former: such a lane has no
-- row for the program, and goes with its last token. `first_due` is the smallest due time of the lane's waiting tokens
-- (without a lease, not paused), null where none waits; each transaction sets it anew for the lanes that it touched. So
-- what is due is found lane by lane, by `ready_at`, and what isn't costs nothing.
CREATE TABLE lane (
    id        INTEGER PRIMARY KEY,
    key       TEXT NOT NULL UNIQUE,
    tokens    INTEGER NOT NULL DEFAULT 0,
    open_at   INTEGER NOT NULL DEFAULT (-9223372036854775807 - 1),
    sealed    BLOB,
    first_due INTEGER,
    ready_at  INTEGER GENERATED ALWAYS AS (max(open_at, first_due)) VIRTUAL
) STRICT;

CREATE INDEX lane_ready_at ON lane (ready_at) WHERE ready_at IS NOT NULL;

-- `leased`: whether a claim of the open epoch holds it. Opening the store ends all leases.
CREATE TABLE token (
    seq        INTEGER PRIMARY KEY,
    id         BLOB NOT NULL UNIQUE,
    vault      TEXT NOT NULL,
    name       TEXT NOT NULL,
    lane       INTEGER NOT NULL,
    due        INTEGER NOT NULL,
    expiry     INTEGER NOT NULL,
    generation INTEGER NOT NULL,
    fence      INTEGER NOT NULL,
    leased     INTEGER NOT NULL,
    sealed     BLOB NOT NULL,
    UNIQUE (vault, name)
) STRICT;

-- Waiting tokens by when they are due, and by when they die: the first answers where few of a lane are due, the second
-- where many are. Paused tokens stand at the end of the first; a second bound on `due` in its condition, beside that of a
-- query, would be the one that SQLite searches by.
CREATE INDEX token_waiting_by_due ON token (lane, due, expiry) WHERE leased = 0;
CREATE INDEX token_waiting_by_expiry ON token (lane, expiry, due) WHERE leased = 0 AND due < 9223372036854775807;
-- What opening the store has to release.
CREATE INDEX token_leased ON token (seq) WHERE leased <> 0;

CREATE TABLE attempt (
    id      INTEGER PRIMARY KEY,
    token   BLOB NOT NULL,
    number  INTEGER NOT NULL,
    started INTEGER NOT NULL,
    sealed  BLOB NOT NULL,
    UNIQUE (token, number)
) STRICT;

CREATE TABLE definition (
    id      INTEGER PRIMARY KEY,
    kind    INTEGER NOT NULL,
    name    TEXT NOT NULL,
    origin  INTEGER NOT NULL,
    removed INTEGER,
    sealed  BLOB NOT NULL,
    UNIQUE (kind, name)
) STRICT;
