"""The embedded servers: Kafka, Postgres and a Redis-protocol server, each as one process of ours."""
