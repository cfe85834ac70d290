// The lanes of one camera in its newest window, as they become final.

import { useEffect, useState } from "../vendor/preact.mjs";
import { Connection } from "../live/connection.js";

/** `{start, lanes}`: begin of the window (ms, null before one came) and its rows by lane, in order. */
export function useLanes(cameraId) {
  const [found, setFound] = useState({ start: null, lanes: [] });
  useEffect(() => {
    let at = null;
    const lanes = new Map();
    setFound({ start: null, lanes: [] });
    const query = new URLSearchParams({ camera_id: cameraId, changes: true });
    const connection = new Connection(`lanes ${cameraId}`, () => `/ws/metrics/lanes?${query}`, (rows) => {
      for (const row of rows) {
        const start = Date.parse(row.window_start);
        if (at !== null && start < at) continue;
        if (start !== at) lanes.clear();
        at = start;
        lanes.set(row.lane_id, row);
      }
      setFound({ start: at, lanes: [...lanes.values()].sort((a, b) => a.lane_id - b.lane_id) });
    });
    return () => connection.stop();
  }, [cameraId]);
  return found;
}
