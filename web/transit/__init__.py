"""Vehicles of public transport; their lists and sockets are those of `web.feeds`."""
