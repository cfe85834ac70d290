ALTER TABLE cameras
    ADD COLUMN created_at timestamptz NOT NULL DEFAULT now(),
    ADD COLUMN updated_at timestamptz NOT NULL DEFAULT now();

COMMENT ON COLUMN cameras.created_at IS 'When somebody registered the camera, or else when it reported first.';
COMMENT ON COLUMN cameras.updated_at IS 'When somebody changed what is registered of it; reports do not count.';

ALTER TABLE admin_thresholds DROP CONSTRAINT admin_thresholds_check;
ALTER TABLE admin_thresholds ADD CONSTRAINT admin_thresholds_check CHECK (
    0 < congestion_threshold_low AND congestion_threshold_low <= congestion_threshold_moderate
    AND congestion_threshold_moderate <= congestion_threshold_high AND congestion_threshold_high < 1
);

ALTER TABLE monitoring_zones ALTER COLUMN description DROP NOT NULL, ALTER COLUMN description DROP DEFAULT;
