"""Area counters over HTTP and WebSocket."""
