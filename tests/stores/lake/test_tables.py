from __future__ import annotations

from trafficapp.feeds.declared import FEEDS
from trafficapp.settings import Settings
from trafficapp.stores.lake.kept import lake_tables
from trafficapp.stores.lake.tables import FOLDERS


def test_no_column_is_called_as_what_folders_say(settings: Settings) -> None:
    """Some readers show what the folder says in its place."""
    tables = lake_tables(FEEDS, settings)
    for table in tables.values():
        names = table.schema.names
        assert not set(names) & set(FOLDERS.names), table.topic
        assert len(set(names)) == len(names), table.topic
    assert tables["feed-minutes"].schema.names[:4] == ["feed_minute", "feed", "message_topic", "partition"]
