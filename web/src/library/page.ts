// SPDX-License-Identifier: MIT
// The library: the way here, search, order, and below what the folder holds. It takes the place
// of the plain list that the server sent once it has something to show.

import type { Entry, Listing } from './api.js';
import { fetchListing, ServerError } from './api.js';
import type { Found, Order } from './browse.js';
import { Folder, isOrder, ORDERS } from './browse.js';
import { renderFilm } from './card.js';
import type { ChannelWatch } from './channels.js';
import { LiveRow } from './channels.js';
import type { Shape } from './grid.js';
import { Grid } from './grid.js';
import { h, icon, setText } from '../shared/dom.js';
import { counted, size } from '../shared/format.js';
import { load, save } from '../shared/store.js';

const SETTINGS = 'leat:library';
const CARD_PX = 230, NARROW_CARD_PX = 150, CARD_TEXT_PX = 88, ROW_PX = 48;

function filmShape(width: number): Shape {
  const isNarrow = width < 560, gap = isNarrow ? 12 : 20;
  const wanted = isNarrow ? NARROW_CARD_PX : CARD_PX;
  const columns = Math.max(1, Math.floor((width + gap) / (wanted + gap)));
  const card = (width - gap * (columns - 1)) / columns;
  return { columns, gap, rowHeight: Math.round(card * 9 / 16) + CARD_TEXT_PX };
}

function folderShape(width: number): Shape {
  const columns = Math.max(1, Math.floor((width + 12) / 252));
  return { columns, gap: 12, rowHeight: 60 };
}

const fileShape = (): Shape => ({ columns: 1, gap: 0, rowHeight: ROW_PX });

function renderFolder(entry: Entry, holder: HTMLElement): HTMLElement {
  const link = h('a', { class: 'folder', href: entry.url, title: entry.name },
    icon('folder'), h('span', { class: 'name' }, entry.name));
  holder.append(link);
  return link;
}

function renderFile(entry: Entry, holder: HTMLElement): HTMLElement {
  const changed = entry.mtimeMs > 0 ? new Date(entry.mtimeMs).toLocaleDateString() : '';
  const link = h('a', { class: 'file', href: entry.url }, icon('file'),
    h('span', { class: 'name' }, entry.name), h('span', { class: 'date' }, changed),
    h('span', { class: 'size' }, size(entry.size)));
  holder.append(link);
  return link;
}

interface Shelf<T> { grid: Grid<T>; section: HTMLElement; count: HTMLElement }

function shelfOf<T>(title: string, className: string, shape: (width: number) => Shape,
                    render: (item: T, holder: HTMLElement, signal: AbortSignal) => HTMLElement,
): Shelf<T> {
  const count = h('span', { class: 'count' });
  const grid = new Grid<T>({ label: title, className, shape, render });
  return { grid, count, section: h('section', { hidden: true },
    h('h2', {}, title, ' ', count), grid.element) };
}

function whatWentWrong(error: unknown): string {
  const status = error instanceof ServerError ? error.status : 0;
  if (status === 404) return 'This folder is not there any more.';
  if (status === 403) return 'This folder may not be read.';
  if (status >= 500) return 'The server could not read this folder.';
  return 'The server does not answer.';
}

export class Library {
  private folder = new Folder([]);
  private order: Order = 'name';
  private readonly folders = shelfOf<Entry>('Folders', 'folders', folderShape, renderFolder);
  private readonly films = shelfOf<Entry>('Films', 'films', filmShape, renderFilm);
  private readonly files = shelfOf<Entry>('Other files', 'files', fileShape, renderFile);
  private readonly search = h('input', {
    type: 'search', placeholder: 'Search this folder', 'aria-label': 'Search this folder',
    autocomplete: 'off', spellcheck: 'false', enterkeyhint: 'search',
  });
  private readonly sort = h('select', { 'aria-label': 'Sort by' },
    ...Object.entries(ORDERS).map(([value, name]) => h('option', { value }, name)));
  private readonly message = h('div', { class: 'message', hidden: true });
  private readonly note = h('p', { class: 'note', hidden: true });
  private readonly status = h('p', { class: 'hidden-text', role: 'status' });
  private readonly live = new LiveRow((text) => setText(this.status, text));
  private listing: Listing | null = null;
  private announceTimer = 0;

  constructor(private readonly base: string, private readonly root: string,
              private readonly channels: ChannelWatch) {}

  /** Fetches the folder and takes the place of what `app` stands among. */
  async open(app: HTMLElement): Promise<void> {
    await this.fetch();
    app.replaceChildren(this.header(), h('main', {}, this.message, this.live.element,
      this.folders.section, this.films.section, this.files.section, this.note), this.status);
    document.body.replaceChildren(app);
    this.listen();
    this.show();
  }

  entries(): readonly Entry[] {
    return this.listing?.entries ?? [];
  }

  /** The film of that name here, or null. */
  film(name: string): Entry | null {
    return this.entries().find((entry) => entry.kind === 'film' && entry.name === name) ?? null;
  }

  /** Draws the cards anew: what was watched has changed. */
  refresh(): void {
    this.show();
  }

  private async fetch(): Promise<void> {
    this.message.hidden = true;
    try {
      this.listing = await fetchListing(this.base);
      this.folder = new Folder(this.listing.entries);
      if (this.listing.hasLive) this.channels.listen((now) => this.live.show(now));
    } catch (error) {
      this.listing = null;
      this.tell('warning', whatWentWrong(error), 'Try again', () => void this.retry());
    }
  }

  private async retry(): Promise<void> {
    await this.fetch();
    this.show();
  }

  private header(): HTMLElement {
    const from = new URL(this.root).pathname, here = new URL(this.base).pathname;
    const parts = here.slice(from.length).split('/').filter((part) => part !== '');
    const names = ['Library', ...parts.map((part) => {
      try {
        return decodeURIComponent(part);
      } catch {
        return part;
      }
    })];
    const crumbs = h('ol', {});
    names.forEach((name, depth) => {
      const isHere = depth === names.length - 1;
      const path = from + parts.slice(0, depth).map((part) => `${part}/`).join('');
      crumbs.append(h('li', {}, isHere ? h('h1', { 'aria-current': 'page' }, name)
        : h('a', { href: path }, name)));
    });
    document.title = names[names.length - 1]!;
    const { order } = load(SETTINGS);
    if (isOrder(order)) this.order = order;
    this.sort.value = this.order;
    return h('header', { class: 'bar' }, h('nav', { 'aria-label': 'Folders above' }, crumbs),
      h('div', { class: 'tools', role: 'search' },
        h('label', { class: 'field' }, icon('search'), this.search), this.sort));
  }

  private listen(): void {
    this.search.addEventListener('input', () => {
      scrollTo({ top: 0 });
      this.show();
    });
    this.search.addEventListener('keydown', (event) => {
      if (event.key !== 'Escape' || this.search.value === '') return;
      event.preventDefault();
      this.search.value = '';
      this.show();
    });
    this.sort.addEventListener('change', () => {
      if (isOrder(this.sort.value)) this.order = this.sort.value;
      save(SETTINGS, { order: this.order });
      this.show();
    });
    addEventListener('keydown', (event) => {
      if (event.key !== '/' || event.ctrlKey || event.metaKey || event.altKey) return;
      if (event.target instanceof HTMLInputElement || document.querySelector('dialog')) return;
      event.preventDefault();
      this.search.focus();
    });
  }

  private show(): void {
    if (!this.listing) return;
    const query = this.search.value.trim(), found = this.folder.find(query, this.order);
    this.fill(this.folders, found.folders);
    this.fill(this.films, found.films);
    this.fill(this.files, found.files);
    const count = found.folders.length + found.films.length + found.files.length;
    this.message.hidden = true;
    if (count === 0 && query !== '') this.tell('search', `Nothing here is called “${query}”.`);
    if (count === 0 && query === '') this.tell('folder', 'There is nothing in this folder yet.');
    setText(this.note, this.listing.isTruncated
      ? 'There are more entries in this folder than are listed here.' : '');
    this.note.hidden = !this.listing.isTruncated;
    if (query !== '') this.announce(found);
  }

  private fill(shelf: Shelf<Entry>, entries: Entry[]): void {
    shelf.section.hidden = entries.length === 0;
    setText(shelf.count, entries.length.toLocaleString());
    shelf.grid.set(entries);
  }

  /** Says once typing rests what was found. */
  private announce(found: Found): void {
    clearTimeout(this.announceTimer);
    const { folders, films, files } = found;
    const counts = [counted(films.length, 'film'), counted(folders.length, 'folder'),
      counted(files.length, 'other file')];
    const text = counts.filter((count) => !count.startsWith('0')).join(', ') || 'Nothing found';
    this.announceTimer = setTimeout(() => setText(this.status, text), 600);
  }

  private tell(what: 'warning' | 'search' | 'folder', text: string, action = '',
               act: () => void = () => undefined): void {
    const button = action === '' ? null : h('button', { type: 'button', class: 'primary' }, action);
    button?.addEventListener('click', act);
    this.message.replaceChildren(icon(what), h('p', { role: 'status' }, text));
    if (button) this.message.append(button);
    this.message.hidden = false;
  }
}
