"""What all that is kept in Postgres shares: the connection, sinks, time partitions, retention, publications."""
