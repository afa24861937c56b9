// SPDX-License-Identifier: MIT
// Subtitles, drawn by the page: large enough, out of the way of the controls, and the same for
// files and streams. The browser still parses them, and what it returns holds no foreign markup.

import { h } from '../../shared/dom.js';

export class Captions {
  readonly element = h('div', { class: 'captions' });
  private readonly top = h('div', { class: 'upper' });
  private readonly bottom = h('div', { class: 'lower' });
  private track: TextTrack | null = null;
  private readonly draw = () => this.drawCues();

  constructor(private readonly video: HTMLVideoElement, signal: AbortSignal) {
    this.element.append(this.top, this.bottom);
    const follow = () => this.follow();
    for (const event of ['addtrack', 'removetrack', 'change']) {
      video.textTracks.addEventListener(event, follow, { signal });
    }
  }

  private follow(): void {
    const tracks = [...this.video.textTracks].filter((track) =>
      (track.kind === 'subtitles' || track.kind === 'captions') && track.mode !== 'disabled');
    const track = tracks[0] ?? null;
    if (track?.mode === 'showing') track.mode = 'hidden';
    if (track === this.track) return;
    this.track?.removeEventListener('cuechange', this.draw);
    this.track = track;
    track?.addEventListener('cuechange', this.draw);
    this.drawCues();
  }

  private drawCues(): void {
    this.top.replaceChildren();
    this.bottom.replaceChildren();
    for (const cue of this.track?.activeCues ?? []) {
      if (!(cue instanceof VTTCue)) continue;
      const isUpper = typeof cue.line === 'number'
        && (cue.snapToLines ? cue.line >= 0 && cue.line < 5 : cue.line < 40);
      const line = h('p', {}, h('span', { dir: 'auto' }, cue.getCueAsHTML()));
      (isUpper ? this.top : this.bottom).append(line);
    }
  }
}
