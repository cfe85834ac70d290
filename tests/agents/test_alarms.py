"""What the role ``live`` asks before it tells people of alarms."""

from __future__ import annotations

from math import isnan

from msgspec.structs import replace
from prometheus_client import CollectorRegistry

from agents.alarms import marked_city_alert, marked_notification, withheld_alert
from models.timestamps import epoch_us
from tests.stores.alerts.alert_messages import after_noon, alert_event
from tests.stores.roads.notifications import notification
from trafficapp.alarms.alarm import Alarm
from trafficapp.alarms.performance import performance
from trafficapp.alarms.withholding import ShelvedAlarms, Withholding
from trafficapp.application import create_app
from trafficapp.engine.history_telemetry import AlarmTelemetry
from trafficapp.feeds.city_alerts import is_alert_feed
from trafficapp.riders.feeds import SURGES
from trafficapp.roads.feeds import NOTIFIED
from trafficapp.settings import load_settings
from trafficapp.stores.feeds.documents_sink import DocumentsSink
from trafficapp.stores.feeds.log_sink import LogSink


def shelved(rule: str, source_kind: str, source: str) -> Withholding:
    """Shelved for a minute after noon."""
    begin, end = epoch_us(after_noon(0)), epoch_us(after_noon(60))
    sources = frozenset({source})
    return Withholding([ShelvedAlarms(7, "timed", None, rule, source_kind, sources, "known", begin, end, end)])  # type: ignore[arg-type]


def test_an_alert_is_withheld_by_when_it_opened_and_then_by_when_it_goes_on() -> None:
    known = shelved("congestion", "camera", "cam_1")
    opened = alert_event(seconds=30)
    risen = alert_event(seconds=30, action="updated", updated_at=after_noon(61))

    found = withheld_alert(known, opened)

    assert found is not None
    assert (found.how, found.by, found.until) == ("shelved", "7", after_noon(60))
    assert withheld_alert(known, risen) is None
    assert withheld_alert(known, alert_event(seconds=61)) is None
    assert withheld_alert(known, alert_event(camera_id=None, seconds=30)) is None


def test_a_notification_is_marked() -> None:
    known, message = shelved("severe_traffic", "road", "r1"), notification()

    marked = marked_notification(known, message)

    assert marked is not None
    assert marked.withheld
    assert marked.withheld.reason == "known"
    assert marked_notification(known, notification(1)) is None


def test_the_sink_of_notifications_asks() -> None:
    app = create_app(load_settings(worker={"role": "live"}))
    sink = app.run_readers[NOTIFIED.topic_in(app.settings)].sink

    assert isinstance(sink, LogSink)
    assert sink.withheld is app.withheld_messages[NOTIFIED.name]


def test_gauges_are_those_of_the_performance() -> None:
    registry = CollectorRegistry()
    telemetry = AlarmTelemetry(registry)
    noon_us = epoch_us(after_noon(0))
    alarms = [Alarm("alert", str(at), "congestion", "cam_1", "CRITICAL", noon_us + at) for at in range(11)]
    alarms.append(Alarm("alert", "s", "congestion", "cam_1", "WARNING", noon_us, withheld="shelved"))

    telemetry.show(performance(alarms, noon_us - 3600 * 10**6, noon_us + 60 * 10**6))

    def value(name: str, **labels: str) -> float | None:
        return registry.get_sample_value(f"b2_alarms_{name}", labels)

    assert (value("in_flood"), value("per_ten_minutes_newest"), value("per_ten_minutes_peak")) == (1, 11, 11)
    assert (value("raised", became="told"), value("raised", became="shelved")) == (11, 1)
    assert (value("priority", priority="CRITICAL"), value("operators"), value("stale")) == (11, 0, 0)
    assert isnan(value("acknowledged_after_seconds") or 0)


def test_the_sinks_of_all_alert_feeds_ask() -> None:
    app = create_app(load_settings(worker={"role": "live"}))
    feeds = [feed for feed in app.feeds if is_alert_feed(feed)]
    opened = replace(SURGES.sample, state="opened", opened_at=after_noon(30))

    assert len(feeds) >= 7
    for feed in feeds:
        sink = next(sink for topic, sink in app.readings.values() if topic == feed.kept_topic_in(app.settings))
        assert isinstance(sink, DocumentsSink)
        assert sink.withheld is app.withheld_messages[feed.name]
    known = shelved(opened.alert_type, "subject", opened.subject)
    marked = marked_city_alert(known, opened)
    assert marked is not None
    assert (marked.withheld.by if marked.withheld else None) == "7"
    # who was told that it begins is told that it ends
    assert marked_city_alert(known, replace(opened, state="resolved", timestamp=after_noon(31))) is None
    assert marked_city_alert(shelved(opened.alert_type, "camera", "another"), opened) is None
