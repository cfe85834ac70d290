"""The embedded stack: real Kafka, Postgres and Redis on this machine, with nothing but Python installed."""
