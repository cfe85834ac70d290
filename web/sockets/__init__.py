"""The live side: one subscription to Redis, a bounded queue for each client."""
