-- Corridors: named chains of roads.

CREATE TABLE corridors (
    id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name        text        NOT NULL UNIQUE,
    description text,
    road_ids    text[]      NOT NULL,
    created_at  timestamptz NOT NULL DEFAULT now()
);

COMMENT ON COLUMN corridors.road_ids IS 'In driving direction; each begins where the one before it ends.';
