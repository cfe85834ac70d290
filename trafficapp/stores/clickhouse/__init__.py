"""Rows of feeds in ClickHouse, over its HTTP interface."""
