// SPDX-License-Identifier: MIT
// Small charts, drawn anew with each snapshot. Each is an image with a sentence that says what it
// shows; its figures stand beside it as text.

import { h, setAttribute, setText } from '../shared/dom';

function shape<K extends keyof SVGElementTagNameMap>(
  tag: K, attributes: Record<string, string | number> = {},
): SVGElementTagNameMap[K] {
  const made = document.createElementNS('http://www.w3.org/2000/svg', tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, String(value));
  return made;
}

/** Tops of scales, as multiples of a power of ten, and in how many parts each falls well. */
const TOPS = [[1, 4], [2, 4], [3, 3], [4, 4], [5, 5], [6, 3], [8, 4], [10, 4]] as const;

function scaleFor(highest: number): [top: number, ticks: number] {
  const power = 10 ** Math.floor(Math.log10(highest));
  const [multiple, ticks] = TOPS.find(([step]) => step * power >= highest) ?? TOPS[7];
  return [multiple * power, ticks];
}

/** "50.0 Mb/s" of a measurement is "50 Mb/s" of a scale. */
const roundly = (text: string) => text.replace(/(\.\d*?)0+(?!\d)/, '$1').replace(/\.(?!\d)/, '');

function areaOf(points: [number, number][], base: number): [line: string, area: string] {
  if (points.length === 0) return ['', ''];
  const line = points.map(([x, y], index) => `${index ? 'L' : 'M'}${x.toFixed(1)} ${y.toFixed(1)}`);
  const first = points[0]![0].toFixed(1), last = points[points.length - 1]![0].toFixed(1);
  return [line.join(''), `${line.join('')}L${last} ${base}L${first} ${base}Z`];
}

export interface Line {
  readonly root: HTMLElement;
  draw(values: number[]): void;
}

const AXIS = 20; // pixels below, for the times

/** A value a second, the newest at the right edge. */
export function lineChart(options: {
  name: string;
  seconds: number;
  height: number;
  least: number; // that the scale reaches to: noise is not to look like a peak
  format: (value: number) => string;
}): Line {
  const { seconds, height, format } = options;
  const drawing = shape('svg', { role: 'img', height, class: 'line-chart' });
  const grid = shape('g', { class: 'rules' });
  const area = shape('path', { class: 'area' });
  const line = shape('path', { class: 'line' });
  const mark = shape('g', { class: 'mark', visibility: 'hidden' });
  const markLine = shape('line', { y1: 0, y2: height - AXIS });
  const markDot = shape('circle', { r: 3.5 });
  mark.append(markLine, markDot);
  drawing.append(grid, area, line, mark);
  const reading = h('output', { class: 'reading', 'aria-live': 'off' });
  const root = h('div', { class: 'chart' }, drawing, reading);
  let values: number[] = [], width = 0, top = 1, ticks = 1, pointer: number | undefined;

  const xOf = (index: number) => width * (1 - (values.length - 1 - index) / (seconds - 1));
  const yOf = (value: number) => (height - AXIS) * (1 - value / top);

  function drawGrid(): void {
    const parts: SVGElement[] = [];
    for (let tick = 0; tick <= ticks; tick++) {
      const value = (top * tick) / ticks, y = Math.round(yOf(value)) + (tick ? 0.5 : -0.5);
      parts.push(shape('line', { x1: 0, x2: width, y1: y, y2: y }));
      if (tick === 0) continue;
      const label = shape('text', { x: 0, y: y + 13 });
      label.textContent = roundly(format(value));
      parts.push(label);
    }
    for (const ago of [seconds, seconds / 2, 0]) {
      const anchor = ago === seconds ? 'start' : ago ? 'middle' : 'end';
      const x = width * (1 - ago / seconds);
      const label = shape('text', { x, y: height - 4, 'text-anchor': anchor });
      label.textContent = ago ? `−${ago}\u202fs` : 'now';
      parts.push(label);
    }
    grid.replaceChildren(...parts);
  }

  function drawMark(): void {
    const index = pointer === undefined ? -1
      : Math.round(values.length - 1 - (1 - pointer / width) * (seconds - 1));
    const value = values[index];
    setAttribute(mark, 'visibility', value === undefined ? 'hidden' : 'visible');
    if (value === undefined) {
      setText(reading, '');
      return;
    }
    for (const end of ['x1', 'x2']) markLine.setAttribute(end, String(xOf(index)));
    markDot.setAttribute('cx', String(xOf(index)));
    markDot.setAttribute('cy', String(yOf(value)));
    setText(reading, `${format(value)}, ${values.length - 1 - index}\u202fs ago`);
  }

  function redraw(): void {
    if (width === 0) return;
    [top, ticks] = scaleFor(Math.max(options.least, ...values));
    // a low chart has room for few: each second one, if that comes out even
    if (height < 150 && ticks % 2 === 0) ticks /= 2;
    drawGrid();
    const points = values.map((value, index): [number, number] => [xOf(index), yOf(value)]);
    const [stroke, fill] = areaOf(points, height - AXIS);
    line.setAttribute('d', stroke);
    area.setAttribute('d', fill);
    drawMark();
    const now = values[values.length - 1] ?? 0;
    drawing.setAttribute('aria-label', `${options.name} of the last ${values.length} seconds: ` +
      `now ${format(now)}, highest ${format(Math.max(0, ...values))}, ` +
      `lowest ${format(values.length ? Math.min(...values) : 0)}`);
  }

  new ResizeObserver(() => {
    width = root.clientWidth;
    drawing.setAttribute('width', String(width));
    redraw();
  }).observe(root);
  drawing.addEventListener('pointermove', event => {
    pointer = event.clientX - drawing.getBoundingClientRect().left;
    drawMark();
  });
  drawing.addEventListener('pointerleave', () => {
    pointer = undefined;
    drawMark();
  });
  return {
    root,
    draw(newValues) {
      values = newValues;
      redraw();
    },
  };
}

export interface Columns {
  readonly root: HTMLElement;
  /** Heights relative to the highest; labels[index] stands below the right edge of that column. */
  draw(values: number[], labels: string[], sentence: string): void;
}

export function columnChart(height: number): Columns {
  const drawing = shape('svg', { role: 'img', height, class: 'column-chart' });
  const root = h('div', { class: 'chart' }, drawing);
  let values: number[] = [], labels: string[] = [], width = 0;

  function redraw(): void {
    if (width === 0 || values.length === 0) return;
    const step = width / values.length, base = height - AXIS, most = Math.max(1, ...values);
    const parts: SVGElement[] = [];
    values.forEach((value, index) => {
      const tall = value === 0 ? 1 : Math.max(2, (base * value) / most);
      parts.push(shape('rect', { class: value ? 'column' : 'column empty', x: index * step + 1,
        y: base - tall, width: Math.max(step - 2, 1), height: tall, rx: 1.5 }));
      if (!labels[index]) return;
      const x = (index + 1) * step;
      const label = shape('text', { x, y: height - 4, 'text-anchor': 'middle' });
      label.textContent = labels[index]!;
      parts.push(label);
    });
    drawing.replaceChildren(...parts);
  }

  new ResizeObserver(() => {
    width = root.clientWidth;
    drawing.setAttribute('width', String(width));
    redraw();
  }).observe(root);
  return {
    root,
    draw(newValues, newLabels, sentence) {
      values = newValues;
      labels = newLabels;
      setAttribute(drawing, 'aria-label', sentence);
      redraw();
    },
  };
}
