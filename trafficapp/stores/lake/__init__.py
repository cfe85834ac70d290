"""What was accepted, for years, in Parquet files that anybody can read (docs/decisions/0020)."""
