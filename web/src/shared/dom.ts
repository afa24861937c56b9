// SPDX-License-Identifier: MIT
// Elements from data. Names of files come from strangers: a child that is a string becomes text,
// never markup, and there is no way here to hand in markup or a style attribute (the page's
// Content-Security-Policy would refuse the latter).

export type Child = Node | string | null | false;
type Value = string | number | boolean | null | ((event: never) => void);
export type Props = Record<string, Value>;

function give(element: Element, props: Props): void {
  for (const [name, value] of Object.entries(props)) {
    if (typeof value === 'function') {
      element.addEventListener(name.replace(/^on/, ''), value as (event: Event) => void);
    } else if (value === true) {
      element.setAttribute(name, '');
    } else if (value !== false && value !== null) {
      element.setAttribute(name, String(value));
    }
  }
}

/** An element: attributes by name, listeners as `onclick`, children as nodes or text. */
export function h<K extends keyof HTMLElementTagNameMap>(
  tag: K, props: Props = {}, ...children: Child[]
): HTMLElementTagNameMap[K] {
  const element = document.createElement(tag);
  give(element, props);
  for (const child of children) {
    if (child) element.append(child);
  }
  return element;
}

/** Text that changes: written only when it does, so that nothing is announced or laid out anew. */
export function setText(element: Element, text: string): void {
  if (element.textContent !== text) element.textContent = text;
}

export function setAttribute(element: Element, name: string, value: string): void {
  if (element.getAttribute(name) !== value) element.setAttribute(name, value);
}

const SVG = 'http://www.w3.org/2000/svg';

/** Outlines on a square of 24, drawn with round strokes of 2; those in FILLED are filled. */
const ICONS = {
  play: 'M7 4.5v15l12-7.5z',
  pause: 'M7 5h3v14H7zM14 5h3v14h-3z',
  replay: 'M4 12a8 8 0 1 0 3-6.2M4 4v5h5',
  volume: 'M4 9.5v5h3.5L12 18V6L7.5 9.5zM15.5 9a4 4 0 0 1 0 6M18 6.5a8 8 0 0 1 0 11',
  muted: 'M4 9.5v5h3.5L12 18V6L7.5 9.5zM16 9.5l5 5M21 9.5l-5 5',
  subtitles: 'M4 5h16v14H4zM7.5 12h4M14.5 12h2M7.5 15.5h2M12.5 15.5h4',
  settings: 'M4 7h9M19 7h1M4 17h1M11 17h9M16 4.5v5M8 14.5v5',
  pip: 'M4 5h16v14H4zM12 12h5v4h-5z',
  fullscreen: 'M4 9V4h5M15 4h5v5M20 15v5h-5M9 20H4v-5',
  shrink: 'M9 4v5H4M20 9h-5V4M15 20v-5h5M4 15h5v5',
  back: 'M19 12H5M11 6l-6 6 6 6',
  next: 'M9 6l6 6-6 6',
  previous: 'M15 6l-6 6 6 6',
  check: 'M5 12.5l4.5 4.5L19 7.5',
  close: 'M6 6l12 12M18 6L6 18',
  search: 'M10.5 4a6.5 6.5 0 1 1 0 13 6.5 6.5 0 0 1 0-13zM15.5 15.5L20 20',
  folder: 'M3.5 6.5a1 1 0 0 1 1-1h4.6l2 2.5h8.4a1 1 0 0 1 1 1v8.5a1 1 0 0 1-1 1h-15a1 '
    + '1 0 0 1-1-1z',
  file: 'M6 3.5h8l4 4v13H6zM14 3.5v4h4',
  film: 'M4 5h16v14H4zM8 5v14M16 5v14M4 9.7h4M4 14.3h4M16 9.7h4M16 14.3h4',
  audio: 'M9 17.5V6l10-2v11.5M9 17.5a2.5 2.5 0 1 1-5 0 2.5 2.5 0 0 1 5 0zM19 15.5a'
    + '2.5 2.5 0 1 1-5 0 2.5 2.5 0 0 1 5 0z',
  live: 'M12 10.5a1.5 1.5 0 1 1 0 3 1.5 1.5 0 0 1 0-3zM8.5 15.5a5 5 0 0 1 0-7M15.5 '
    + '8.5a5 5 0 0 1 0 7M5.7 18.3a9 9 0 0 1 0-12.6M18.3 5.7a9 9 0 0 1 0 12.6',
  warning: 'M12 4L2.8 20h18.4zM12 10v4.5M12 17.2v.1',
  help: 'M12 3.5a8.5 8.5 0 1 1 0 17 8.5 8.5 0 0 1 0-17zM9.7 9.5a2.4 2.4 0 1 1 3.3 '
    + '2.2c-.7.3-1 .8-1 1.6M12 16.4v.1',
} as const;

export type IconName = keyof typeof ICONS;
const FILLED: ReadonlySet<IconName> = new Set(['play', 'pause']);

/** A drawing beside a text or inside a labelled button: it says nothing itself. */
export function icon(name: IconName): SVGSVGElement {
  const svg = document.createElementNS(SVG, 'svg');
  give(svg, { viewBox: '0 0 24 24', class: 'icon', 'aria-hidden': 'true', focusable: 'false' });
  const path = document.createElementNS(SVG, 'path');
  give(path, { d: ICONS[name] });
  if (FILLED.has(name)) path.classList.add('filled');
  svg.append(path);
  return svg;
}
