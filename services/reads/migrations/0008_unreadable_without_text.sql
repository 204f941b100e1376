-- Of a plate that was not readable no text is kept (checks.py): readings stored before this rule lose theirs. What a hold keeps
-- stays as it was held.
UPDATE reads SET plate_reading = '' WHERE plate = '';
