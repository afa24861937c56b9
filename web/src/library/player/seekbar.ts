// SPDX-License-Identifier: MIT
// The time line: what was played, what is buffered, where a click would lead. A slider to
// assistive technology and to the keyboard.

import { h, setAttribute, setText } from '../../shared/dom.js';
import { clock, spokenTime } from '../../shared/format.js';

export interface TimeLine {
  start: number;
  end: number;
  time: number;
  buffered: TimeRanges;
  isLive: boolean;
}

const STEP_S = 5, PAGE_S = 60;

/** A place as the viewer reads it: from the beginning, or, live, behind the edge. */
export function placeText(line: TimeLine, time: number): string {
  return line.isLive ? `−${clock(line.end - time)}` : clock(time - line.start);
}

export class SeekBar {
  readonly element: HTMLElement;
  private readonly track = h('div', { class: 'track' });
  private readonly played = h('div', { class: 'played' });
  private readonly knob = h('div', { class: 'knob' });
  private readonly tip = h('div', { class: 'tip', hidden: true, 'aria-hidden': 'true' });
  private readonly buffers: HTMLElement[] = [];
  private line: TimeLine | null = null;
  private dragTo: number | null = null;

  constructor(private readonly seek: (time: number) => void) {
    this.track.append(this.played);
    this.element = h('div', {
      class: 'seekbar', role: 'slider', tabindex: 0, 'aria-label': 'Seek', 'aria-valuemin': 0,
      'aria-valuemax': 0, 'aria-valuenow': 0,
    }, this.track, this.knob, this.tip);
    this.element.addEventListener('pointerdown', (event) => this.onDown(event));
    this.element.addEventListener('pointermove', (event) => this.onMove(event));
    this.element.addEventListener('pointerup', (event) => this.onUp(event));
    this.element.addEventListener('pointercancel', () => this.letGo());
    this.element.addEventListener('pointerleave', () => {
      if (this.dragTo === null) this.tip.hidden = true;
    });
    this.element.addEventListener('keydown', (event) => this.onKey(event));
  }

  /** Whether the viewer holds the knob: the time shown is then where it would lead. */
  heldAt(): number | null {
    return this.dragTo;
  }

  show(line: TimeLine): void {
    this.line = line;
    const length = line.end - line.start, at = this.dragTo ?? line.time;
    const share = length > 0 ? Math.min(1, Math.max(0, (at - line.start) / length)) : 0;
    this.played.style.transform = `scaleX(${share})`;
    this.knob.style.left = `${share * 100}%`;
    this.showBuffers(line, length);
    setAttribute(this.element, 'aria-valuemax', String(Math.floor(length)));
    setAttribute(this.element, 'aria-valuenow', String(Math.floor(share * length)));
    setAttribute(this.element, 'aria-valuetext', line.isLive
      ? `${spokenTime(line.end - at)} behind live`
      : `${spokenTime(at - line.start)} of ${spokenTime(length)}`);
  }

  private showBuffers({ buffered, start }: TimeLine, length: number): void {
    while (this.buffers.length < buffered.length) {
      const buffer = h('div', { class: 'buffer' });
      this.buffers.push(buffer);
      this.track.prepend(buffer);
    }
    this.buffers.forEach((buffer, index) => {
      const isThere = index < buffered.length && length > 0;
      buffer.hidden = !isThere;
      if (!isThere) return;
      const from = Math.max(0, (buffered.start(index) - start) / length);
      const to = Math.min(1, (buffered.end(index) - start) / length);
      buffer.style.left = `${from * 100}%`;
      buffer.style.width = `${Math.max(0, to - from) * 100}%`;
    });
  }

  private timeAt(event: PointerEvent): number {
    const box = this.track.getBoundingClientRect(), { start, end } = this.line!;
    const share = Math.min(1, Math.max(0, (event.clientX - box.left) / box.width));
    return start + share * (end - start);
  }

  private onDown(event: PointerEvent): void {
    if (!this.line || event.button !== 0) return;
    this.element.setPointerCapture(event.pointerId);
    this.dragTo = this.timeAt(event);
    this.showTip(event);
    this.show(this.line);
  }

  private onMove(event: PointerEvent): void {
    if (!this.line) return;
    if (this.dragTo !== null) {
      this.dragTo = this.timeAt(event);
      this.show(this.line);
    }
    if (event.pointerType !== 'touch' || this.dragTo !== null) this.showTip(event);
  }

  private onUp(event: PointerEvent): void {
    if (this.dragTo === null) return;
    this.seek(this.timeAt(event));
    this.letGo();
  }

  private letGo(): void {
    this.dragTo = null;
    this.tip.hidden = true;
  }

  private showTip(event: PointerEvent): void {
    const box = this.track.getBoundingClientRect();
    setText(this.tip, placeText(this.line!, this.timeAt(event)));
    this.tip.hidden = false;
    const half = this.tip.offsetWidth / 2;
    const x = Math.min(box.width - half, Math.max(half, event.clientX - box.left));
    this.tip.style.left = `${x}px`;
  }

  private onKey(event: KeyboardEvent): void {
    if (!this.line || event.altKey || event.ctrlKey || event.metaKey) return;
    const { start, end, time } = this.line;
    const places: Record<string, number> = {
      ArrowRight: time + STEP_S, ArrowUp: time + STEP_S, ArrowLeft: time - STEP_S,
      ArrowDown: time - STEP_S, PageUp: time + PAGE_S, PageDown: time - PAGE_S,
      Home: start, End: end,
    };
    const place = places[event.key];
    if (place === undefined) return;
    event.preventDefault();
    event.stopPropagation();
    this.seek(place);
  }
}
