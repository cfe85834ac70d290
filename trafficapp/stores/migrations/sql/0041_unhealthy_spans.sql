-- When which source was not to be believed: its figures are left out of what is usual, and of what is learnt.

CREATE INDEX city_alerts_unhealthy ON city_alerts (opened_at) WHERE alert_type = 'unhealthy_source';

CREATE VIEW unhealthy_spans AS
    SELECT o.subject AS source_id, o.opened_at AS from_time, coalesce(min(r.resolved_at), 'infinity') AS to_time
    FROM city_alerts o
    LEFT JOIN city_alerts r ON r.alert_id = o.alert_id AND r.state = 'resolved'
    WHERE o.alert_type = 'unhealthy_source' AND o.state = 'opened'
    GROUP BY o.alert_id, o.subject, o.opened_at;

COMMENT ON VIEW unhealthy_spans IS
    'Sources by their names in /api/quality (cameras also for their lanes), and from when until when they were unhealthy.';
