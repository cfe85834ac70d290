-- What is compared and what is labelled says what it is.

-- The mean speed of the newest step that was measured: the last value that models are compared with. One speed of many
-- in a step is noisier, and a weaker rival.
ALTER TABLE predictions ADD COLUMN step_speed_kmh double precision;

COMMENT ON COLUMN predictions.step_speed_kmh IS
    'Mean speed of the newest step with a measurement, km/h; null when nothing recent was measured, and in older rows.';

UPDATE prediction_scores SET last_value_count = 0, last_value_abs_kmh = 0;

COMMENT ON TABLE prediction_scores IS
    'Sums over all roads of how far predictions were from the mean speed measured in the step they were for: written '
    'once that step is over. last_value_* is the error that predictions.step_speed_kmh would have had.';

-- Spans of a simulated city that sends live are kept by whoever stores its feed, who does not know the seed.
ALTER TABLE simulated_spans ALTER COLUMN seed DROP NOT NULL;

COMMENT ON TABLE simulated_spans IS
    'Spans of time that `trafficapp simulate` filled, as history or live: what is in them was simulated.';
COMMENT ON COLUMN simulated_spans.seed IS 'Of all chance; null of a live feed.';
