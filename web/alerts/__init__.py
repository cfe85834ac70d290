"""Views of alerts: open ones, history, export, and what people do with them."""
