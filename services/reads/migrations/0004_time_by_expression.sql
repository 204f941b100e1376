-- The indexes by time stand on an expression. A search for plates is planned once, without its values (statements.py): with a
-- plain column here, the planner would take a window of thirty days for a sliver of the table and read it all by its time.
DROP INDEX reads_recent;
CREATE INDEX reads_recent ON reads (agency_id, (seen_at AT TIME ZONE 'UTC') DESC, read_id DESC);
DROP INDEX reads_camera;
CREATE INDEX reads_camera ON reads (agency_id, camera_id, (seen_at AT TIME ZONE 'UTC') DESC);
