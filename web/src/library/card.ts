// SPDX-License-Identifier: MIT
// A film on the shelf, and a channel in the row above it: a picture, a name, some facts, one link.

import type { Channel, Entry, Info } from './api.js';
import { titleOf } from './browse.js';
import { learn } from './details.js';
import { shareWatched } from './player/memory.js';
import { hashOf } from './route.js';
import { h, icon, setText } from '../shared/dom.js';
import { clock, codecNames, resolution, since, size, spokenTime } from '../shared/format.js';

function factsOf(entry: Entry, info: Info | null): string {
  const facts = [];
  if (info && info.width > 0) facts.push(resolution(info.width, info.height));
  const [codec] = codecNames(info?.codecs ?? ''); // the picture's, if there is one
  if (codec !== undefined) facts.push(codec);
  if (entry.size > 0) facts.push(size(entry.size)); // a link's is not told
  return facts.join(' · ');
}

/** Fills `holder` with a film's card. */
export function renderFilm(entry: Entry, holder: HTMLElement, signal: AbortSignal): HTMLElement {
  const title = titleOf(entry.name);
  const length = h('span', { class: 'length', hidden: true });
  const spoken = h('span', { class: 'hidden-text' });
  const facts = h('span', { class: 'facts' }, factsOf(entry, null));
  const poster = h('span', { class: 'poster' }, icon('film'), length);
  const link = h('a', { class: 'card', href: hashOf('play', entry.name), title: entry.name },
    h('span', { class: 'name' }, title), spoken, facts, poster);
  holder.append(link);

  const watched = shareWatched(entry.url);
  if (watched > 0) {
    const bar = h('span', { class: 'watched' });
    bar.style.width = `${Math.round(watched * 100)}%`;
    poster.append(bar, h('span', { class: 'hidden-text' }, 'partly watched'));
  }
  learn(entry, {
    showInfo: (info) => {
      setText(facts, factsOf(entry, info));
      if (info.durationS <= 0) return;
      setText(length, clock(info.durationS));
      length.hidden = false;
      length.setAttribute('aria-hidden', 'true');
      setText(spoken, spokenTime(info.durationS));
      if (info.width === 0) poster.querySelector('.icon')?.replaceWith(icon('audio'));
    },
    showPicture: (url) => showPicture(poster, url, signal),
    showNoPicture: () => poster.classList.add('bare'),
  }, signal);
  return link;
}

function showPicture(poster: HTMLElement, url: string, signal: AbortSignal): void {
  const image = h('img', { alt: '', decoding: 'async' });
  image.addEventListener('load', () => {
    if (signal.aborted) return;
    if (image.naturalHeight > image.naturalWidth) image.classList.add('upright');
    poster.querySelector('img')?.remove();
    poster.prepend(image);
  });
  image.addEventListener('error', () => poster.classList.add('bare'));
  image.src = url;
}

/** A channel's card, which changes in place. */
export class ChannelCard {
  readonly element: HTMLLIElement;
  private readonly badge = h('span', { class: 'badge' });
  private readonly facts = h('span', { class: 'facts' });

  constructor(channel: Channel) {
    this.element = h('li', {}, h('a', { class: 'card', href: hashOf('live', channel.name) },
      h('span', { class: 'name' }, channel.name), this.facts,
      h('span', { class: 'poster channel' }, icon(channel.hasVideo ? 'live' : 'audio'),
        this.badge)));
    this.show(channel);
  }

  show(channel: Channel): void {
    const words = { live: 'Live', stalled: 'Interrupted', ended: 'Ended' };
    setText(this.badge, words[channel.state]);
    this.badge.dataset.state = channel.state;
    const facts = [];
    if (channel.sinceMs > 0) facts.push(since(channel.sinceMs, Date.now()));
    if (channel.height > 0) facts.push(resolution(channel.width, channel.height));
    setText(this.facts, facts.join(' · '));
  }
}
