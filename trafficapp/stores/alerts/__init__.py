"""Alerts: their history, which are open, and what people do with them."""
