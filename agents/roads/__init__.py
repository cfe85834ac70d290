"""Agents of roads: the feed, forecasts, and the sinks of what they tell."""
