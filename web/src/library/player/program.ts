// SPDX-License-Identifier: MIT
// What is to be played, as the library names it.

import type { Entry } from '../api.js';
import { titleOf } from '../browse.js';

export interface Sidecar { url: string; language: string }

export interface Program {
  title: string;
  key: string; // the address under which the place is remembered
  streamUrl: string | null; // HLS
  fileUrl: string | null; // the film itself; null: there is none (live)
  aboutUrl: string | null; // below it: what is known of the film, and its subtitles
  sidecars: Sidecar[]; // subtitles that lie beside a film which is not streamed
  isLive: boolean;
}

/** film.vtt and film.en.vtt beside film.webm. */
export function sidecarsOf(filmName: string, entries: readonly Entry[]): Sidecar[] {
  const stem = `${titleOf(filmName)}.`;
  return entries
    .filter(({ kind, name }) => kind === 'file' && name.startsWith(stem) && /\.vtt$/i.test(name))
    .map(({ name, url }) => ({ url, language: name.slice(stem.length, -4) || 'und' }));
}
