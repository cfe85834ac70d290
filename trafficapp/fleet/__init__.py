"""Connected cars and trackers: two feeds, one vehicle a device. No Faust, no clients."""
