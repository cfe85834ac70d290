// What layers of our own share: programs of the graphics card, and coordinates near an origin.

/** Of the whole world at zoom 0, pixels. */
export const WORLD_PX = 512;

/** A matrix for coordinates that count from an origin; reckoned in 64 bits. */
export function originMatrix(matrix, [x, y]) {
  const result = new Float32Array(matrix);
  for (let row = 0; row < 4; row++) result[12 + row] = matrix[row] * x + matrix[4 + row] * y + matrix[12 + row];
  return result;
}

export function link(gl, vertex, fragment) {
  const program = gl.createProgram();
  for (const [type, source] of [[gl.VERTEX_SHADER, vertex], [gl.FRAGMENT_SHADER, fragment]]) {
    const shader = gl.createShader(type);
    gl.shaderSource(shader, source);
    gl.compileShader(shader);
    if (!gl.getShaderParameter(shader, gl.COMPILE_STATUS)) throw new Error(gl.getShaderInfoLog(shader));
    gl.attachShader(program, shader);
  }
  gl.linkProgram(program);
  if (!gl.getProgramParameter(program, gl.LINK_STATUS)) throw new Error(gl.getProgramInfoLog(program));
  return program;
}
