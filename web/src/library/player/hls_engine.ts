// SPDX-License-Identifier: MIT
// Streams by hls.js, which is fetched when something is about to play. It tells the server of its
// buffer with every request (CMCD), which is what the server paces viewers by.

import type Hls from 'hls.js';
import type { ErrorData, HlsConfig } from 'hls.js';
import type { Choice, Engine, EngineEvents } from './engine.js';
import { NO_RANGE } from './engine.js';
import type { Problem } from './problems.js';
import { habits } from './memory.js';
import { causeOfStatus } from './problems.js';
import type { Program } from './program.js';
import { bitRate, codecNames, languageName, resolution } from '../../shared/format.js';

type HlsModule = typeof import('hls.js');

let loading: Promise<HlsModule> | undefined;

async function loadHls(): Promise<HlsModule> {
  loading ??= import('hls.js');
  try {
    return await loading;
  } catch (error) {
    loading = undefined; // asked again the next time
    throw error;
  }
}

/** Fetches hls.js ahead: somebody is about to choose a film. */
export function warmUp(): void {
  void loadHls().catch(() => undefined);
}

const RECOVERIES = 2, RECOVERIES_WITHIN_MS = 30000;
const AT_EDGE_S = 2; // more than this behind where one joins is no longer "live"
const NO_LANGUAGE = '-'; // no track is of it
const session = crypto.randomUUID?.() ?? String(Math.random()).slice(2); // not on plain http

function configOf(program: Program, startS: number): Partial<HlsConfig> {
  const { subtitles, audio } = habits();
  return {
    enableWorker: false, // fragmented MP4 goes to the decoder as it is
    lowLatencyMode: program.isLive,
    maxLiveSyncPlaybackRate: program.isLive ? 1.06 : 1,
    liveDurationInfinity: true,
    startPosition: startS > 0 ? startS : -1,
    backBufferLength: 60,
    capLevelToPlayerSize: true,
    abrEwmaDefaultEstimate: 4e6,
    // Those of the last time; without a preference hls.js would choose for itself.
    subtitlePreference: { lang: subtitles || NO_LANGUAGE },
    ...(audio === '' ? {} : { audioPreference: { lang: audio } }),
    cmcd: { sessionId: session, contentId: program.title.slice(0, 64) },
  };
}

export class HlsEngine implements Engine {
  private recoveries = 0;
  private recoveredAt = 0;
  private isDestroyed = false;

  private constructor(private readonly video: HTMLVideoElement, private readonly program: Program,
                      private readonly hls: Hls, private readonly module: HlsModule,
                      private readonly events: EngineEvents) {
    const { Events } = module;
    for (const event of [Events.MANIFEST_PARSED, Events.LEVEL_SWITCHED, Events.LEVELS_UPDATED,
      Events.AUDIO_TRACKS_UPDATED, Events.AUDIO_TRACK_SWITCHED, Events.SUBTITLE_TRACKS_UPDATED,
      Events.SUBTITLE_TRACK_SWITCH] as const) {
      hls.on(event, () => events.changed());
    }
    hls.on(Events.ERROR, (_, data) => this.onError(data));
    hls.subtitleDisplay = false; // the player draws them itself, above its controls
    hls.loadSource(program.streamUrl!);
    hls.attachMedia(video);
  }

  /** Null: this browser has no MediaSource. Fails when hls.js cannot be fetched. */
  static async create(video: HTMLVideoElement, program: Program, startS: number,
                      events: EngineEvents): Promise<HlsEngine | null> {
    const module = await loadHls();
    if (!module.default.isSupported()) return null;
    const hls = new module.default(configOf(program, startS));
    return new HlsEngine(video, program, hls, module, events);
  }

  private onError(data: ErrorData): void {
    const { ErrorTypes, ErrorDetails: Details } = this.module;
    if (!data.fatal || this.isDestroyed) return;
    const detail = `${data.details}: ${data.error?.message ?? ''}`;
    const isOfCodec = data.details === Details.MANIFEST_INCOMPATIBLE_CODECS_ERROR
      || data.details === Details.BUFFER_ADD_CODEC_ERROR
      || data.details === Details.BUFFER_INCOMPATIBLE_CODECS_ERROR;
    if (isOfCodec) {
      this.fail({ cause: 'unsupported', detail });
    } else if (data.type === ErrorTypes.MEDIA_ERROR && this.mayRecover()) {
      this.hls.recoverMediaError();
    } else if (data.type === ErrorTypes.NETWORK_ERROR) {
      this.fail({ cause: causeOfStatus(data.response?.code ?? 0), detail });
    } else {
      this.fail({ cause: 'broken', detail });
    }
  }

  private mayRecover(): boolean {
    const now = performance.now();
    if (now - this.recoveredAt > RECOVERIES_WITHIN_MS) this.recoveries = 0;
    this.recoveredAt = now;
    return this.recoveries++ < RECOVERIES;
  }

  private fail(problem: Problem): void {
    this.hls.stopLoad();
    this.events.failed(problem);
  }

  private labelOf(level: { width: number; height: number; bitrate: number; codecs: string }) {
    if (level.height > 0) return resolution(level.width, level.height);
    return codecNames(level.codecs).join(' + ') || bitRate(level.bitrate);
  }

  levels(): Choice[] {
    const levels = this.hls.levels.map((level, id) => {
      const codecs = [level.videoCodec, level.audioCodec].filter(Boolean).join(',');
      return { id, bits: level.bitrate, label: this.labelOf({ ...level, codecs }), language: '' };
    });
    levels.sort((a, b) => b.bits - a.bits);
    return levels.map(({ id, bits, label }) =>
      ({ id, label: bits > 0 ? `${label} · ${bitRate(bits)}` : label, language: '' }));
  }

  level() {
    const { hls } = this, now = hls.levels[hls.currentLevel];
    return {
      chosen: hls.autoLevelEnabled ? -1 : hls.loadLevel,
      nowPlaying: now && now.height > 0 ? resolution(now.width, now.height) : '',
    };
  }

  setLevel(id: number): void {
    this.hls.nextLevel = id;
    this.events.changed();
  }

  private tracksOf(tracks: readonly { name?: string; lang?: string }[], kind: string): Choice[] {
    return tracks.map((track, id) => {
      const language = track.lang ?? '';
      return { id, language, label: track.name || languageName(language) || `${kind} ${id + 1}` };
    });
  }

  audio(): Choice[] { return this.tracksOf(this.hls.audioTracks, 'Track'); }
  audioNow(): number { return this.hls.audioTrack; }
  setAudio(id: number): void { this.hls.audioTrack = id; }

  subtitles(): Choice[] { return this.tracksOf(this.hls.subtitleTracks, 'Subtitles'); }
  subtitlesNow(): number { return this.hls.subtitleTrack; }

  setSubtitles(id: number): void {
    this.hls.subtitleTrack = id;
    this.hls.subtitleDisplay = false;
    this.events.changed();
  }

  private isEnded(): boolean {
    return this.hls.latestLevelDetails?.live === false;
  }

  range() {
    const details = this.hls.latestLevelDetails;
    if (details) return { start: details.fragmentStart, end: details.edge };
    const { duration } = this.video;
    return Number.isFinite(duration) ? { start: 0, end: duration } : NO_RANGE;
  }

  live() {
    const { hls } = this;
    if (!this.program.isLive || this.isEnded()) return null;
    const joinAt = hls.liveSyncPosition ?? this.range().end;
    return {
      joinAt, latencyS: hls.latency,
      isAtEdge: this.video.currentTime >= joinAt - AT_EDGE_S,
    };
  }

  destroy(): void {
    this.isDestroyed = true;
    this.hls.destroy();
  }
}
