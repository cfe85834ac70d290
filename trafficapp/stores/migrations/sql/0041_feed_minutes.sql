-- How many messages came in, were refused, in time and repeated, by topic and minute of their records.

CREATE TABLE feed_minutes (
    topic    text        NOT NULL,
    minute   timestamptz NOT NULL,
    messages bigint      NOT NULL,
    PRIMARY KEY (topic, minute)
);
COMMENT ON TABLE feed_minutes IS 'Records of a topic that comes in by minute, as the offsets of Kafka tell; none: no row.';
CREATE INDEX feed_minutes_minute ON feed_minutes (minute);

CREATE TABLE feed_refusals (
    topic    text        NOT NULL,
    minute   timestamptz NOT NULL,
    reason   text        NOT NULL,
    messages bigint      NOT NULL,
    parts    bigint      NOT NULL,
    PRIMARY KEY (topic, minute, reason)
);
COMMENT ON TABLE feed_refusals IS
    'Dead letters: messages by their first reason, and what was refused of them (detections, or the message) by each.';
CREATE INDEX feed_refusals_minute ON feed_refusals (minute);

CREATE TABLE feed_letters (
    topic         text   NOT NULL,
    partition     integer NOT NULL,
    letter_offset bigint NOT NULL,
    letter_us     bigint NOT NULL,
    PRIMARY KEY (topic, partition)
);
COMMENT ON TABLE feed_letters IS 'Of which message of a partition the newest letter was counted: a repeat is known by it.';

CREATE TABLE feed_intake_minutes (
    feed_minute text             PRIMARY KEY,
    feed        text             NOT NULL,
    topic       text             NOT NULL,
    partition   integer          NOT NULL,
    minute      timestamptz      NOT NULL,
    messages    bigint           NOT NULL,
    timely      bigint           NOT NULL,
    late_us     bigint           NOT NULL,
    repeated    bigint           NOT NULL
);
COMMENT ON TABLE feed_intake_minutes IS
    'Accepted messages of a minute of a partition as who checked them saw them: in time, repeated. Of a minute in which '
    'that process died the part that the next one saw.';
CREATE INDEX feed_intake_minutes_minute ON feed_intake_minutes (minute);
