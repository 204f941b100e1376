-- The pictures of a hit, sealed: a hit may outlive its read, and without its picture nobody can compare. They go with the hit.
CREATE TABLE hit_pictures (
    hit_id uuid NOT NULL REFERENCES hits (hit_id),
    -- plateward.common.v1.CropKind
    kind smallint NOT NULL,
    sealed bytea NOT NULL,
    PRIMARY KEY (hit_id, kind)
);
-- When they were taken over, or found to be gone; none before.
ALTER TABLE hits ADD COLUMN pictures_at timestamptz;
CREATE INDEX hits_without_pictures ON hits (seq) WHERE pictures_at IS NULL;
