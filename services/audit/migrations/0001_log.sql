-- The log. Entries and checkpoints are only ever added; tiles are derived from them and can be rebuilt.

CREATE TABLE entries (
  index       bigint      PRIMARY KEY,
  event_id    uuid        NOT NULL UNIQUE,
  occurred_at timestamptz NOT NULL,
  appended_at timestamptz NOT NULL DEFAULT now(),
  action      smallint    NOT NULL,
  phase       smallint    NOT NULL,
  status      text        NOT NULL,
  entry       bytea       NOT NULL,
  leaf_hash   bytea       NOT NULL,
  digest      bytea       NOT NULL,
  sealed      bytea       NOT NULL,
  wrapped_key bytea
);
COMMENT ON COLUMN entries.entry IS 'public leaf: event ID and salted commitment';
COMMENT ON COLUMN entries.digest IS 'keyed digest of the event: the same ID with another event is refused';
COMMENT ON COLUMN entries.sealed IS 'salt and event, AES-256-GCM under the entry''s own key';
COMMENT ON COLUMN entries.wrapped_key IS 'the entry''s key under the master key; destroying it seals the payload for ever';
CREATE INDEX entries_occurred ON entries (occurred_at);

-- What events can be searched by, as keyed digests: the database holds no member, plate or case in clear text.
CREATE TABLE search_keys (
  kind   text   NOT NULL,
  digest bytea  NOT NULL,
  index  bigint NOT NULL,
  PRIMARY KEY (kind, digest, index)
);

CREATE TABLE tiles (
  level  smallint NOT NULL,
  index  bigint   NOT NULL,
  width  smallint NOT NULL,
  data   bytea    NOT NULL,
  PRIMARY KEY (level, index)
);

CREATE TABLE checkpoints (
  size      bigint      PRIMARY KEY,
  root      bytea       NOT NULL,
  note      text        NOT NULL,
  signed_at timestamptz NOT NULL DEFAULT now()
);

CREATE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION 'the audit log is append-only: % on % is refused', TG_OP, TG_TABLE_NAME;
END
$$;

CREATE TRIGGER entries_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON entries
  FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER search_keys_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON search_keys
  FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER checkpoints_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON checkpoints
  FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
