-- Expiry follows from the schedule in force alone (schedules.py); a time that was written with each read would contradict it.
ALTER TABLE reads DROP COLUMN expires_at;
ALTER TABLE held_reads DROP COLUMN expires_at;
