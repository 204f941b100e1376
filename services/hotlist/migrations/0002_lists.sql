-- Imported lists beside the agency's own, offers between agencies, cleared vehicles. No column can carry a person seen (R-REC-2).

ALTER TABLE entries
    ADD COLUMN source_key text COLLATE "C" NOT NULL DEFAULT '',
    ADD COLUMN digest text NOT NULL DEFAULT '',
    ADD COLUMN list_version integer NOT NULL DEFAULT 0,
    ADD COLUMN removed_version integer,
    -- The version of the entries at which this one came in force: the matcher's index reads what is newer than itself.
    ADD COLUMN in_force_since bigint NOT NULL DEFAULT 0;
CREATE INDEX entries_plate ON entries (plate) WHERE removed_at IS NULL;
CREATE INDEX entries_since ON entries (in_force_since) WHERE removed_at IS NULL;
CREATE INDEX entries_source ON entries (agency_id, list_id, source_key) WHERE removed_at IS NULL;

CREATE TABLE lists (
    agency_id text NOT NULL,
    list_id text NOT NULL,
    source text NOT NULL,
    mapping text NOT NULL,
    as_of timestamptz NOT NULL,
    stale_after_s integer NOT NULL CHECK (stale_after_s > 0),
    max_action smallint NOT NULL,
    version integer NOT NULL,
    PRIMARY KEY (agency_id, list_id)
);

CREATE TABLE list_versions (
    agency_id text NOT NULL,
    list_id text NOT NULL,
    version integer NOT NULL,
    as_of timestamptz NOT NULL,
    imported_at timestamptz NOT NULL,
    member_id text NOT NULL,
    rows bigint NOT NULL,
    dropped jsonb NOT NULL,
    added bigint NOT NULL,
    removed bigint NOT NULL,
    changed bigint NOT NULL,
    PRIMARY KEY (agency_id, list_id, version)
);

-- An import on its way: what was received up to a line's end. It goes on from there after a break.
CREATE TABLE imports (
    agency_id text NOT NULL,
    list_id text NOT NULL,
    as_of timestamptz NOT NULL,
    mapping text NOT NULL,
    header text NOT NULL DEFAULT '',
    received bigint NOT NULL DEFAULT 0,
    rows bigint NOT NULL DEFAULT 0,
    dropped jsonb NOT NULL DEFAULT '{}',
    PRIMARY KEY (agency_id, list_id)
);
CREATE TABLE import_rows (
    agency_id text NOT NULL,
    list_id text NOT NULL,
    line bigint NOT NULL,
    source_key text COLLATE "C" NOT NULL,
    digest text NOT NULL,
    plate text COLLATE "C" NOT NULL,
    state text NOT NULL,
    vehicle_type smallint NOT NULL,
    colour text NOT NULL,
    category text NOT NULL,
    reason text NOT NULL,
    case_number text NOT NULL,
    expires_at timestamptz NOT NULL,
    max_action smallint NOT NULL
);
CREATE INDEX import_rows_key ON import_rows (agency_id, list_id, source_key);

CREATE TABLE offers (
    offer_id uuid PRIMARY KEY,
    from_agency_id text NOT NULL,
    list_id text NOT NULL,
    to_agency_id text NOT NULL,
    offered_by text NOT NULL,
    offered_at timestamptz NOT NULL,
    accepted_by text NOT NULL DEFAULT '',
    accepted_at timestamptz,
    UNIQUE (from_agency_id, list_id, to_agency_id),
    CHECK (from_agency_id <> to_agency_id)
);

-- "Cleared: not this vehicle": a plate that was mistaken for an entry's, signed off by a member.
CREATE TABLE cleared (
    agency_id text NOT NULL,
    entry_plate text COLLATE "C" NOT NULL,
    entry_state text NOT NULL,
    plate text COLLATE "C" NOT NULL,
    state text NOT NULL,
    reason text NOT NULL,
    member_id text NOT NULL,
    cleared_at timestamptz NOT NULL,
    PRIMARY KEY (agency_id, entry_plate, entry_state, plate, state)
);

-- Where the reads are matched again from once a large change of the entries has been loaded.
ALTER TABLE follower ADD COLUMN again_from text;
