// SPDX-License-Identifier: MIT
// What a card learns once it has been in view for a moment: what the film is made of, and its
// poster. Few requests at a time, captures one at a time, and none for a card that has gone.

import type { Entry, Info } from './api.js';
import { fetchInfo } from './api.js';
import { captureFrame } from './capture.js';
import { Queue } from './queue.js';
import { findPoster, keepPoster } from './shelf.js';

const SETTLE_MS = 120; // cards that only rush by ask for nothing
const CACHE_LIMIT = 3000;

const infos = new Map<string, Info | null>(); // null: it was asked, and there is none
const pictures = new Map<string, string | null>(); // addresses; null: there is none
const asking = new Queue(4), capturing = new Queue(1);

function remember<V>(cache: Map<string, V>, key: string, value: V): void {
  cache.set(key, value);
  const oldest = cache.keys().next();
  if (cache.size > CACHE_LIMIT && !oldest.done) cache.delete(oldest.value);
}

const keyOf = (entry: Entry) => `${entry.url}@${entry.mtimeMs}`;

export interface CardView {
  showInfo: (info: Info) => void;
  showPicture: (url: string) => void;
  showNoPicture: () => void;
}

/** What is known already, now; the rest when it is there. */
export function learn(entry: Entry, view: CardView, signal: AbortSignal): void {
  const key = keyOf(entry), info = infos.get(key), picture = pictures.get(key);
  if (info) view.showInfo(info);
  if (picture) view.showPicture(picture);
  if (picture === null) view.showNoPicture();
  if (info !== undefined && picture !== undefined) return;
  const timer = setTimeout(() => asking.add(signal, () => ask(entry, view, signal)), SETTLE_MS);
  signal.addEventListener('abort', () => clearTimeout(timer));
}

async function ask(entry: Entry, view: CardView, signal: AbortSignal): Promise<void> {
  const key = keyOf(entry);
  let info = infos.get(key);
  if (info === undefined) {
    try {
      info = await fetchInfo(entry.aboutUrl, signal);
    } catch {
      if (signal.aborted) return;
      info = null;
    }
    remember(infos, key, info);
    if (info && !signal.aborted) view.showInfo(info);
  }
  if (pictures.has(key)) return;
  if (info?.posterUrl) {
    remember(pictures, key, info.posterUrl);
    view.showPicture(info.posterUrl);
  } else {
    capturing.add(signal, () => capture(entry, view, signal));
  }
}

function savesData(): boolean {
  const { connection } = navigator as Navigator & { connection?: { saveData?: boolean } };
  return connection?.saveData === true;
}

async function capture(entry: Entry, view: CardView, signal: AbortSignal): Promise<void> {
  const key = keyOf(entry);
  let blob = await findPoster(key);
  if (!blob && !savesData()) {
    blob = await captureFrame(entry.smallestUrl, signal);
    if (blob) void keepPoster(key, blob);
  }
  if (signal.aborted && !blob) return;
  const url = blob ? URL.createObjectURL(blob) : null;
  remember(pictures, key, url); // an address of few bytes; the picture itself may stay on disk
  if (url) view.showPicture(url);
  else view.showNoPicture();
}
