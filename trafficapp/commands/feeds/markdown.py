"""The table of feeds for documents, from the declarations."""

from __future__ import annotations

from trafficapp.commands.feeds.showing import duration
from trafficapp.feeds.declared import FEEDS
from trafficapp.incoming import incoming_feeds
from trafficapp.settings import Settings
from trafficapp.topics import declared_topics


def table_of(settings: Settings) -> str:
    """What comes in, in Markdown; what the settings say is as they are here."""
    topics = {topic.name: topic for topic in declared_topics(settings, FEEDS)}
    lines = ["| feed | topic | record key | what it is | forms | kept |", "|---|---|---|---|---|---|"]
    for feed in incoming_feeds(settings):
        key = "any" if feed.any_key else f"the `{feed.key}`"
        what = feed.summary.partition(". ")[0].removesuffix(".")
        forms = ", ".join(f"`{example.form}`" for example in feed.examples(settings))
        kept = duration(float(topics[feed.topic].config["retention.ms"]) / 1000)
        lines.append(f"| `{feed.name}` | `{feed.topic}` | {key} | {what} | {forms} | {kept} |")
    return "\n".join(lines)
