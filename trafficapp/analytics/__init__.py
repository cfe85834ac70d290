"""Figures over ranges of time, from sums; nothing here asks a server."""
