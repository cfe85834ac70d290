"""How Faust, Kafka and state work here: runs of records in, effects in their order, state merged by offset."""
