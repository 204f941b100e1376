-- The periodic audits, record by record. What a record says is sealed under the master key; the log holds its digest.
CREATE TABLE audit_records (
  record_id uuid        PRIMARY KEY,
  audit_id  uuid        NOT NULL,
  agency    bytea       NOT NULL,
  kind      text        NOT NULL,
  at        timestamptz NOT NULL,
  sealed    bytea       NOT NULL
);
COMMENT ON COLUMN audit_records.agency IS 'keyed digest of the agency';
CREATE INDEX audit_records_audit ON audit_records (audit_id, record_id);
CREATE INDEX audit_records_agency ON audit_records (agency, kind, audit_id);
CREATE TRIGGER audit_records_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON audit_records
  FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
