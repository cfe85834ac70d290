-- Partitions are made and dropped by whoever owns the tables; who works need not. The schema is named, with the session's
-- own tables behind it, so that nobody can put a table of his own before one that these functions mean.
DO $$
BEGIN
    EXECUTE format(
        'ALTER FUNCTION ensure_time_partition(text, text, timestamptz, timestamptz) '
        'SECURITY DEFINER SET search_path = %I, pg_temp', current_schema());
    EXECUTE format(
        'ALTER FUNCTION drop_expired_time_partition(text, interval) SECURITY DEFINER SET search_path = %I, pg_temp',
        current_schema());
END $$;

REVOKE EXECUTE ON FUNCTION ensure_time_partition(text, text, timestamptz, timestamptz) FROM PUBLIC;
REVOKE EXECUTE ON FUNCTION drop_expired_time_partition(text, interval) FROM PUBLIC;
