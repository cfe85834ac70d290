// How a piece of a road is drawn: a rectangle around it, in which what is farther away than half its width is left out. So ends and
// bends are round.

export const VERTEX = `#version 300 es
in vec4 a_ends; in float a_begin; in float a_lanes; in vec2 a_state;
uniform mat4 u_matrix; uniform vec2 u_screen; uniform float u_scale; uniform float u_offset; uniform vec2 u_widths; uniform int u_part;
out vec2 v_place; out float v_length; out float v_half; out float v_way; out float v_step;
void main() {
  vec4 begin = u_matrix * vec4(a_ends.xy, 0.0, 1.0), end = u_matrix * vec4(a_ends.zw, 0.0, 1.0);
  // pixels, upwards
  vec2 from = begin.xy / begin.w * u_screen * 0.5, to = end.xy / end.w * u_screen * 0.5;
  float length_px = length(to - from);
  vec2 ahead = length_px > 0.0 ? (to - from) / length_px : vec2(1.0, 0.0);
  vec2 right = vec2(ahead.y, -ahead.x);
  float half_width = 0.5 * (u_widths.x + u_widths.y * a_lanes);
  float reach = half_width + 1.0;
  float along = (gl_VertexID & 1) == 0 ? -reach : length_px + reach;
  float across = (gl_VertexID & 2) == 0 ? -reach : reach;
  vec2 place = from + ahead * along + right * (across + u_offset);
  gl_Position = vec4(place / (u_screen * 0.5), 0.0, 1.0);
  if (u_part == 0 && a_state.y < 0.5) gl_Position = vec4(2.0, 2.0, 2.0, 1.0);
  v_place = vec2(along, across);
  v_length = length_px;
  v_half = half_width;
  v_way = a_begin * u_scale;
  v_step = a_state.x;
}`;

export const FRAGMENT = `#version 300 es
precision highp float; precision highp int;
in vec2 v_place; in float v_length; in float v_half; in float v_way; in float v_step;
uniform vec3 u_colours[6]; uniform vec3 u_ground; uniform vec3 u_ink; uniform int u_part; uniform float u_crawling; uniform float u_unknown;
out vec4 colour;
void main() {
  float beyond = max(0.0, max(-v_place.x, v_place.x - v_length));
  float there = 1.0 - smoothstep(v_half - 0.5, v_half + 0.5, length(vec2(beyond, v_place.y)));
  if (there <= 0.0) discard;
  vec3 shown = u_part == 0 ? u_ink : u_ground;
  if (u_part == 2) {
    shown = u_colours[int(v_step + 0.5)];
    float way = v_way + v_place.x, width = 2.0 * v_half;
    // what crawls is dotted, of what nothing is known there are dashes
    if (abs(v_step - u_crawling) < 0.5) {
      float dot_half = max(0.0, v_half - 0.8), period = max(4.0, 2.2 * dot_half * 2.0);
      float at = mod(way, period), inside = 0.2 / 1.1 * period;
      if (at < inside && abs(v_place.y) < dot_half) shown = mix(shown, u_ground, 0.9);
    } else if (abs(v_step - u_unknown) < 0.5) {
      float period = max(5.0, 3.2 * (width + 1.0));
      if (mod(way, period) < 0.44 * period) shown = u_ground;
    }
  }
  colour = vec4(shown, 1.0) * there;
}`;
