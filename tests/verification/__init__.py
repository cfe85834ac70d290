"""Checks of the whole pipeline against an oracle that shares no window code with it."""
