-- Secrets that were deleted and can still be recovered. Their versions stay in their table.
CREATE TABLE deleted_secret (
    id            INTEGER PRIMARY KEY,
    vault         TEXT NOT NULL,
    name          TEXT NOT NULL,
    current       BLOB NOT NULL,
    changed       INTEGER NOT NULL,
    keep_versions INTEGER,
    sealed        BLOB NOT NULL,
    deleted       INTEGER NOT NULL,
    purged_at     INTEGER NOT NULL,
    UNIQUE (vault, name)
) STRICT;

CREATE INDEX deleted_secret_by_purge ON deleted_secret (purged_at, vault, name);
