"""Jammed roads that touch each other as one event: a pure function of the log of checked observations."""
