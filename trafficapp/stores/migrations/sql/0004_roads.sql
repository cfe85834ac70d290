-- Roads: what the feed said, what was predicted, how good that was, what people were told.

CREATE TABLE roads (
    road_id            text PRIMARY KEY,
    road_name          text             NOT NULL,
    free_flow_speed    double precision NOT NULL,
    coordinates        jsonb            NOT NULL,
    edges              jsonb            NOT NULL,
    graph_version      text             NOT NULL,
    last_seen          timestamptz      NOT NULL
) WITH (fillfactor = 70);

COMMENT ON TABLE roads IS 'Every road of the speed feed as of its newest observation.';
COMMENT ON COLUMN roads.coordinates IS 'The line as [[longitude, latitude], ...] in driving direction.';
COMMENT ON COLUMN roads.edges IS 'Edges of the graph that the road is on: [[edge_id, share of the edge], ...].';

CREATE TABLE road_observations (
    road_id          text             NOT NULL,
    observed_at      timestamptz      NOT NULL,
    event_id         text             NOT NULL,
    current_speed    double precision NOT NULL,
    free_flow_speed  double precision NOT NULL,
    jam_factor       double precision NOT NULL,
    congestion_level text             NOT NULL,
    speed_ratio      double precision NOT NULL,
    rush_hour        boolean          NOT NULL,
    PRIMARY KEY (road_id, observed_at)
) PARTITION BY RANGE (observed_at);

COMMENT ON TABLE road_observations IS
    'Accepted observations of the road-speed feed, speeds in km/h; kept retention.roads_days, one partition a day.';

CREATE INDEX road_observations_observed_at ON road_observations USING brin (observed_at)
    WITH (pages_per_range = 16, autosummarize = on);

CREATE TABLE predictions (
    road_id               text             NOT NULL,
    step_start            timestamptz      NOT NULL,
    made_at               timestamptz      NOT NULL,
    event_id              uuid             NOT NULL,
    current_speed         double precision,
    predicted_speed_10min double precision NOT NULL,
    predicted_speed_20min double precision NOT NULL,
    predicted_speed_30min double precision NOT NULL,
    prediction_confidence double precision,
    low_kmh               double precision[] NOT NULL,
    high_kmh              double precision[] NOT NULL,
    model_version         text             NOT NULL,
    source                text             NOT NULL,
    PRIMARY KEY (road_id, step_start)
) PARTITION BY RANGE (step_start);

COMMENT ON TABLE predictions IS
    'The newest prediction that was made of a road within each step; kept retention.predictions_days.';
COMMENT ON COLUMN predictions.step_start IS 'Begin of the newest step of the speeds that it was made from.';

CREATE INDEX predictions_step_start ON predictions USING brin (step_start)
    WITH (pages_per_range = 16, autosummarize = on);

CREATE TABLE prediction_scores (
    target_start        timestamptz      NOT NULL,
    horizon_minutes     smallint         NOT NULL,
    model_version       text             NOT NULL,
    predictions         bigint           NOT NULL,
    abs_error_kmh       double precision NOT NULL,
    squared_error       double precision NOT NULL,
    abs_share           double precision NOT NULL,
    last_value_count    bigint           NOT NULL,
    last_value_abs_kmh  double precision NOT NULL,
    within_interval     bigint           NOT NULL,
    with_interval       bigint           NOT NULL,
    PRIMARY KEY (target_start, horizon_minutes, model_version)
);

COMMENT ON TABLE prediction_scores IS
    'Sums over all roads of how far predictions were from the mean speed measured in the step they were for: written '
    'once that step is over. last_value_* is the error that the newest measured speed would have had.';

CREATE TABLE notifications (
    event_id        uuid        PRIMARY KEY,
    notified_at     timestamptz NOT NULL,
    alert_type      text        NOT NULL,
    road_id         text        NOT NULL,
    road_name       text        NOT NULL,
    severity        text        NOT NULL,
    message         text        NOT NULL,
    affected_routes jsonb       NOT NULL
);

COMMENT ON TABLE notifications IS 'Every notification about a road, once.';

CREATE INDEX notifications_notified_at ON notifications (notified_at DESC, event_id);

CREATE TABLE simulated_spans (
    id        bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    from_time timestamptz NOT NULL,
    to_time   timestamptz NOT NULL,
    seed      bigint      NOT NULL,
    contents  text        NOT NULL,
    made_at   timestamptz NOT NULL DEFAULT now()
);

COMMENT ON TABLE simulated_spans IS 'Spans of time that `trafficapp simulate --history` filled: nothing in them was measured.';
