-- Retention in depth: a partition an agency and UTC day, so that each schedule destroys by dropping; holds, certificates,
-- and an index for patterns whose known characters stand anywhere.

-- Positions and folded characters of every two characters at most three apart, of the plate and of what it may also be:
-- ((place * 3 + gap - 1) * 36 + first) * 36 + second - 32768. The fold is that of plates/lookalike.py; a test compares them.
CREATE FUNCTION plate_grams(plate text, candidates text[]) RETURNS smallint[]
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE AS $$
DECLARE
    grams smallint[] := '{}';
    alphabet text := '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ';
    one text;
    codes int[];
    gram smallint;
BEGIN
    FOREACH one IN ARRAY array_prepend(plate, candidates) LOOP
        one := translate(one, 'BDGILOQSZ', '806110052');
        codes := '{}';
        FOR place IN 1..length(one) LOOP
            codes := codes || (strpos(alphabet, substr(one, place, 1)) - 1);
        END LOOP;
        FOR place IN 1..length(one) - 1 LOOP
            FOR gap IN 1..least(3, length(one) - place) LOOP
                gram := (((place - 1) * 3 + gap - 1) * 36 + codes[place]) * 36 + codes[place + gap] - 32768;
                IF gram <> ALL (grams) THEN
                    grams := grams || gram;
                END IF;
            END LOOP;
        END LOOP;
    END LOOP;
    RETURN grams;
END $$;

CREATE TEMPORARY TABLE reads_before ON COMMIT DROP AS SELECT * FROM reads;
DROP TABLE reads;

CREATE TABLE reads (
    agency_id text COLLATE "C" NOT NULL,
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
    grams smallint[] NOT NULL GENERATED ALWAYS AS (plate_grams(plate, candidates)) STORED,
    -- The camera stands in the key since a table that is distributed by it (docs/citus.md) needs it there.
    PRIMARY KEY (agency_id, read_id, seen_at, camera_id)
) PARTITION BY RANGE (agency_id, seen_at);

CREATE INDEX reads_plate ON reads (agency_id, plate, seen_at DESC);
-- Without the pending list: a search must not pay for what ingest put off.
CREATE INDEX reads_grams ON reads USING gin (grams) WITH (fastupdate = off);
CREATE INDEX reads_camera ON reads (agency_id, camera_id, seen_at DESC);
CREATE INDEX reads_recent ON reads (agency_id, seen_at DESC, read_id DESC);
CREATE INDEX reads_commit_order ON reads (txid, seq);

-- Which partitions there are, each an agency's UTC day.
CREATE TABLE read_partitions (
    name text PRIMARY KEY,
    agency_id text COLLATE "C" NOT NULL,
    day date NOT NULL,
    UNIQUE (agency_id, day)
);

-- The schedule in force for each agency and kind (read, crop), as the active policy has it.
CREATE TABLE schedules (
    agency_id text COLLATE "C" NOT NULL,
    kind text NOT NULL,
    keep_s bigint NOT NULL,
    -- What was seen at or before has expired under an earlier schedule: it never comes back when a schedule is lengthened.
    floor timestamptz NOT NULL,
    basis text NOT NULL,
    policy_version text NOT NULL,
    learnt_at timestamptz NOT NULL,
    PRIMARY KEY (agency_id, kind)
);

DO $$
DECLARE
    found record;
    partition text;
BEGIN
    FOR found IN SELECT DISTINCT agency_id, (seen_at AT TIME ZONE 'UTC')::date AS day FROM reads_before LOOP
        partition := format('reads_%s_%s', to_char(found.day, 'YYYYMMDD'), left(encode(sha256(found.agency_id::bytea), 'hex'), 8));
        EXECUTE format('CREATE TABLE %I PARTITION OF reads FOR VALUES FROM (%L, %L) TO (%L, %L)', partition,
            found.agency_id, found.day::text || ' 00:00:00+00', found.agency_id, (found.day + 1)::text || ' 00:00:00+00');
        INSERT INTO read_partitions VALUES (partition, found.agency_id, found.day);
    END LOOP;
END $$;

INSERT INTO reads (agency_id, read_id, seen_at, seq, txid, camera_id, latitude, longitude, plate, plate_key, candidates, state,
    vehicle_type, colour, plate_reading, vehicle_reading, plate_crop, vehicle_crop, model_version, frames, expires_at)
SELECT agency_id, read_id, seen_at, seq, txid, camera_id, latitude, longitude, plate, plate_key, candidates, state,
    vehicle_type, colour, plate_reading, vehicle_reading, plate_crop, vehicle_crop, model_version, frames, expires_at
FROM reads_before;

-- Holds, and the store to which what they keep is copied: nothing there goes by a schedule.
CREATE TABLE holds (
    hold_id uuid PRIMARY KEY,
    agency_id text COLLATE "C" NOT NULL,
    authority text NOT NULL,
    case_number text NOT NULL,
    review_at timestamptz NOT NULL,
    party smallint NOT NULL,
    placed_at timestamptz NOT NULL,
    released_at timestamptz,
    release_reason text NOT NULL DEFAULT ''
);
CREATE INDEX holds_case ON holds (agency_id, case_number) WHERE released_at IS NULL;

CREATE TABLE held_reads (
    LIKE reads INCLUDING GENERATED,
    held_at timestamptz NOT NULL,
    PRIMARY KEY (agency_id, read_id)
);

CREATE TABLE hold_reads (
    hold_id uuid NOT NULL REFERENCES holds,
    agency_id text COLLATE "C" NOT NULL,
    read_id uuid NOT NULL,
    PRIMARY KEY (hold_id, agency_id, read_id)
);
CREATE INDEX hold_reads_read ON hold_reads (agency_id, read_id);

-- Who had what a hold keeps in hand, each line bound to the one before it by its digest.
CREATE TABLE custody (
    hold_id uuid NOT NULL REFERENCES holds,
    line integer NOT NULL,
    entry bytea NOT NULL,
    digest bytea NOT NULL,
    receipt bytea NOT NULL,
    PRIMARY KEY (hold_id, line)
);

-- A destruction under way. What it has come to is committed with each part that it destroys.
CREATE TABLE purges (
    purge_id uuid PRIMARY KEY,
    agency_id text COLLATE "C" NOT NULL,
    started_at timestamptz NOT NULL
);
CREATE UNIQUE INDEX purges_one ON purges (agency_id);

CREATE TABLE purge_kinds (
    purge_id uuid NOT NULL REFERENCES purges ON DELETE CASCADE,
    kind text NOT NULL,
    schedule text NOT NULL,
    policy_version text NOT NULL,
    destroyed bigint NOT NULL,
    held bigint NOT NULL,
    first_at timestamptz,
    last_at timestamptz,
    -- The complete subtrees over the destroyed IDs so far (tlog/hashing.py), 32 bytes each.
    peaks bytea NOT NULL,
    PRIMARY KEY (purge_id, kind)
);

-- Blobs that must go: a key, or a prefix that ends with a slash. Deleted after the commit that doomed them.
CREATE TABLE doomed_blobs (
    key text PRIMARY KEY,
    due_at timestamptz NOT NULL,
    purge_id uuid
);

-- How far the crops of an agency have been destroyed, where they are kept for less time than its reads.
CREATE TABLE crops_destroyed (
    agency_id text COLLATE "C" PRIMARY KEY,
    up_to timestamptz NOT NULL
);

CREATE TABLE certificates (
    certificate_id uuid PRIMARY KEY,
    agency_id text COLLATE "C" NOT NULL,
    destroyed_at timestamptz NOT NULL,
    document bytea NOT NULL
);
CREATE INDEX certificates_agency ON certificates (agency_id, destroyed_at DESC, certificate_id DESC);

-- Plates that are never stored: HMAC-SHA-256 under the agency's list key.
CREATE TABLE confidential_plates (
    agency_id text COLLATE "C" NOT NULL,
    digest bytea NOT NULL,
    PRIMARY KEY (agency_id, digest)
);
