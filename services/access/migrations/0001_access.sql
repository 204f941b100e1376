-- What policy is about: agencies, their members, and who may see whose reads.

CREATE TABLE agencies (
  agency_id text PRIMARY KEY,
  name      text NOT NULL,
  kind      text NOT NULL,
  state     text NOT NULL
);

CREATE TABLE members (
  agency_id           text        NOT NULL,
  member_id           text        NOT NULL,
  name                text        NOT NULL,
  job_title           text        NOT NULL,
  roles               text[]      NOT NULL,
  state               text        NOT NULL,
  training            text        NOT NULL DEFAULT '',
  training_expires_at timestamptz,
  federal_task_force  boolean     NOT NULL DEFAULT false,
  PRIMARY KEY (agency_id, member_id)
);

CREATE TABLE agreements (
  agreement_id      uuid        PRIMARY KEY,
  owner_agency_id   text        NOT NULL,
  partner_agency_id text        NOT NULL,
  camera_ids        text[]      NOT NULL DEFAULT '{}',
  offences          text[]      NOT NULL DEFAULT '{}',
  window_s          bigint      NOT NULL,
  expires_at        timestamptz NOT NULL,
  state             text        NOT NULL,
  justification     text        NOT NULL,
  decided_by        text        NOT NULL DEFAULT '',
  created_at        timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX agreements_between ON agreements (partner_agency_id, owner_agency_id) WHERE state = 'AGREEMENT_STATE_ACTIVE';
