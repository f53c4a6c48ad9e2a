-- Since when a target lacks what it should hold; the largest number where it lacks nothing.
ALTER TABLE delivery ADD COLUMN behind INTEGER NOT NULL DEFAULT 9223372036854775807;

CREATE INDEX delivery_by_behind ON delivery (target, behind, token) WHERE behind < 9223372036854775807;
