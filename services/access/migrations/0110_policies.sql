-- Every version of the policy, as it was signed: proposed by one person, activated by another, nothing deleted.

CREATE TABLE policies (
  version           text        PRIMARY KEY,
  agency_id         text        NOT NULL,
  bundle            bytea       NOT NULL,
  state             text        NOT NULL CHECK (state IN ('PROPOSED', 'IN_FORCE', 'SUPERSEDED')),
  proposed_by       text        NOT NULL,
  proposed_by_name  text        NOT NULL,
  proposed_at       timestamptz NOT NULL,
  activated_by      text        NOT NULL DEFAULT '',
  activated_by_name text        NOT NULL DEFAULT '',
  activated_at      timestamptz,
  -- The installation itself puts the first version in force; everything after that takes two people.
  CONSTRAINT policies_two_persons CHECK (activated_by = '' OR proposed_by = 'installation' OR activated_by <> proposed_by)
);
CREATE UNIQUE INDEX policies_in_force ON policies (agency_id) WHERE state = 'IN_FORCE';
CREATE INDEX policies_newest ON policies (agency_id, proposed_at DESC, version DESC);
