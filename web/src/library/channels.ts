// SPDX-License-Identifier: MIT
// The channels on air, asked for while somebody looks at the page.

import type { Channel } from './api.js';
import { fetchChannels } from './api.js';
import { ChannelCard } from './card.js';
import { h } from '../shared/dom.js';

const EVERY_MS = 2000, AT_MOST_MS = 30000; // the latter while the server does not answer

type Listener = (channels: readonly Channel[]) => void;

/** Asks every two seconds, and tells what is on air. */
export class ChannelWatch {
  private readonly listeners = new Set<Listener>();
  private waitMs = EVERY_MS;
  private timer = 0;
  private isAsking = false;

  constructor(private readonly root: string) {
    document.addEventListener('visibilitychange', () => this.look());
  }

  listen(listener: Listener): () => void {
    this.listeners.add(listener);
    this.look();
    return () => { this.listeners.delete(listener); };
  }

  private look(): void {
    clearTimeout(this.timer);
    if (document.hidden || this.isAsking || this.listeners.size === 0) return;
    void this.ask();
  }

  private async ask(): Promise<void> {
    this.isAsking = true;
    try {
      const channels = await fetchChannels(this.root);
      this.waitMs = EVERY_MS;
      for (const listener of [...this.listeners]) listener(channels);
    } catch {
      this.waitMs = Math.min(AT_MOST_MS, this.waitMs * 2);
    }
    this.isAsking = false;
    this.timer = setTimeout(() => this.look(), this.waitMs);
  }
}

/** "Live now": there while something is, gone when nothing is. */
export class LiveRow {
  readonly element: HTMLElement;
  private readonly list = h('ul', { class: 'channels', role: 'list', 'aria-labelledby': 'live' });
  private readonly cards = new Map<string, ChannelCard>();
  private hasAnswer = false;

  constructor(private readonly announce: (text: string) => void) {
    this.element = h('section', { class: 'live-now', hidden: true },
      h('h2', { id: 'live' }, 'Live now'), this.list);
  }

  show(channels: readonly Channel[]): void {
    const onAir = channels.filter((channel) => channel.state !== 'ended');
    const names = new Set(onAir.map((channel) => channel.name));
    for (const [name, card] of this.cards) {
      if (names.has(name)) continue;
      card.element.remove();
      this.cards.delete(name);
      this.announce(`${name} is no longer live`);
    }
    for (const channel of onAir) this.showOne(channel);
    this.element.hidden = onAir.length === 0;
    this.hasAnswer = true;
  }

  private showOne(channel: Channel): void {
    const card = this.cards.get(channel.name);
    if (card) {
      card.show(channel);
      return;
    }
    const made = new ChannelCard(channel);
    this.cards.set(channel.name, made);
    this.list.append(made.element);
    if (this.hasAnswer) this.announce(`${channel.name} is live now`);
  }
}
