// Keeps a shared source running while a component is shown.

import { useEffect } from "../vendor/preact.mjs";

export function useSource(source) {
  useEffect(() => source.use(), [source]);
}
