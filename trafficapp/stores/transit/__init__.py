"""Postgres of public transport."""
