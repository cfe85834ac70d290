-- Which road of the graph each fix is on, where fixes are matched.

ALTER TABLE vehicle_positions
    ADD COLUMN road_id text,
    ADD COLUMN edge text;

COMMENT ON COLUMN vehicle_positions.edge IS 'Of the road graph, by what was known when the fix came; NULL: on none, or not matched.';
