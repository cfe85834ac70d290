// What is too much for the page's own thread: thousands of vehicles and roads are read here, and the page is told numbers. It opens
// the connections that the page wants, and asks what the page asks; it decides nothing.

import { askAll, fetched } from "./asking.js";
import { forecastColumns, Roads, speedColumns } from "./roads.js";
import { Vehicles } from "./vehicles.js";

const TELL_MS = 1000;

const sockets = new Map();
const columns = { speeds: speedColumns, forecasts: forecastColumns, feed: feedRows };
let roads = new Roads();
let feed = null;
let vehicles = null;
/** What waits to be told: the page takes it up at once, and is made anew once for all of it. */
let held = [];
const heldBuffers = [];

/** Tells the page with the next round, or now. */
function tell(message, buffers = [], isUrgent = false) {
  if (isUrgent) postMessage([message], buffers);
  else {
    held.push(message);
    heldBuffers.push(...buffers);
  }
}

/** Each second of the clock, as the page's clock goes on: both are one frame. */
function tellRound() {
  vehicles.tell();
  if (held.length) postMessage(held, heldBuffers.splice(0));
  held = [];
  const left = TELL_MS - (Date.now() % TELL_MS);
  // a timer may be early by a moment
  setTimeout(tellRound, left < TELL_MS / 10 ? left + TELL_MS : left);
}

function open({ number, address, protocols, kind }) {
  const socket = new WebSocket(address, protocols);
  let isHeard = false;
  socket.onopen = () => tell({ socket: number, state: "open" }, [], true);
  socket.onclose = () => {
    sockets.delete(number);
    tell({ socket: number, state: "close" }, [], true);
  };
  socket.onmessage = ({ data }) => {
    vehicles.hear(kind, JSON.parse(data));
    // it may be silent: the page wants to know only that it came to life
    if (!isHeard) tell({ socket: number, state: "message" });
    isHeard = true;
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
    vehicles = new Vehicles(performance.timeOrigin - timeOrigin, tell);
    tellRound();
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
  async ask({ number, what, path, token, timeoutMs, isUrgent }) {
    const { rows, problem } = await askAll(path, token, timeoutMs);
    if (problem) tell({ answer: number, problem }, [], isUrgent);
    else {
      const [body, buffers] = columns[what](rows, roads);
      tell({ answer: number, body }, buffers, isUrgent);
    }
  },
  /** One question as the page would ask it itself; what is said is told as it is. */
  async fetch({ number, path, headers, timeoutMs, isUrgent }) {
    tell({ answer: number, body: await fetched(path, headers, timeoutMs) }, [], isUrgent);
  },
};

onmessage = ({ data }) => orders[data.order](data);
