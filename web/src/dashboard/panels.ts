// SPDX-License-Identifier: MIT
// The parts of the page that are no tables: figures, charts, lists. Each knows how to draw a
// snapshot.

import { columnChart, lineChart } from './charts';
import { h, setAttribute, setText } from '../shared/dom';
import * as format from './format';
import type { Compression, Snapshot, Worker } from './snapshot';

export interface Panel {
  readonly root: HTMLElement;
  draw(snapshot: Snapshot): void;
}

function card(name: string, ...content: (Node | string)[]): HTMLElement {
  const id = `card-${name.toLowerCase().replace(/\W+/g, '-')}`;
  return h('section', { class: 'card', 'aria-labelledby': id },
    h('h2', { id }, name), ...content);
}

/** Names and figures, one below the other. */
type Fact = [name: string, text: string, tone?: string];

function facts(): { root: HTMLElement; draw: (list: Fact[]) => void } {
  const root = h('dl', { class: 'facts' });
  let values: HTMLElement[] = [];
  return {
    root,
    draw(list) {
      if (list.length !== values.length) {
        values = list.map(() => h('dd'));
        root.replaceChildren(...list.map((fact, index) =>
          h('div', {}, h('dt', {}, fact[0]), values[index]!)));
      }
      list.forEach(([, text, tone], index) => {
        setText(values[index]!, text);
        setAttribute(values[index]!, 'class', tone ?? '');
      });
    },
  };
}

// ---- The head of the page

const OF_FILMS = new Set<string>(['Viewers', 'From memory']); // a proxy has none

export function figures(): Panel {
  const names = ['Viewers', 'Bit rate out', 'Connections', 'Requests a second', 'From memory',
    'Answered within'] as const;
  const values = names.map(() => h('dd'));
  const notes = names.map(() => h('dd', { class: 'note' }));
  const root = h('dl', { class: 'figures' }, ...names.map((name, index) =>
    h('div', OF_FILMS.has(name) ? { class: 'of-films' } : {}, h('dt', {}, name), values[index]!,
      notes[index]!)));
  return {
    root,
    draw({ totals, residency, latency, process }) {
      const shown: [string, string][] = [
        [format.count(totals.viewers),
          totals.titles === 1 ? 'of 1 title' : `of ${totals.titles} titles`],
        [format.bitRate(totals.bits_per_s), `${format.bytes(totals.sent_bytes)} so far`],
        [format.count(totals.connections), `${process.files} of ${process.files_max} files`],
        [format.rate(totals.requests_per_s), `${format.percent(process.cpu)} of a core`],
        [format.percent(residency.share), `${format.bytes(residency.filled_bytes)} read from disk`],
        [format.microseconds(latency.p99_us), '99 of 100 requests'],
      ];
      shown.forEach(([value, note], index) => {
        setText(values[index]!, value);
        setText(notes[index]!, note);
      });
    },
  };
}

// ---- Charts

export function traffic(): Panel {
  const bits = lineChart({
    name: 'Bit rate out', seconds: 120, height: 190, least: 1e5, format: format.bitRate,
  });
  const viewers = lineChart({
    name: 'Viewers', seconds: 120, height: 110, least: 4, format: format.count,
  });
  const root = h('section', { class: 'card wide traffic', 'aria-labelledby': 'card-traffic' },
    h('h2', { id: 'card-traffic' }, 'Bit rate out'), bits.root,
    h('div', { class: 'of-films' }, h('h2', {}, 'Viewers over time'), viewers.root));
  return {
    root,
    draw({ history }) {
      bits.draw(history.bits_per_s);
      viewers.draw(history.viewers);
    },
  };
}

export function latency(): Panel {
  const chart = columnChart(120), list = facts(), note = h('p', { class: 'note' });
  const labelled = new Set([100, 10000, 1000000]); // more would not fit
  return {
    root: card('Time to answer', chart.root, list.root, note),
    draw({ latency: { seconds, bounds_us, counts, p50_us, p90_us, p99_us } }) {
      const all = counts.reduce((sum, value) => sum + value, 0);
      const quantiles = [p50_us, p90_us, p99_us].map(format.microseconds);
      chart.draw(counts,
        bounds_us.map(value => (labelled.has(value) ? format.bound(value) : '')),
        `Requests by the time they took, ${all} in ${seconds} seconds: half within ` +
        `${quantiles[0]}, nine of ten within ${quantiles[1]}, 99 of 100 within ${quantiles[2]}`);
      list.draw([['Half within', quantiles[0]!], ['90 of 100 within', quantiles[1]!],
        ['99 of 100 within', quantiles[2]!]]);
      setText(note, `${format.count(all)} requests in ${seconds}\u202fs, until the kernel had ` +
        'the last byte: what is large takes as long as its pace');
    },
  };
}

function describe(worker: Worker): [text: string, tone: string] {
  if (worker.state === 'held') return ['held', 'bad'];
  if (worker.state === 'ended') return ['ended', 'quiet'];
  return [format.percent(worker.cpu), (worker.cpu ?? 0) > 0.9 ? 'bad' : ''];
}

export function cores(): Panel {
  const body = h('tbody');
  const grid = h('table', { class: 'cores', 'aria-labelledby': 'card-processor' },
    h('thead', {}, h('tr', {}, ...['Thread', 'Of a core', 'Conns'].map(
      (name, index) => h('th', { scope: 'col', class: index ? 'number' : 'words' }, name)))),
    body);
  const list = facts();
  let lines: HTMLElement[][] = [];
  return {
    root: card('Processor', grid, list.root),
    draw({ workers, process }) {
      if (lines.length !== workers.length) {
        lines = workers.map(() => [h('th', { scope: 'row' }), h('td', { class: 'number' }),
          h('td', { class: 'number' })]);
        body.replaceChildren(...lines.map(cells => h('tr', {}, ...cells)));
      }
      workers.forEach((worker, index) => {
        const cells = lines[index]!, [text, tone] = describe(worker);
        setText(cells[0]!, `worker ${index}`);
        setText(cells[1]!, text);
        setAttribute(cells[1]!, 'class', `number ${tone}`);
        setAttribute(cells[1]!, 'data-meter', 'on');
        cells[1]!.style.setProperty('--share', String(Math.min(worker.cpu ?? 0, 1)));
        setText(cells[2]!, format.count(worker.connections));
      });
      const ours = workers.reduce((sum, worker) => sum + (worker.cpu ?? 0), 0);
      const others = Math.max(0, process.cpu - ours);
      list.draw([['Pool and administrator', format.percent(others)],
        ['Memory', format.bytes(process.memory_bytes)]]);
    },
  };
}

// ---- Lists

function saved(compression: Compression): Fact[] {
  const { plain_bytes: plain, coded_bytes: coded } = compression;
  return [
    ['Saved by compression', `${format.bytes(plain - coded)} of ${format.bytes(plain)}`],
    ['Compressed copies', format.bytes(compression.copy_bytes)],
  ];
}

export function caches(): Panel {
  const list = facts(), root = card('Memory and caches', list.root);
  root.classList.add('of-films');
  return {
    root,
    draw({ residency, files, film_cache: films, compression }) {
      if (!films) return;
      list.draw([
        ['Sent from memory', format.percent(residency.share)],
        ['Read from disk first', format.bytes(residency.filled_bytes)],
        ['Files found open', format.percent(files.share)],
        ['Files held open', format.count(files.entries)],
        ['Film indexes', `${format.count(films.entries)}, ${format.bytes(films.bytes)}`],
        ['Indexes being read', format.count(films.building)],
        ['Segments sent', format.count(films.segments)],
        ['Put together in memory', format.bytes(films.copied_bytes)],
        ...(compression ? saved(compression) : []),
      ]);
    },
  };
}

const STATES: [key: string, name: string][] = [
  ['awaiting', 'Idle'], ['head', 'Sending a request'], ['handling', 'Being handled'],
  ['parked', 'Waiting for news'], ['sending', 'Being sent to'],
];

export function connections(): Panel {
  const list = facts();
  return {
    root: card('Connections', list.root),
    draw({ connections: states }) {
      const all = Object.values(states).reduce((sum, value) => sum + value, 0);
      const rest = STATES.reduce((sum, [key]) => sum - (states[key] ?? 0), all);
      list.draw([...STATES.map(([key, name]): Fact => [name, format.count(states[key] ?? 0)]),
        ['Ending, or between', format.count(rest)]]);
    },
  };
}

const ERRORS: [key: string, name: string][] = [
  ['status_5xx', 'Server errors (5xx)'], ['status_4xx', 'Client errors (4xx)'],
  ['unanswered', 'Broken off unanswered'], ['malformed', 'Malformed requests'],
  ['timeouts', 'Timeouts'], ['refused_connections', 'Connections refused'],
];

export function errors(): Panel {
  const list = facts();
  return {
    root: card('Errors since the start', list.root),
    draw({ errors: counts }) {
      list.draw(ERRORS.map(([key, name]): Fact => {
        const value = counts[key] ?? 0;
        const tone = key === 'status_5xx' ? 'bad' : '';
        return [name, format.count(value), value ? tone : 'quiet'];
      }));
    },
  };
}
