"""What all that is kept in Redis shares: the connection, sinks, scripts, the log of live events."""
