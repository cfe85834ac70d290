// Whether this browser can draw a map at all; a table is there for who cannot.

let drawable = null;

export function canDraw() {
  if (drawable === null) {
    const context = document.createElement("canvas").getContext("webgl2");
    drawable = context !== null;
    // browsers allow few at a time
    context?.getExtension("WEBGL_lose_context")?.loseContext();
  }
  return drawable;
}
