-- Deliveries: what became of each token at each target. `asked` counts how often the token asked for it; whoever answers
-- an earlier request leaves the later one due.
CREATE TABLE delivery (
    id         INTEGER PRIMARY KEY,
    token      BLOB NOT NULL,
    target     TEXT NOT NULL,
    due        INTEGER NOT NULL,
    asked      INTEGER NOT NULL,
    expiry     INTEGER NOT NULL,
    generation INTEGER NOT NULL,
    sealed     BLOB NOT NULL,
    UNIQUE (token, target)
) STRICT;

CREATE INDEX delivery_by_due ON delivery (target, due, expiry);
