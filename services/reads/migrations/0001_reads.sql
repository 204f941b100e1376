-- Reads, one partition a UTC day. No column can carry a person (R-REC-2).

CREATE SEQUENCE read_sequence AS bigint;

CREATE TABLE cameras (
    agency_id text NOT NULL,
    camera_id text NOT NULL,
    name text NOT NULL,
    latitude double precision NOT NULL,
    longitude double precision NOT NULL,
    heading real NOT NULL,
    active boolean NOT NULL,
    updated_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (agency_id, camera_id)
);

CREATE TABLE reads (
    agency_id text NOT NULL,
    read_id uuid NOT NULL,
    seen_at timestamptz NOT NULL,
    -- Commit order: (txid, seq), of which followers see what no running transaction can still precede.
    seq bigint NOT NULL DEFAULT nextval('read_sequence'),
    txid xid8 NOT NULL DEFAULT pg_current_xact_id(),
    camera_id text NOT NULL,
    latitude double precision NOT NULL,
    longitude double precision NOT NULL,
    -- Normal form, its look-alike key and the texts it may also be; all empty when the plate is unreadable.
    plate text COLLATE "C" NOT NULL,
    plate_key text COLLATE "C" NOT NULL,
    candidates text[] COLLATE "C" NOT NULL,
    state text NOT NULL,
    vehicle_type smallint NOT NULL,
    colour text NOT NULL,
    -- plateward.common.v1.PlateReading and VehicleReading as the recognizer gave them.
    plate_reading bytea NOT NULL,
    vehicle_reading bytea NOT NULL,
    plate_crop text NOT NULL,
    vehicle_crop text NOT NULL,
    model_version text NOT NULL,
    frames bigint NOT NULL,
    expires_at timestamptz NOT NULL,
    PRIMARY KEY (agency_id, read_id, seen_at)
) PARTITION BY RANGE (seen_at);

CREATE INDEX reads_plate ON reads (agency_id, plate, seen_at DESC);
CREATE INDEX reads_plate_key ON reads (agency_id, plate_key, seen_at DESC);
CREATE INDEX reads_candidates ON reads USING gin (candidates);
CREATE INDEX reads_camera ON reads (agency_id, camera_id, seen_at DESC);
CREATE INDEX reads_recent ON reads (agency_id, seen_at DESC, read_id DESC);
CREATE INDEX reads_commit_order ON reads (txid, seq);

-- How far each follower has come: for the lag that operators watch. The follower's own cursor is the true one.
CREATE TABLE followers (
    follower text PRIMARY KEY,
    cursor text NOT NULL,
    updated_at timestamptz NOT NULL DEFAULT now()
);
