// SPDX-License-Identifier: MIT
// What plays is in the address (#play=film.mp4, #live=camera): back closes it, a link opens it.

export type Route = { kind: 'play' | 'live'; name: string } | { kind: 'none' };

export function routeOf(hash: string): Route {
  const match = /^#(play|live)=(.+)$/.exec(hash);
  if (!match) return { kind: 'none' };
  try {
    return { kind: match[1] as 'play' | 'live', name: decodeURIComponent(match[2]!) };
  } catch {
    return { kind: 'none' };
  }
}

export function hashOf(kind: 'play' | 'live', name: string): string {
  return `#${kind}=${encodeURIComponent(name)}`;
}

/** Closes what plays: back, if the page itself led here, so that the history does not grow. */
export function leave(cameFromPage: boolean): void {
  if (cameFromPage) {
    history.back();
  } else {
    history.replaceState(null, '', location.pathname + location.search);
    dispatchEvent(new HashChangeEvent('hashchange'));
  }
}
