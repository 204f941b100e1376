-- Cases that purposes may name, and how often they were used: enough to hold a budget, without a plate in clear text.

CREATE TABLE cases (
  agency_id   text        NOT NULL,
  case_number text        NOT NULL,
  offence     text        NOT NULL,
  unit        text        NOT NULL DEFAULT '',
  opened_at   timestamptz NOT NULL,
  closed_at   timestamptz,
  PRIMARY KEY (agency_id, case_number)
);

-- plate_digest is a keyed digest: the table answers "this plate again?", never "which plate?".
CREATE TABLE case_looks (
  agency_id    text   NOT NULL,
  member_id    text   NOT NULL,
  case_number  text   NOT NULL,
  plate_digest bytea  NOT NULL,
  day          date   NOT NULL,
  looks        int    NOT NULL,
  PRIMARY KEY (agency_id, member_id, plate_digest, case_number, day)
);
CREATE INDEX case_looks_by_case ON case_looks (agency_id, case_number, day);
