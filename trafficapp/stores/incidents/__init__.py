"""Incidents in Postgres and units in Redis, beyond what every feed has."""
