// Puts the libraries where the browser loads them from, as ES modules: `node vendor.mjs FOLDER`, run by `make setup` in
// the folder that has node_modules. Each file also lies there compressed, so that no worker spends time on that.

import { build } from "esbuild";
import { cp, mkdir, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { brotliCompressSync, constants, gzipSync } from "node:zlib";

const COPIED = {
  "maplibre-gl.mjs": "maplibre-gl/dist/maplibre-gl.mjs",
  "maplibre-gl-worker.mjs": "maplibre-gl/dist/maplibre-gl-worker.mjs",
  "maplibre-gl.css": "maplibre-gl/dist/maplibre-gl.css",
  "uPlot.min.css": "uplot/dist/uPlot.min.css",
  "swagger-ui.css": "swagger-ui-dist/swagger-ui.css",
  "swagger-ui-bundle.js": "swagger-ui-dist/swagger-ui-bundle.js",
};
const BUNDLED = { "preact.mjs": "libraries.js", "uPlot.mjs": "node_modules/uplot/dist/uPlot.esm.js" };

const folder = process.argv[2];
await rm(folder, { recursive: true, force: true });
await mkdir(folder, { recursive: true });
for (const [name, from] of Object.entries(COPIED)) await cp(join("node_modules", from), join(folder, name));
for (const [name, from] of Object.entries(BUNDLED)) {
  await build({ entryPoints: [from], outfile: join(folder, name), bundle: true, format: "esm", minify: true, target: "es2022", legalComments: "inline", logLevel: "warning" });
}
for (const name of await readdir(folder)) {
  const body = await readFile(join(folder, name));
  const parameters = { [constants.BROTLI_PARAM_QUALITY]: 11, [constants.BROTLI_PARAM_SIZE_HINT]: body.length };
  await writeFile(join(folder, `${name}.br`), brotliCompressSync(body, { params: parameters }));
  await writeFile(join(folder, `${name}.gz`), gzipSync(body, { level: 9 }));
}
