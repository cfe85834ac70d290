// Lines as they are seen without a timetable: routes along the same path are one line, and headways follow from how far apart its
// vehicles are.

/** What Cal-ITP calls bunched: under a minute, or under half of the headway that even spacing would give. */
const BUNCHED_SECONDS = 60;
const BUNCHED_SHARE = 0.5;
const GAP_SHARE = 1.5;

/** "bunched", "gap" or "regular"; null where nothing is known. */
export function spacingOf(seconds, usual) {
  if (seconds === null || !(usual > 0)) return null;
  if (seconds < Math.max(BUNCHED_SECONDS, usual * BUNCHED_SHARE)) return "bunched";
  return seconds > usual * GAP_SHARE ? "gap" : "regular";
}

/** Routes of one line: `route-11-1` and `route-11-2` are `route-11`. */
function nameOf(ids) {
  if (ids.length === 1) return ids[0];
  let common = ids[0];
  for (const id of ids) while (!id.startsWith(common)) common = common.slice(0, -1);
  return common.replace(/[-_. ]+$/, "") || ids[0];
}

/** `[{id, name, routeIds, lengthM, isClosed, minutes}]`, by name. */
export function linesOf(routes) {
  const found = new Map();
  for (const route of routes) {
    const key = JSON.stringify(route.path);
    const line = found.get(key) ?? { routeIds: [], lengthM: route.length_m, isClosed: route.is_closed, minutes: route.expected_travel_time_minutes };
    line.routeIds.push(route.route_id);
    found.set(key, line);
  }
  return [...found.values()].map((line) => {
    const routeIds = line.routeIds.sort();
    return { ...line, routeIds, id: routeIds[0], name: nameOf(routeIds) };
  }).sort((a, b) => a.name.localeCompare(b.name, undefined, { numeric: true }));
}

/**
 * Vehicles of a line from its begin to its end, each with the seconds behind the one before it.
 * @param vehicles of the live table, those with a place along their route.
 */
export function placedOn(line, vehicles) {
  const there = vehicles.filter((vehicle) => line.routeIds.includes(vehicle.route_id) && vehicle.progress_share !== null && vehicle.status !== "end_of_service").sort((a, b) => a.progress_share - b.progress_share);
  const seconds = line.minutes ? line.minutes * 60 : null;
  const even = seconds && there.length > 1 ? seconds / (line.isClosed ? there.length : there.length - 1) : null;
  return there.map((vehicle, at) => {
    const last = at === there.length - 1;
    const ahead = there.length > 1 && (!last || line.isClosed) ? there[(at + 1) % there.length] : null;
    const share = ahead ? (ahead.progress_share - vehicle.progress_share + 1) % 1 : null;
    const headway = share !== null && seconds ? share * seconds : null;
    // where a line is no loop, even spacing of what happens to be on it says nothing of what was planned
    return { id: vehicle.vehicle_id, share: vehicle.progress_share, told: vehicle, behind: ahead?.vehicle_id ?? null, headway, usual: line.isClosed ? even : null, spacing: headway === null ? null : line.isClosed ? spacingOf(headway, even) : headway < BUNCHED_SECONDS ? "bunched" : "regular" };
  });
}
