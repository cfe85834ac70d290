"""Personal data found and erased: Postgres, Redis, the lake, ClickHouse, dumps, topics."""
