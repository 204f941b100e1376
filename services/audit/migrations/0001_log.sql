-- The log. Rows are only ever added: the service's role may INSERT and SELECT. Every column of an entry is bound by its leaf.

CREATE TABLE entries (
  index       bigint      PRIMARY KEY,
  event_id    uuid        NOT NULL UNIQUE,
  occurred_at timestamptz NOT NULL,
  action      smallint    NOT NULL,
  phase       smallint    NOT NULL,
  status      text        NOT NULL,
  digest      bytea       NOT NULL,
  sealed      bytea       NOT NULL,
  entry       bytea       NOT NULL
);
COMMENT ON COLUMN entries.digest IS 'keyed digest of the event: the same ID with another event is refused';
COMMENT ON COLUMN entries.sealed IS 'salt and event, AES-256-GCM under the entry''s own key';
COMMENT ON COLUMN entries.entry IS 'public leaf: event ID, salted commitment, hash of this row, hash of the wrapped key';
CREATE INDEX entries_occurred ON entries (occurred_at);
-- Sealing orders (ACTION_DISCLOSE) are few and looked for at every start.
CREATE INDEX entries_disclosures ON entries (index) WHERE action = 32;

-- The key of each entry's payload under the master key. A court's order removes a row (the owner's role does), nothing else does.
CREATE TABLE payload_keys (
  index       bigint PRIMARY KEY,
  wrapped_key bytea  NOT NULL
);

-- What events can be searched by, as keyed digests: the database holds no member, plate or case in clear text. The epoch, a
-- million entries, comes first so that appends touch the index of the newest epoch only, however long the log is.
CREATE TABLE search_keys (
  epoch  integer NOT NULL,
  digest bytea   NOT NULL,
  index  bigint  NOT NULL,
  PRIMARY KEY (epoch, digest, index)
);
CREATE INDEX search_keys_index ON search_keys (index);

-- Full hash tiles. Partial ones are rebuilt from what is below them, so no row ever changes.
CREATE TABLE tiles (
  level smallint NOT NULL,
  index bigint   NOT NULL,
  data  bytea    NOT NULL,
  PRIMARY KEY (level, index)
);

CREATE TABLE checkpoints (
  size bigint PRIMARY KEY,
  root bytea  NOT NULL,
  note text   NOT NULL
);

-- What outside witnesses signed: the checkpoint with the log's and one witness's signature.
CREATE TABLE cosignatures (
  size    bigint NOT NULL,
  witness text   NOT NULL,
  note    text   NOT NULL,
  PRIMARY KEY (size, witness)
);

CREATE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION 'the audit log is append-only: % on % is refused', TG_OP, TG_TABLE_NAME;
END
$$;

CREATE TRIGGER entries_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON entries
  FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER payload_keys_append_only BEFORE UPDATE OR TRUNCATE ON payload_keys
  FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER search_keys_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON search_keys
  FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER tiles_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON tiles
  FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER checkpoints_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON checkpoints
  FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER cosignatures_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON cosignatures
  FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
