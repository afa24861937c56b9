// SPDX-License-Identifier: MIT
// The browser's own player: for plain files, and for streams where there is no MediaSource.

import type { Choice, Engine, EngineEvents } from './engine.js';
import { NO_RANGE } from './engine.js';
import { habits } from './memory.js';
import type { Cause } from './problems.js';
import { causeOfStatus } from './problems.js';
import type { Program } from './program.js';
import { fetchInfo } from '../api.js';
import { languageName } from '../../shared/format.js';

const AT_EDGE_S = 10; // of a browser's own HLS, which stays some segments behind

export class NativeEngine implements Engine {
  private readonly gone = new AbortController();

  constructor(private readonly video: HTMLVideoElement, private readonly program: Program,
              private readonly url: string, startS: number, private readonly events: EngineEvents) {
    const { signal } = this.gone;
    video.addEventListener('error', () => void this.explain(), { signal });
    video.addEventListener('loadedmetadata', () => {
      if (startS > 0) video.currentTime = startS;
      events.changed();
    }, { signal });
    video.src = url;
    if (program.aboutUrl && url === program.fileUrl) void this.addSubtitles(program.aboutUrl);
  }

  /** Those beside the film: a stream brings them along, a file does not. */
  private async addSubtitles(aboutUrl: string): Promise<void> {
    const { signal } = this.gone;
    const info = await fetchInfo(aboutUrl, signal).catch(() => null);
    if (signal.aborted) return;
    const sidecars = [...this.program.sidecars, ...(info?.subtitles ?? []).map((language) => ({
      language, url: `${aboutUrl}/subtitles-${encodeURIComponent(language)}.vtt`,
    }))];
    for (const { url: src, language } of sidecars) {
      const track = document.createElement('track'), label = languageName(language) || 'Subtitles';
      Object.assign(track, { kind: 'subtitles', src, srclang: language, label });
      this.video.append(track);
    }
    const { subtitles } = habits();
    this.setSubtitles(this.subtitles().findIndex(({ language }) => language === subtitles));
  }

  private async explain(): Promise<void> {
    const { error } = this.video;
    if (!error || this.gone.signal.aborted) return;
    let cause: Cause = error.code === MediaError.MEDIA_ERR_DECODE ? 'broken' : 'unsupported';
    try { // the element does not tell what the server said
      const { signal } = this.gone;
      const answer = await fetch(this.url, { method: 'HEAD', signal });
      if (!answer.ok) cause = causeOfStatus(answer.status);
    } catch {
      cause = 'unreachable';
    }
    if (!this.gone.signal.aborted) this.events.failed({ cause, detail: error.message });
  }

  levels(): Choice[] { return []; }
  level() { return { chosen: -1, nowPlaying: '' }; }
  setLevel(): void { /* there is one */ }
  audio(): Choice[] { return []; }
  audioNow(): number { return -1; }
  setAudio(): void { /* there is one */ }

  private textTracks(): TextTrack[] {
    return [...this.video.textTracks].filter((track) =>
      track.kind === 'subtitles' || track.kind === 'captions');
  }

  subtitles(): Choice[] {
    return this.textTracks().map((track, id) =>
      ({ id, label: track.label || track.language, language: track.language }));
  }

  subtitlesNow(): number {
    return this.textTracks().findIndex((track) => track.mode !== 'disabled');
  }

  setSubtitles(id: number): void {
    this.textTracks().forEach((track, index) => {
      track.mode = index === id ? 'hidden' : 'disabled';
    });
    this.events.changed();
  }

  range() {
    const { seekable, duration } = this.video;
    if (!this.program.isLive && Number.isFinite(duration)) return { start: 0, end: duration };
    if (seekable.length === 0) return NO_RANGE;
    return { start: seekable.start(0), end: seekable.end(seekable.length - 1) };
  }

  live() {
    if (!this.program.isLive) return null;
    const { end } = this.range(), latencyS = Math.max(0, end - this.video.currentTime);
    return { joinAt: end, latencyS, isAtEdge: latencyS < AT_EDGE_S };
  }

  destroy(): void {
    this.gone.abort();
    this.video.replaceChildren();
    this.video.removeAttribute('src');
    this.video.load();
  }
}
