"""Shapes about how far sources of data are to be trusted."""
