-- For which review date it is on record that a hold was overdue: once for each hold and date.
ALTER TABLE holds ADD COLUMN overdue_told timestamptz;
CREATE INDEX holds_review ON holds (review_at) WHERE released_at IS NULL;
