"""Postgres and Redis of weather and air."""
