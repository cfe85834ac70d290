// What moves, in one call to the graphics card: a buffer holds where each vehicle was, where it is and when it was there; the card
// puts it between both. New numbers come once a second and are handed on as they are; nothing else is done on the main thread.

import { channelsOf } from "../components/colours.js";
import { FLOATS, KINDS, LONGEST_MOVE_S, mercatorX, mercatorY } from "./fleet.js";
import { link, originMatrix, WORLD_PX } from "./graphics.js";

const FRAME_MS = 40;
/** Where frames take long, so many times as long is left to everything else. */
const REST = 4;

const VERTEX = `#version 300 es
in vec2 a_from; in vec2 a_to; in float a_begin; in float a_takes; in float a_heading; in float a_kind; in float a_stale;
uniform mat4 u_matrix; uniform float u_now; uniform float u_size; uniform vec3 u_colours[3]; uniform vec3 u_grey; uniform vec3 u_shown;
out vec3 v_colour; out float v_heading; out float v_kind; out float v_stale;
void main() {
  float share = clamp((u_now - a_begin) / a_takes, 0.0, 1.0);
  gl_Position = u_matrix * vec4(mix(a_from, a_to, share), 0.0, 1.0);
  int kind = int(a_kind + 0.5);
  if (u_shown[kind] < 0.5) gl_Position = vec4(2.0, 2.0, 2.0, 1.0);
  gl_PointSize = u_size * (a_kind < 0.5 ? 1.0 : 1.7);
  v_colour = a_stale > 0.5 ? u_grey : u_colours[kind];
  v_heading = a_heading; v_kind = a_kind; v_stale = a_stale;
}`;

const FRAGMENT = `#version 300 es
precision highp float;
in vec3 v_colour; in float v_heading; in float v_kind; in float v_stale;
uniform vec3 u_ground;
out vec4 colour;
float shape(vec2 p, float grow) {
  if (v_kind > 0.5) { vec2 q = abs(p) - (0.46 + grow); return length(max(q, 0.0)) + min(max(q.x, q.y), 0.0) - 0.16; }
  if (v_heading < -500.0) return length(p) - (0.5 + grow);
  float c = cos(v_heading), s = sin(v_heading);
  p = vec2(c * p.x + s * p.y, -s * p.x + c * p.y);
  // an arrow: pointed ahead, notched behind
  float y = p.y + 0.12;
  float side = abs(p.x) * 0.85 + y * 0.42 - 0.34;
  float back = -y - 0.5 + abs(p.x) * -0.45;
  return max(side, back) - grow;
}
void main() {
  vec2 p = (gl_PointCoord * 2.0 - 1.0) * vec2(1.0, -1.0);
  float inner = shape(p, 0.0), outer = shape(p, 0.2);
  float edge = fwidth(inner) + 0.01;
  float filled = 1.0 - smoothstep(-edge, edge, inner);
  float around = 1.0 - smoothstep(-edge, edge, outer);
  // what was not heard for a while is hollow
  if (v_stale > 0.5) filled *= smoothstep(-0.3, -0.2, inner);
  if (around < 0.02) discard;
  colour = vec4(mix(u_ground, v_colour, filled), 1.0) * around;
}`;

export class VehiclesLayer {
  id = "vehicles";
  type = "custom";
  renderingMode = "2d";

  /** @param fleet gives `{data, count, origin, ids}` as `fleet.js` makes them, of now. */
  constructor(map, fleet) {
    Object.assign(this, { map, fleet, shown: { car: true, bus: true, rail: true }, written: null, movingUntil: 0, took: 0, askedAt: null, nextFrame: null });
    this.still = matchMedia("(prefers-reduced-motion: reduce)");
    map.addLayer(this, "cameras");
    this.recolour();
  }

  onAdd(map, gl) {
    this.program = link(gl, VERTEX, FRAGMENT);
    this.uniforms = Object.fromEntries(["matrix", "now", "size", "colours", "grey", "ground", "shown"].map((name) => [name, gl.getUniformLocation(this.program, `u_${name}`)]));
    this.buffer = gl.createBuffer();
    this.array = gl.createVertexArray();
    gl.bindVertexArray(this.array);
    gl.bindBuffer(gl.ARRAY_BUFFER, this.buffer);
    let offset = 0;
    for (const [name, size] of [["from", 2], ["to", 2], ["begin", 1], ["takes", 1], ["heading", 1], ["kind", 1], ["stale", 1]]) {
      const at = gl.getAttribLocation(this.program, `a_${name}`);
      if (at >= 0) {
        gl.enableVertexAttribArray(at);
        gl.vertexAttribPointer(at, size, gl.FLOAT, false, FLOATS * 4, offset);
      }
      offset += 4 * size;
    }
    gl.bindVertexArray(null);
  }

  recolour() {
    this.colours = new Float32Array(KINDS.flatMap((kind) => channelsOf(`--${kind}`)));
    this.grey = channelsOf("--dim");
    this.ground = channelsOf("--casing");
    this.map.triggerRepaint();
  }

  onRemove() {
    clearTimeout(this.nextFrame);
  }

  /** Called when there are other numbers, or other kinds are shown. */
  update() {
    this.movingUntil = performance.now() + LONGEST_MOVE_S * 1000;
    this.map.triggerRepaint();
  }

  render(gl, { defaultProjectionData: { mainMatrix } }) {
    const { data, count, origin } = this.fleet();
    if (!count) return;
    gl.bindVertexArray(this.array);
    if (this.written !== data) {
      gl.bindBuffer(gl.ARRAY_BUFFER, this.buffer);
      gl.bufferData(gl.ARRAY_BUFFER, data.subarray(0, count * FLOATS), gl.DYNAMIC_DRAW);
      this.written = data;
    }
    const now = performance.now();
    gl.useProgram(this.program);
    gl.uniformMatrix4fv(this.uniforms.matrix, false, originMatrix(mainMatrix, origin));
    gl.uniform1f(this.uniforms.now, this.still.matches ? Infinity : now / 1000);
    gl.uniform1f(this.uniforms.size, sizeAt(this.map.getZoom()) * devicePixelRatio);
    gl.uniform3fv(this.uniforms.colours, this.colours);
    gl.uniform3fv(this.uniforms.grey, this.grey);
    gl.uniform3fv(this.uniforms.ground, this.ground);
    gl.uniform3f(this.uniforms.shown, ...KINDS.map((kind) => Number(this.shown[kind])));
    gl.enable(gl.BLEND);
    gl.blendFunc(gl.ONE, gl.ONE_MINUS_SRC_ALPHA);
    gl.drawArrays(gl.POINTS, 0, count);
    gl.bindVertexArray(null);
    this.goOn(now);
  }

  /** Asks for the next frame while something moves; the slower the last one came, the later. */
  goOn(now) {
    if (this.askedAt) this.took = now - this.askedAt;
    this.askedAt = null;
    if (now > this.movingUntil || this.still.matches) return;
    this.nextFrame ??= setTimeout(() => {
      this.nextFrame = null;
      this.askedAt = performance.now();
      this.map.triggerRepaint();
    }, Math.min(1000, Math.max(FRAME_MS, REST * this.took)));
  }

  /** The id of the vehicle at a point of the screen, null where there is none. */
  at({ x, y }, reach = 12) {
    const { data, count, origin, ids } = this.fleet();
    if (!count) return null;
    const { lng, lat } = this.map.unproject([x, y]);
    const [atX, atY] = [mercatorX(lng) - origin[0], mercatorY(lat) - origin[1]];
    let best = null;
    let least = (reach / (WORLD_PX * 2 ** this.map.getZoom())) ** 2;
    for (let number = 0, place = 0; number < count; number++, place += FLOATS) {
      const distance = (data[place + 2] - atX) ** 2 + (data[place + 3] - atY) ** 2;
      if (distance < least && this.shown[KINDS[data[place + 7]]]) [best, least] = [ids[number], distance];
    }
    return best;
  }
}

const sizeAt = (zoom) => Math.max(4, Math.min(20, 4 + (zoom - 12) * 2.4));
