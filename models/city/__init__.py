"""Shapes of a city as a whole."""
