-- Agreements with their whole life, release requests kept on file, approvals bound to one exact request.

ALTER TABLE members ADD COLUMN last_active_at timestamptz NOT NULL DEFAULT now();

ALTER TABLE agreements
  ADD COLUMN onward_use_attested boolean     NOT NULL DEFAULT false,
  ADD COLUMN requested_by        text        NOT NULL DEFAULT '',
  ADD COLUMN requested_by_name   text        NOT NULL DEFAULT '',
  ADD COLUMN decided_at          timestamptz,
  ADD COLUMN reason              text        NOT NULL DEFAULT '',
  ADD COLUMN revoked_by          text        NOT NULL DEFAULT '',
  ADD COLUMN revoked_at          timestamptz,
  ADD CONSTRAINT agreements_between_two CHECK (owner_agency_id <> partner_agency_id);
-- One question at a time: a second request for the same pair would hide behind the first.
CREATE UNIQUE INDEX agreements_asked ON agreements (partner_agency_id, owner_agency_id)
  WHERE state = 'AGREEMENT_STATE_REQUESTED';
CREATE INDEX agreements_of_owner ON agreements (owner_agency_id, agreement_id DESC);
CREATE INDEX agreements_of_partner ON agreements (partner_agency_id, agreement_id DESC);
CREATE INDEX agreements_ending ON agreements (expires_at) WHERE state = 'AGREEMENT_STATE_ACTIVE';

CREATE TABLE releases (
  release_id       uuid        PRIMARY KEY,
  owner_agency_id  text        NOT NULL,
  agency_id        text        NOT NULL DEFAULT '',
  agency_kind      text        NOT NULL,
  agency_name      text        NOT NULL CHECK (agency_name <> ''),
  requester_name   text        NOT NULL CHECK (requester_name <> ''),
  intended_purpose text        NOT NULL CHECK (intended_purpose <> ''),
  law_enforcement  boolean     NOT NULL,
  state            text        NOT NULL,
  filed_by         text        NOT NULL,
  filed_by_agency  text        NOT NULL,
  filed_at         timestamptz NOT NULL,
  routed_to        text        NOT NULL DEFAULT '',
  decided_by       text        NOT NULL DEFAULT '',
  decided_at       timestamptz,
  decision_reason  text        NOT NULL DEFAULT '',
  fulfilled_by     text        NOT NULL DEFAULT '',
  fulfilled_at     timestamptz,
  package_digest   bytea       NOT NULL DEFAULT '',
  CONSTRAINT releases_reviewed_by_another CHECK (decided_by <> filed_by OR decided_by = ''),
  CONSTRAINT releases_fulfilled_after_approval CHECK (state <> 'RELEASE_STATE_FULFILLED' OR (decided_by <> '' AND length(package_digest) = 32))
);
CREATE INDEX releases_of_owner ON releases (owner_agency_id, release_id DESC);

CREATE TABLE approvals (
  approval_id    uuid        PRIMARY KEY,
  agency_id      text        NOT NULL,
  requester_id   text        NOT NULL,
  requester_name text        NOT NULL,
  action         text        NOT NULL,
  purpose        bytea       NOT NULL,
  request_type   text        NOT NULL,
  request        bytea       NOT NULL,
  request_digest bytea       NOT NULL CHECK (length(request_digest) = 32),
  requested_at   timestamptz NOT NULL,
  granted_by     text        NOT NULL DEFAULT '',
  expires_at     timestamptz NOT NULL,
  used_at        timestamptz,
  used_by        text        NOT NULL DEFAULT '',
  CONSTRAINT approvals_second_person CHECK (granted_by <> requester_id)
);
CREATE INDEX approvals_of_agency ON approvals (agency_id, approval_id DESC);

-- What was asked, decided and given stays on file (462.7): it changes state, it does not go.
CREATE FUNCTION keep_on_file() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION '% stay on file', TG_TABLE_NAME USING ERRCODE = 'restrict_violation';
END $$;
CREATE TRIGGER agreements_stay BEFORE DELETE OR TRUNCATE ON agreements FOR EACH STATEMENT EXECUTE FUNCTION keep_on_file();
CREATE TRIGGER releases_stay BEFORE DELETE OR TRUNCATE ON releases FOR EACH STATEMENT EXECUTE FUNCTION keep_on_file();
CREATE TRIGGER approvals_stay BEFORE DELETE OR TRUNCATE ON approvals FOR EACH STATEMENT EXECUTE FUNCTION keep_on_file();
