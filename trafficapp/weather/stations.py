"""All stations of a partition: their newest readings, whether these are current, and the alerts that they raise.

A pure function of what it is given. Readings of a station are in the order of their own times; one that is older than
the newest changes nothing. Once the newest is not current any more, the next one counts whatever its time: a station
whose clock was set back is believed again.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from heapq import heapify, heappop, heappush

import msgspec
from msgspec import Struct

from models.city_alerts import AlertState, alert_id_of
from models.timestamps import rfc3339
from models.weather.alerts import WeatherAlert, encode_weather_alert
from models.weather.current import CurrentWeather, encode_current_weather
from models.weather.observed import WeatherObserved
from trafficapp.feeds.rules import Told, When
from trafficapp.settings import WeatherFactorSettings, WeatherSettings
from trafficapp.weather.air_quality import band_of
from trafficapp.weather.alert_levels import AlertRule, Judged, alert_rules
from trafficapp.weather.hysteresis import Course
from trafficapp.weather.phenomena import Weather, speed_factor
from trafficapp.weather.topics import WEATHER_ALERTS, WEATHER_CURRENT


class _Station(Struct, omit_defaults=True):
    """What is remembered of a station; the state row.

    Attributes:
        reading: the newest.
        received_us: when it came, by the time of its record.
        heard_us: likewise by the partition's clock, which measures silence.
        is_current: whether it was told as current last.
        courses: of alerts, by type; those that are calm are left out.
    """

    reading: WeatherObserved
    received_us: int
    heard_us: int
    is_current: bool = True
    courses: dict[str, Course] = {}


_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(_Station).decode


class WeatherStations:
    """The rules of a partition.

    Args:
        settings: of the weather.
        factors: of speeds.
        rows: what was remembered, by station.
    """

    def __init__(
        self, settings: WeatherSettings, factors: WeatherFactorSettings, rows: Mapping[bytes, bytes] | None = None
    ) -> None:
        self._settings, self._factors = settings, factors
        self._rules = alert_rules(settings)
        self._current_us = settings.current_us
        self._silent_us = round(settings.silent_minutes * 60e6)
        self._forget_us = max(round(settings.forget_hours * 3600e6), self._silent_us)
        self._raise_us, self._calm_us = round(settings.raise_minutes * 60e6), round(settings.calm_minutes * 60e6)
        self._stations = {key.decode(): _decode(row) for key, row in (rows or {}).items()}
        self._changed: set[str] = set()
        #: When to look at each station again; it may turn out that it is not yet time.
        self._look_at = {name: self._due_us(one) for name, one in self._stations.items()}
        self._due = [(due_us, name) for name, due_us in self._look_at.items()]
        heapify(self._due)

    def apply(self, message: WeatherObserved, when: When) -> Iterable[Told]:
        """Take a reading in; what follows from it."""
        name, record_us = message.station, when.record_us
        station = self._stations.get(name)
        if station is None:
            station = self._stations[name] = _Station(message, record_us, when.clock_us)
            self._look_again(name, station)
        elif message.observed_us < station.reading.observed_us:
            if record_us - station.received_us <= self._current_us:
                return []
            for course in station.courses.values():
                course.begin_anew()
        elif message == station.reading and station.is_current:
            return []
        was_current, station.is_current = station.is_current, True
        station.reading, station.received_us = message, max(station.received_us, record_us)
        station.heard_us = when.clock_us
        if not was_current:
            self._look_again(name, station)
        self._changed.add(name)
        weather = Weather(message, self._settings)
        told = [self._current(station, weather, 0)]
        courses = station.courses
        for rule in self._rules:
            judged = rule.judge(weather)
            # most weather is calm, and each reading comes here
            if judged is not None and (judged[0] or rule.alert_type in courses):
                self._judge(station, rule, judged, told)
        return told

    def tick(self, clock_us: int) -> Iterator[Told]:
        """What follows from silence: readings that are not current any more, alerts of which nothing is known."""
        while self._due and self._due[0][0] <= clock_us:
            due_us, name = heappop(self._due)
            if self._look_at.get(name) != due_us:
                continue  # it came back, and is looked at another time
            station = self._stations[name]
            if self._due_us(station) <= clock_us:
                yield from self._fell_silent(name, station, clock_us - station.heard_us)
            if name in self._stations:
                self._look_again(name, station)

    def changed_rows(self) -> Iterator[tuple[bytes, bytes | None]]:
        """What is to be remembered of stations that changed since the last call."""
        changed, self._changed = self._changed, set()
        for name in changed:
            station = self._stations.get(name)
            yield name.encode(), None if station is None else _encode(station)

    def _look_again(self, name: str, station: _Station) -> None:
        due_us = self._look_at[name] = self._due_us(station)
        heappush(self._due, (due_us, name))

    def _due_us(self, station: _Station) -> int:
        """When silence changes something."""
        if station.is_current:
            return station.heard_us + self._current_us + 1
        if any(course.level for course in station.courses.values()):
            return station.heard_us + self._silent_us
        return station.heard_us + self._forget_us

    def _fell_silent(self, name: str, station: _Station, silent_us: int) -> Iterator[Told]:
        self._changed.add(name)
        if station.is_current:
            station.is_current = False
            yield self._current(station, Weather(station.reading, self._settings), silent_us)
        if silent_us >= self._silent_us:
            for rule in self._rules:
                course = station.courses.pop(rule.alert_type, None)
                if course is not None and course.level:
                    course.level, course.revision = 0, course.revision + 1
                    at_us = station.reading.observed_us + silent_us
                    minutes = self._settings.silent_minutes
                    yield self._alert(station, rule, course, at_us, None, f"nothing was told for {minutes:g} minutes")
        if silent_us >= self._forget_us:
            del self._stations[name], self._look_at[name]

    def _current(self, station: _Station, weather: Weather, age_us: int) -> Told:
        reading, index, phenomena = station.reading, weather.index, weather.phenomena
        band = None if index is None else band_of(index)
        current = CurrentWeather(
            station=reading.station,
            timestamp=rfc3339(reading.observed_us),
            received_at=rfc3339(station.received_us),
            is_current=station.is_current,
            age_seconds=round(age_us / 1e6, 1) if age_us else 0.0,
            latitude=reading.latitude,
            longitude=reading.longitude,
            temperature=reading.temperature,
            weather_condition=reading.condition,
            humidity=reading.humidity,
            wind_speed=reading.wind_speed,
            wind_gust=reading.wind_gust,
            precipitation=reading.precipitation,
            precipitation_mm_h=None if weather.mm_h is None else round(weather.mm_h, 2),
            visibility=reading.visibility,
            pm2_5=reading.pm2_5,
            air_quality_index=index,
            air_quality_band=None if band is None else band.name,
            air_quality_colour=None if band is None else band.rgb,
            phenomena=phenomena,
            speed_factor=speed_factor(phenomena, self._factors) if phenomena else 1.0,
        )
        return Told(WEATHER_CURRENT, reading.station.encode(), encode_current_weather(current))

    def _judge(self, station: _Station, rule: AlertRule, judged: Judged, told: list[Told]) -> None:
        reached, kept, value = judged
        course = station.courses.get(rule.alert_type)
        if course is None:
            course = station.courses[rule.alert_type] = Course()
        before, at_us = course.level, station.reading.observed_us
        if course.observe(reached, kept, at_us, self._raise_us, self._calm_us):
            if before:
                course.revision += 1
            else:
                course.opened_us, course.revision = at_us, 0
            told.append(self._alert(station, rule, course, at_us, value, _in_words(rule, value)))
        if not course.level and course.worse_since_us is None:
            del station.courses[rule.alert_type]

    def _alert(
        self, station: _Station, rule: AlertRule, course: Course, at_us: int, value: float | None, why: str
    ) -> Told:
        reading, over = station.reading, course.level == 0
        level = rule.levels[max(course.level, 1) - 1]
        state: AlertState = "resolved" if over else "updated" if course.revision else "opened"
        alert = WeatherAlert(
            alert_id=alert_id_of(rule.alert_type, reading.station, course.opened_us),
            revision=course.revision,
            alert_type=rule.alert_type,
            state=state,
            severity=level.severity,
            subject=reading.station,
            title=f"{rule.title} is over" if over else level.title,
            message=f"Station {reading.station}: {'over, ' if over else level.name + ', '}{why}",
            timestamp=rfc3339(at_us),
            opened_at=rfc3339(course.opened_us),
            resolved_at=rfc3339(at_us) if over else None,
            latitude=reading.latitude,
            longitude=reading.longitude,
            station=reading.station,
            level=level.name,
            colour=level.colour,
            value=value,
            unit=rule.unit,
        )
        return Told(WEATHER_ALERTS, reading.station.encode(), encode_weather_alert(alert))


def _in_words(rule: AlertRule, value: float | None) -> str:
    """What was measured."""
    if value is None:
        return "as the station says in words"
    if rule.alert_type == "air_quality":
        return f"index {value:g}"
    return f"{value:g} {rule.unit}"
