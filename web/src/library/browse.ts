// SPDX-License-Identifier: MIT
// Which of a folder's entries are shown, in which order. Pure: no page here.

import type { Entry } from './api.js';

export const ORDERS = { name: 'Name', newest: 'Newest', size: 'Largest' } as const;
export type Order = keyof typeof ORDERS;

export function isOrder(value: unknown): value is Order {
  return typeof value === 'string' && Object.keys(ORDERS).includes(value);
}

/** Letters without case and marks: "Mühle" is found by "muhle". */
export function plain(text: string): string {
  return text.normalize('NFKD').replace(/\p{M}+/gu, '').toLowerCase();
}

export interface Found { folders: Entry[]; films: Entry[]; files: Entry[] }

export class Folder {
  private readonly byName: { entry: Entry; plain: string }[];

  constructor(entries: readonly Entry[]) {
    const { compare } = new Intl.Collator(undefined, { numeric: true, sensitivity: 'base' });
    this.byName = entries.map((entry) => ({ entry, plain: plain(entry.name) }));
    this.byName.sort((a, b) => compare(a.entry.name, b.entry.name));
  }

  /** Entries whose name holds every word of `query`. */
  find(query: string, order: Order): Found {
    const words = plain(query).split(/\s+/).filter((word) => word !== '');
    const found = this.byName.filter((it) => words.every((word) => it.plain.includes(word)))
      .map((it) => it.entry);
    if (order === 'newest') found.sort((a, b) => b.mtimeMs - a.mtimeMs);
    if (order === 'size') found.sort((a, b) => b.size - a.size);
    const of = (kind: Entry['kind']) => found.filter((entry) => entry.kind === kind);
    return { folders: of('folder'), films: of('film'), files: of('file') };
  }
}

/** A film's name without what only says how it is stored. */
export function titleOf(name: string): string {
  return name.replace(/\.(mp4|m4v|mov|mkv|webm|3gp|m4a|mp3|ogg|opus|flac|wav|avi|ts)$/i, '');
}
