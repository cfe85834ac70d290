-- What history workers do by the clock, so that one of them does it, and a restart neither repeats nor forgets it.

CREATE TABLE upkeep (
    name         text        PRIMARY KEY,
    due_at       timestamptz NOT NULL,
    attempts     integer     NOT NULL,
    started_at   timestamptz NOT NULL,
    finished_at  timestamptz,
    succeeded_at timestamptz,
    outcome      text        NOT NULL DEFAULT ''
);

COMMENT ON TABLE upkeep IS 'The newest run of each thing that is done by the clock: training, backup.';
COMMENT ON COLUMN upkeep.due_at IS 'The time it was due; it is done once for each.';
COMMENT ON COLUMN upkeep.succeeded_at IS 'When it last succeeded, for this time or an earlier one.';
