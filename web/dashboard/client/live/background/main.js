// What is too much for the page's own thread: thousands of vehicles and roads are read here, and the page is told numbers. It opens
// the connections that the page wants, and asks what the page asks; it decides nothing.

import { askAll } from "./asking.js";
import { forecastColumns, Roads, speedColumns } from "./roads.js";
import { Vehicles } from "./vehicles.js";

const TELL_MS = 1000;
const HEARD_EVERY_MS = 1000;

const sockets = new Map();
const columns = { speeds: speedColumns, forecasts: forecastColumns, feed: feedRows };
let roads = new Roads();
let feed = null;
let vehicles = null;

function open({ number, address, protocols, kind }) {
  const socket = new WebSocket(address, protocols);
  let heardAt = 0;
  socket.onopen = () => postMessage({ socket: number, state: "open" });
  socket.onclose = () => {
    sockets.delete(number);
    postMessage({ socket: number, state: "close" });
  };
  socket.onmessage = ({ data }) => {
    vehicles.hear(kind, JSON.parse(data));
    if (performance.now() - heardAt < HEARD_EVERY_MS) return;
    heardAt = performance.now();
    postMessage({ socket: number, state: "message" });
  };
  sockets.set(number, socket);
}

/** What the feed's roads are; `null` when that is what was told last: the page makes all roads anew of another answer. */
function feedRows(rows) {
  const told = rows.map(({ road_id, road_name, free_flow_speed, edges }) => ({ road_id, road_name, free_flow_speed, edges }));
  const before = feed;
  feed = JSON.stringify(told);
  return [feed === before ? null : told, []];
}

const orders = {
  open,
  close({ number }) {
    const socket = sockets.get(number);
    sockets.delete(number);
    if (socket) Object.assign(socket, { onopen: null, onmessage: null, onclose: null }).close();
  },
  start({ timeOrigin }) {
    vehicles = new Vehicles(performance.timeOrigin - timeOrigin);
    setInterval(() => vehicles.tell(), TELL_MS);
  },
  watch({ id }) { vehicles.watch(id); },
  list({ kind }) { vehicles.list(kind); },
  reuse({ buffer }) { vehicles.reused = new Float32Array(buffer); },
  async first({ path, token, kind }) {
    const { rows } = await askAll(path, token);
    if (rows) vehicles.hear(kind, rows);
  },
  /** Which roads there are: columns are in their order. */
  roads({ ids, free }) { roads = new Roads(ids, free); },
  async ask({ number, what, path, token, timeoutMs }) {
    const { rows, problem } = await askAll(path, token, timeoutMs);
    if (problem) postMessage({ answer: number, problem });
    else {
      const [body, buffers] = columns[what](rows, roads);
      postMessage({ answer: number, body }, buffers);
    }
  },
};

onmessage = ({ data }) => orders[data.order](data);
