"""Stored figures that measures are made of."""
