"""The API's documents, made from what validates requests."""
