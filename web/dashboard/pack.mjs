// Joins our own modules and styles into a few files, so that a first visit asks for a handful instead of a hundred: `node pack.mjs CLIENT`,
// run by `make setup` in the folder that has node_modules. What is edited stays as it was written; workers serve the pack only while it
// is made of exactly that (`web/dashboard/packed.py`), else the modules themselves.

import { build, transform } from "esbuild";
import { createHash } from "node:crypto";
import { mkdir, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { join, relative, resolve, sep } from "node:path";
import { brotliCompressSync, constants, gzipSync } from "node:zlib";

const client = resolve(process.argv[2]);
const folder = join(client, "vendor", "pack");
const ADDRESS = "/static/vendor/pack/";
/** Libraries that become part of it. MapLibre stays a file of its own: it is large, and changes with its version only. */
const LIBRARIES = ["vendor/preact.mjs", "vendor/uPlot.mjs", "vendor/uPlot.min.css"];
const BACKGROUND = 'new URL("./background/main.js", import.meta.url)';

await rm(folder, { recursive: true, force: true });
await mkdir(folder, { recursive: true });

const entries = await readdir(client, { recursive: true, withFileTypes: true });
const own = entries.filter((entry) => entry.isFile()).map((entry) => relative(client, join(entry.parentPath ?? entry.path, entry.name)).split(sep).join("/"));
const sources = [...own.filter((name) => /\.(js|css)$/.test(name) && !name.startsWith("vendor/")), ...LIBRARIES].sort();
const digest = createHash("sha256");
for (const name of sources) digest.update(`${name}\0`).update(await readFile(join(client, name))).update("\0");

const options = { absWorkingDir: client, bundle: true, format: "esm", minify: true, target: "es2022", outdir: folder, entryNames: "[name]-[hash]", metafile: true, logLevel: "warning" };
const namesOf = ({ metafile }) => Object.entries(metafile.outputs).map(([path, output]) => [path.split("/").at(-1), output]);

const [[background]] = namesOf(await build({ ...options, entryPoints: { background: "live/background/main.js" } }));
/** What differs from the modules as they lie there: where things are, and that rooms need not be asked for. */
const changes = {
  name: "changes",
  setup(chosen) {
    chosen.onLoad({ filter: /\/shell\/rooms\.js$/ }, async ({ path }) => {
      let imports = "";
      const text = (await readFile(path, "utf8")).replace(/import\(("[^"]+")\)/g, (_, name) => {
        const room = `room${imports.length}`;
        imports += `import * as ${room} from ${name};\n`;
        return `Promise.resolve(${room})`;
      });
      return { contents: imports + text, loader: "js" };
    });
    chosen.onResolve({ filter: /\/vendor\/maplibre-gl\.mjs$/ }, () => ({ path: "/static/vendor/maplibre-gl.mjs", external: true }));
    chosen.onLoad({ filter: /\/live\/background\.js$/ }, async ({ path }) => {
      const text = await readFile(path, "utf8");
      if (!text.includes(BACKGROUND)) throw new Error(`${path} does not say ${BACKGROUND}`);
      return { contents: text.replace(BACKGROUND, JSON.stringify(ADDRESS + background)), loader: "js" };
    });
  },
};
const made = await build({ ...options, entryPoints: { main: "shell/main.js" }, splitting: true, chunkNames: "[name]-[hash]", plugins: [changes] });
const outputs = new Map(namesOf(made));
const named = (entry) => [...outputs].find(([, { entryPoint }]) => entryPoint === entry)[0];

const entry = named("shell/main.js");
/** What is needed before anything can be seen: all but the map, which comes by itself. */
const first = [entry, ...outputs.get(entry).imports.filter(({ kind, external }) => kind === "import-statement" && !external).map(({ path }) => path.split("/").at(-1))];

const page = await readFile(join(client, "index.html"), "utf8");
let styles = "";
for (const [, name, rest] of page.matchAll(/<link rel="stylesheet" href="\/static\/([^"]+)"([^>]*)>/g)) {
  const text = await readFile(join(client, name), "utf8");
  styles += rest.includes("print") ? `@media print {\n${text}\n}\n` : `${text}\n`;
}
const { code } = await transform(styles, { loader: "css", minify: true, target: ["chrome123", "firefox120", "safari17.5"] });
const style = `styles-${createHash("sha256").update(code).digest("hex").slice(0, 8)}.css`;
await writeFile(join(folder, style), code);

for (const name of await readdir(folder)) {
  const body = await readFile(join(folder, name));
  const params = { [constants.BROTLI_PARAM_QUALITY]: 11, [constants.BROTLI_PARAM_SIZE_HINT]: body.length };
  await writeFile(join(folder, `${name}.br`), brotliCompressSync(body, { params }));
  await writeFile(join(folder, `${name}.gz`), gzipSync(body, { level: 9 }));
}
const manifest = { sources, sha256: digest.digest("hex"), entry, style, first };
await writeFile(join(folder, "manifest.json"), `${JSON.stringify(manifest, null, 1)}\n`);
