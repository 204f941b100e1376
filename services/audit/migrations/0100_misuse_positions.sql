-- How far the misuse detectors have followed the log: the greatest counts. Only ever added to, as everything here.
CREATE TABLE misuse_positions (
  index bigint      PRIMARY KEY,
  at    timestamptz NOT NULL DEFAULT now()
);
CREATE TRIGGER misuse_positions_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON misuse_positions
  FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
