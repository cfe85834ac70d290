"""Where results are kept: history in Postgres, the current state in Redis."""
