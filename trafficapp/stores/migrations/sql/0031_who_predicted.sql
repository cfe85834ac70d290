-- A rule that was nearer of late may predict one horizon, and the model another one of the same road.

ALTER TABLE predictions ADD COLUMN model_versions jsonb;
COMMENT ON COLUMN predictions.model_versions IS
    'Who predicted 10, 20 and 30 minutes ahead; null of earlier predictions, where it is model_version for all.';
