"""Shapes of weather and air."""
