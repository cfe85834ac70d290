-- Speeds of vehicles that were put onto the road graph here, beside those of the road-speed feed.

ALTER TABLE road_observations
    ADD COLUMN vehicles integer,
    ADD COLUMN credibility double precision;

COMMENT ON COLUMN road_observations.vehicles IS 'How many vehicles the speed is of, where they were matched here; NULL: the road-speed feed told it.';
COMMENT ON COLUMN road_observations.credibility IS 'Of a speed of matched vehicles, 0 to 1, by how many they are; it is measured in any case.';
