"""Sinks and questions of any feed, each written once and told by a `trafficapp.feeds.declaration.Feed` what to do."""
