-- A second person may say no, with the reason that the requester reads; also to what was granted and not used yet.
ALTER TABLE approvals
  ADD COLUMN refused_by text NOT NULL DEFAULT '',
  ADD COLUMN refusal    text NOT NULL DEFAULT '',
  ADD CONSTRAINT approvals_refused_by_another CHECK (refused_by <> requester_id),
  ADD CONSTRAINT approvals_refused_are_not_used CHECK (refused_by = '' OR used_at IS NULL);
