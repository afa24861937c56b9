// SPDX-License-Identifier: MIT
// The stream of snapshots. A browser comes back by itself after a connection that broke, but not
// after an answer that was none of events, nor when it does not notice: both are seen to here.

import type { Snapshot } from './snapshot';

export type Link = 'connecting' | 'on' | 'lost';

const SILENCE_MS = 4000; // four snapshots
const AGAIN_MS = 2000;

export function listen(
  url: string,
  onSnapshot: (snapshot: Snapshot) => void,
  onLink: (link: Link) => void,
): void {
  let source: EventSource;
  let silence: number | undefined;

  function expect(): void {
    window.clearTimeout(silence);
    silence = window.setTimeout(lose, SILENCE_MS);
  }

  function lose(): void {
    onLink('lost');
    source.close();
    window.clearTimeout(silence);
    silence = window.setTimeout(open, AGAIN_MS);
  }

  function open(): void {
    source = new EventSource(url);
    source.addEventListener('snapshot', event => {
      const snapshot = JSON.parse((event as MessageEvent<string>).data) as Snapshot;
      onLink('on');
      expect();
      onSnapshot(snapshot);
    });
    source.addEventListener('error', lose);
    expect();
  }

  onLink('connecting');
  open();
  // a page that was put to sleep, as phones do it, does not wait for its timers
  document.addEventListener('visibilitychange', () => {
    if (!document.hidden && source.readyState === EventSource.CLOSED) {
      window.clearTimeout(silence);
      open();
    }
  });
}
