-- The highest number of a hit that was destroyed: the numbers of hits are cursors of streams, and destruction must not lower the last one.
-- Kept by the database, whoever deletes, in the deletion's own transaction.
CREATE TABLE hits_destroyed (
    one boolean PRIMARY KEY DEFAULT true CHECK (one),
    seq bigint NOT NULL
);
INSERT INTO hits_destroyed (seq) SELECT CASE WHEN is_called THEN last_value ELSE 0 END FROM hits_seq_seq;
CREATE FUNCTION keep_last_hit() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE hits_destroyed SET seq = gone.seq FROM (SELECT max(seq) AS seq FROM destroyed) AS gone WHERE gone.seq > hits_destroyed.seq;
    RETURN NULL;
END $$;
CREATE TRIGGER hits_last AFTER DELETE ON hits REFERENCING OLD TABLE AS destroyed FOR EACH STATEMENT EXECUTE FUNCTION keep_last_hit();

-- Why a hit leads no further than it does, where a person's comparison lowered it; none: as it was raised.
ALTER TABLE hits ADD COLUMN demotions text[];

-- Certificates of destruction of hits, never changed and never deleted; those to come wait for the audit log's receipt.
CREATE TABLE certificates (
    certificate_id uuid PRIMARY KEY,
    agency_id text COLLATE "C" NOT NULL,
    destroyed_at timestamptz NOT NULL,
    document bytea NOT NULL
);
CREATE INDEX certificates_agency ON certificates (agency_id, certificate_id DESC);
CREATE TABLE certificates_to_come (
    certificate_id uuid PRIMARY KEY,
    document bytea NOT NULL
);
CREATE INDEX hits_expiring ON hits (agency_id, expires_at);
