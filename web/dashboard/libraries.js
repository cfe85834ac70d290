// What our modules take from Preact, htm and signals: one file for the browser, so that all use the same copy.

import { h } from "preact";
import htm from "htm";

export { Component, createContext, Fragment, h, render } from "preact";
export { useCallback, useContext, useEffect, useId, useLayoutEffect, useMemo, useRef, useState } from "preact/hooks";
export { batch, computed, effect, signal, untracked, useComputed, useSignal } from "@preact/signals";
export const html = htm.bind(h);
