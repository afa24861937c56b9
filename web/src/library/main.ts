// SPDX-License-Identifier: MIT
// The page of a folder: the library, and over it the player of what the address names.

import './library.css';
import type { Entry } from './api.js';
import { channelUrl } from './api.js';
import { titleOf } from './browse.js';
import { ChannelWatch } from './channels.js';
import { Library } from './page.js';
import { warmUp } from './player/hls_engine.js';
import { Player } from './player/player.js';
import type { Program } from './player/program.js';
import { sidecarsOf } from './player/program.js';
import type { Route } from './route.js';
import { hashOf, leave, routeOf } from './route.js';

const base = new URL('.', location.href).href;
// This script is ROOT/.leat/library.js, whatever ROOT is.
const root = new URL(/* @vite-ignore */ '../', import.meta.url).href;
const channels = new ChannelWatch(root);
const library = new Library(base, root, channels);
let player: Player | null = null;
let cameFromPage = false;

function filmProgram(name: string): Program {
  const listed = library.film(name);
  const url = listed?.url ?? new URL(encodeURIComponent(name), base).href;
  const entry: Entry = listed ?? { // a link to what is not listed: played if it is there
    name, kind: 'film', size: 0, mtimeMs: 0, url, smallestUrl: url,
    aboutUrl: url, streamUrl: `${url}/master.m3u8`,
  };
  return {
    title: titleOf(entry.name), key: entry.url, streamUrl: entry.streamUrl, fileUrl: entry.url,
    isLive: false, aboutUrl: entry.aboutUrl,
    sidecars: entry.streamUrl ? [] : sidecarsOf(entry.name, library.entries()),
  };
}

function liveProgram(name: string): Program {
  const streamUrl = channelUrl(root, name);
  return {
    title: name, key: streamUrl, streamUrl, fileUrl: null, isLive: true, aboutUrl: null,
    sidecars: [],
  };
}

function programOf(route: Route): Program | null {
  if (route.kind === 'none') return null;
  return route.kind === 'play' ? filmProgram(route.name) : liveProgram(route.name);
}

/** Where the focus goes once the player is closed: to the card it was opened from. */
function giveBackFocus(href: string): void {
  const cards = document.querySelectorAll<HTMLElement>('a.card');
  [...cards].find((card) => card.getAttribute('href') === href)?.focus();
}

let played = '';

function follow(): void {
  const route = routeOf(location.hash), program = programOf(route);
  player?.close();
  player = null;
  if (program && route.kind !== 'none') {
    played = hashOf(route.kind, route.name);
    player = new Player(program, channels, () => leave(cameFromPage));
    player.open();
  } else if (played !== '') {
    library.refresh();
    giveBackFocus(played);
    played = '';
    cameFromPage = false;
  }
}

document.addEventListener('click', (event) => {
  const link = event.target instanceof Element ? event.target.closest('a.card') : null;
  if (link && !event.ctrlKey && !event.metaKey && !event.shiftKey) cameFromPage = true;
});
document.addEventListener('pointerover', (event) => {
  if (event.target instanceof Element && event.target.closest('a.card')) warmUp();
}, { passive: true });

void library.open(document.getElementById('app') ?? document.createElement('div')).then(() => {
  addEventListener('hashchange', follow);
  follow();
});
