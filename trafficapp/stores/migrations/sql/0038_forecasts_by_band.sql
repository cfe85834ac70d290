-- Errors by the speed that came, and how right forecasts of cameras were.

ALTER TABLE prediction_scores ADD COLUMN speed_from_kmh smallint NOT NULL DEFAULT -1;
ALTER TABLE prediction_scores ALTER COLUMN speed_from_kmh DROP DEFAULT;
ALTER TABLE prediction_scores DROP CONSTRAINT prediction_scores_pkey;
ALTER TABLE prediction_scores ADD PRIMARY KEY (target_start, horizon_minutes, model_version, speed_from_kmh);
COMMENT ON COLUMN prediction_scores.speed_from_kmh IS
    'Lower end of the band of what was measured: 0, 20 or 40; -1 of sums from before bands were told.';

CREATE TABLE camera_prediction_scores (
    made_at          timestamptz      NOT NULL,
    horizon_minutes  smallint         NOT NULL,
    model_version    text             NOT NULL,
    predictions      bigint           NOT NULL,
    abs_error        double precision NOT NULL,
    squared_error    double precision NOT NULL,
    last_value_count bigint           NOT NULL,
    last_value_abs   double precision NOT NULL,
    within_interval  bigint           NOT NULL,
    with_interval    bigint           NOT NULL,
    PRIMARY KEY (made_at, horizon_minutes, model_version)
);
COMMENT ON TABLE camera_prediction_scores IS
    'Sums over all cameras and lanes of how far forecasts of congestion scores were from the scores of that minute, by '
    'when the newest minute was over that they were made from. They are made again from the stored scores.';
