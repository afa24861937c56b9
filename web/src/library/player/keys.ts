// SPDX-License-Identifier: MIT
// Keys and what they do: one table, for the player and for its own help.

export type Command =
  | { do: 'toggle' | 'mute' | 'fullscreen' | 'subtitles' | 'pip' | 'help' | 'back' | 'live' }
  | { do: 'seek'; byS: number } | { do: 'place'; share: number }
  | { do: 'volume'; by: number } | { do: 'speed'; by: 1 | -1 };

const COMMANDS: Record<string, Command> = {
  ' ': { do: 'toggle' }, k: { do: 'toggle' },
  ArrowLeft: { do: 'seek', byS: -5 }, ArrowRight: { do: 'seek', byS: 5 },
  j: { do: 'seek', byS: -10 }, l: { do: 'seek', byS: 10 },
  ArrowUp: { do: 'volume', by: 0.05 }, ArrowDown: { do: 'volume', by: -0.05 },
  m: { do: 'mute' }, f: { do: 'fullscreen' }, c: { do: 'subtitles' }, i: { do: 'pip' },
  '<': { do: 'speed', by: -1 }, '>': { do: 'speed', by: 1 },
  e: { do: 'live' }, '?': { do: 'help' }, Escape: { do: 'back' },
};

export const HELP: readonly (readonly [keys: string, what: string])[] = [
  ['Space or K', 'Play or pause'], ['← →', 'Back or on by 5 seconds'],
  ['J L', 'Back or on by 10 seconds'], ['↑ ↓', 'Louder or quieter'], ['M', 'Mute'],
  ['F', 'Full screen'], ['C', 'Subtitles'], ['I', 'Picture in picture'],
  ['< >', 'Slower or faster'], ['0 – 9', 'To a tenth of the film'], ['E', 'To the live edge'],
  ['Esc', 'Back to the library'],
];

/** What a key asks for; null: nothing, or what has the focus knows better. */
export function commandOf(event: KeyboardEvent): Command | null {
  if (event.altKey || event.ctrlKey || event.metaKey) return null;
  const { target, key } = event;
  const isButton = target instanceof HTMLButtonElement || target instanceof HTMLAnchorElement;
  if (isButton && (key === ' ' || key === 'Enter')) return null;
  if (target instanceof HTMLInputElement && key.startsWith('Arrow')) return null;
  if (/^[0-9]$/.test(key)) return { do: 'place', share: Number(key) / 10 };
  return COMMANDS[key] ?? COMMANDS[key.toLowerCase()] ?? null;
}
