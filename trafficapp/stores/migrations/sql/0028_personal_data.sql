-- Routes that somebody asked for are a number to others. The rows are written anew, so that what a dropped column leaves
-- behind in them has no places.

ALTER TABLE notifications ADD COLUMN affected_routes_count integer NOT NULL DEFAULT 0;
UPDATE notifications SET affected_routes_count = jsonb_array_length(affected_routes), affected_routes = '[]'
WHERE affected_routes <> '[]';
ALTER TABLE notifications DROP COLUMN affected_routes;
COMMENT ON COLUMN notifications.affected_routes_count IS
    'Different routes through the road that were asked for within the hour before.';
