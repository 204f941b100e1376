-- Entries, hits and how far the reads were followed. No column can carry a person seen (R-REC-2); members are named
-- because a hit has one named verifier.

CREATE TABLE entries (
    entry_id uuid PRIMARY KEY,
    agency_id text NOT NULL,
    list_id text NOT NULL,
    plate text COLLATE "C" NOT NULL,
    state text NOT NULL,
    vehicle_type smallint NOT NULL,
    colour text NOT NULL,
    category text NOT NULL,
    reason text NOT NULL,
    case_number text NOT NULL,
    expires_at timestamptz NOT NULL,
    max_action smallint NOT NULL,
    created_by text NOT NULL,
    created_at timestamptz NOT NULL,
    approved_by text NOT NULL DEFAULT '',
    approved_at timestamptz,
    removed_by text NOT NULL DEFAULT '',
    removed_at timestamptz,
    removed_reason text NOT NULL DEFAULT '',
    -- The second person is another person.
    CHECK (approved_by = '' OR approved_by <> created_by)
);
CREATE INDEX entries_list ON entries (agency_id, list_id, entry_id) WHERE removed_at IS NULL;

-- Raised by every change of entries in the change's own transaction: the matcher compares it before each batch.
CREATE TABLE entries_version (
    one boolean PRIMARY KEY DEFAULT true CHECK (one),
    version bigint NOT NULL
);
INSERT INTO entries_version (version) VALUES (1);

CREATE TABLE hits (
    -- Order of raising. One matcher at a time holds the follower's row, so order of number is order of commit.
    seq bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    hit_id uuid NOT NULL UNIQUE,
    agency_id text NOT NULL,
    entry_id uuid NOT NULL REFERENCES entries,
    read_id uuid NOT NULL,
    camera_id text NOT NULL,
    seen_at timestamptz NOT NULL,
    -- When the read's retention makes the hit invisible with it.
    expires_at timestamptz NOT NULL,
    -- plateward.hotlist.v1.Hit as raised; what changes later stands in the columns below.
    raised bytea NOT NULL,
    raised_at timestamptz NOT NULL,
    state smallint NOT NULL,
    verifier_id text NOT NULL DEFAULT '',
    rejection smallint NOT NULL DEFAULT 0,
    action smallint NOT NULL DEFAULT 0,
    max_action smallint NOT NULL,
    outcome text NOT NULL DEFAULT '',
    UNIQUE (agency_id, read_id, entry_id),
    -- Nobody verifies what nobody has claimed, and nothing is done on what was not confirmed.
    CHECK (state IN (1, 5) OR verifier_id <> ''),
    CHECK (action = 0 OR state IN (6, 7)),
    CHECK ((rejection <> 0) = (state = 5))
);
CREATE INDEX hits_agency ON hits (agency_id, seq DESC);
CREATE INDEX hits_state ON hits (agency_id, state, seq DESC);

CREATE TABLE verifications (
    hit_id uuid NOT NULL REFERENCES hits (hit_id),
    step smallint NOT NULL,
    member_id text NOT NULL,
    member_name text NOT NULL,
    at timestamptz NOT NULL,
    state smallint NOT NULL,
    note text NOT NULL,
    PRIMARY KEY (hit_id, step)
);

-- The cursor of the last read that was dealt with: moved in the transaction that raises its hits.
CREATE TABLE follower (
    name text PRIMARY KEY,
    cursor text NOT NULL,
    updated_at timestamptz NOT NULL DEFAULT now()
);
