-- What the originating agency was asked about a hit, and what it answered. One request a hit; a new one replaces one that was in vain.
CREATE TABLE confirmations (
    hit_id uuid PRIMARY KEY REFERENCES hits (hit_id),
    confirmation_id uuid NOT NULL UNIQUE,
    urgency smallint NOT NULL,
    state smallint NOT NULL,
    requested_by text NOT NULL,
    requested_at timestamptz NOT NULL,
    due_at timestamptz NOT NULL,
    attempt smallint NOT NULL DEFAULT 1 CHECK (attempt BETWEEN 1 AND 3),
    -- Attempts that the message switch has taken.
    sent smallint NOT NULL DEFAULT 0,
    next_at timestamptz NOT NULL,
    result smallint NOT NULL DEFAULT 0,
    answered_by text NOT NULL DEFAULT '',
    reference text NOT NULL DEFAULT '',
    answered_at timestamptz,
    note text NOT NULL DEFAULT '',
    CHECK ((result <> 0) = (state = 4))
);
CREATE INDEX confirmations_open ON confirmations (next_at) WHERE state IN (1, 2, 3);
