-- What an extract says of a vehicle and of who entered it, so that a person can compare and the right agency is asked.
ALTER TABLE entries
    ADD COLUMN vin text NOT NULL DEFAULT '',
    ADD COLUMN make text NOT NULL DEFAULT '',
    ADD COLUMN model text NOT NULL DEFAULT '',
    ADD COLUMN model_year text NOT NULL DEFAULT '',
    ADD COLUMN plate_year text NOT NULL DEFAULT '',
    ADD COLUMN plate_type text NOT NULL DEFAULT '',
    ADD COLUMN vehicle_style text NOT NULL DEFAULT '',
    ADD COLUMN ori text NOT NULL DEFAULT '',
    ADD COLUMN nic text NOT NULL DEFAULT '',
    ADD COLUMN oan text NOT NULL DEFAULT '',
    -- Taken out of an imported list by a member: it stays out until the source says something else of it.
    ADD COLUMN removed_by_hand boolean NOT NULL DEFAULT false;
ALTER TABLE import_rows
    ADD COLUMN vin text NOT NULL DEFAULT '',
    ADD COLUMN make text NOT NULL DEFAULT '',
    ADD COLUMN model text NOT NULL DEFAULT '',
    ADD COLUMN model_year text NOT NULL DEFAULT '',
    ADD COLUMN plate_year text NOT NULL DEFAULT '',
    ADD COLUMN plate_type text NOT NULL DEFAULT '',
    ADD COLUMN vehicle_style text NOT NULL DEFAULT '',
    ADD COLUMN ori text NOT NULL DEFAULT '',
    ADD COLUMN nic text NOT NULL DEFAULT '',
    ADD COLUMN oan text NOT NULL DEFAULT '';

-- Digests are made in another way from here on: an empty one stands for whatever the next import says.
UPDATE entries SET removed_by_hand = true, digest = '' WHERE removed_at IS NOT NULL AND removed_version IS NULL AND source_key <> '';
CREATE INDEX entries_by_hand ON entries (agency_id, list_id, source_key) WHERE removed_by_hand;

-- The version of the entries at which a version of a list came in force: one row tells it of a million entries, so that a swap takes
-- the number that approvals wait for as its last act. Entries of older imports carry it themselves; -1 says so.
ALTER TABLE list_versions ADD COLUMN in_force_since bigint NOT NULL DEFAULT -1;
DROP INDEX entries_since;
CREATE INDEX entries_since ON entries (in_force_since) WHERE removed_at IS NULL AND in_force_since >= 0;
CREATE INDEX entries_list_version ON entries (agency_id, list_id, list_version) WHERE removed_at IS NULL AND list_version > 0;
