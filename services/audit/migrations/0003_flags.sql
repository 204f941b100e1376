-- What the misuse detectors said, what became of it, and which plates are protected; sealed or as keyed digests.
CREATE TABLE flags (
  flag_id uuid        PRIMARY KEY,
  agency  bytea       NOT NULL,
  at      timestamptz NOT NULL,
  sealed  bytea       NOT NULL
);
CREATE INDEX flags_agency ON flags (agency, flag_id);
CREATE TABLE flag_dispositions (
  record_id uuid        PRIMARY KEY,
  flag_id   uuid        NOT NULL,
  at        timestamptz NOT NULL,
  sealed    bytea       NOT NULL
);
CREATE INDEX flag_dispositions_flag ON flag_dispositions (flag_id, record_id);
-- The newest row of a digest counts.
CREATE TABLE protected_plates (
  record_id uuid        PRIMARY KEY,
  agency    bytea       NOT NULL,
  digest    bytea       NOT NULL,
  active    boolean     NOT NULL
);
CREATE INDEX protected_plates_agency ON protected_plates (agency, digest, record_id);
CREATE TRIGGER flags_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON flags
  FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER flag_dispositions_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON flag_dispositions
  FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER protected_plates_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON protected_plates
  FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
