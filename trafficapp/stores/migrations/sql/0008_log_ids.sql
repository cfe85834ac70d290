ALTER TABLE sink_offsets ADD COLUMN log_id text NOT NULL DEFAULT '';

COMMENT ON COLUMN sink_offsets.log_id IS
    'Kafka''s id of the topic that next_offset is of: a topic that is made anew has another one. Empty: not told.';
