-- Where an agency's hits are sent, one address an agency; the secret is sealed under the service's key.
CREATE TABLE webhooks (
  agency_id  text        PRIMARY KEY,
  url        text        NOT NULL,
  sealed     bytea       NOT NULL,
  seq        bigint      NOT NULL,
  failures   integer     NOT NULL DEFAULT 0,
  next_at    timestamptz NOT NULL,
  set_by     text        NOT NULL,
  updated_at timestamptz NOT NULL
);
COMMENT ON COLUMN webhooks.seq IS 'the last hit that the receiver has taken';
