"""The fast path: agents receive runs of records, and their own state says where to read on."""
