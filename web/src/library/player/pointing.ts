// SPDX-License-Identifier: MIT
// Mouse and finger on the picture. A click plays and pauses, two go full screen; a tap shows the
// controls, two on a side seek there. Controls go after a rest, unless somebody is at them.

export interface Pointing {
  toggle: () => void;
  fullscreen: () => void;
  seek: (byS: number) => void;
  mayHide: () => boolean; // not while paused, or while a menu is open
}

const REST_MS = 3000, DOUBLE_MS = 300, STEP_S = 10;
const AT_THEM = '.row:hover, .seekbar:hover, .notice :focus-visible';

export class Controls {
  private timer = 0;
  private lastTap = 0;

  constructor(private readonly frame: HTMLElement, private readonly veil: HTMLElement,
              private readonly what: Pointing, signal: AbortSignal) {
    frame.addEventListener('pointermove', (event) => {
      if (event.pointerType !== 'touch') this.wake();
    }, { signal });
    frame.addEventListener('keydown', () => this.wake(), { signal });
    frame.addEventListener('focusin', () => this.wake(), { signal });
    veil.addEventListener('pointerup', (event) => this.onPress(event), { signal });
    veil.addEventListener('dblclick', () => {
      if (performance.now() - this.lastTap > 2 * DOUBLE_MS) what.fullscreen();
    }, { signal });
    this.wake();
  }

  /** Shows the controls, for a while. */
  wake(): void {
    this.frame.dataset.idle = 'no';
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.rest(), REST_MS);
  }

  private rest(): void {
    if (!this.what.mayHide() || this.frame.querySelector(AT_THEM)) this.wake();
    else this.frame.dataset.idle = 'yes';
  }

  private onPress(event: PointerEvent): void {
    if (event.button !== 0) return;
    if (event.pointerType === 'touch') this.onTap(event);
    else this.what.toggle();
  }

  private onTap(event: PointerEvent): void {
    const now = performance.now(), isDouble = now - this.lastTap < DOUBLE_MS;
    this.lastTap = now;
    const box = this.veil.getBoundingClientRect(), share = (event.clientX - box.left) / box.width;
    if (isDouble && (share < 0.35 || share > 0.65)) {
      this.what.seek(share < 0.5 ? -STEP_S : STEP_S);
      return;
    }
    if (this.frame.dataset.idle === 'yes') this.wake();
    else if (this.what.mayHide()) this.frame.dataset.idle = 'yes';
  }

  stop(): void {
    clearTimeout(this.timer);
  }
}
