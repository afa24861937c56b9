// SPDX-License-Identifier: MIT
// What the player asks of whatever feeds its <video>: hls.js for streams, the browser itself for
// plain files.

import type { Problem } from './problems.js';

export interface Choice { id: number; label: string; language: string }

export interface Engine {
  /** Qualities, best first; none where there is no choice. */
  levels(): Choice[];
  /** The level that was chosen, -1 for automatic, and what is playing now. */
  level(): { chosen: number; nowPlaying: string };
  setLevel(id: number): void;
  audio(): Choice[];
  audioNow(): number;
  setAudio(id: number): void;
  subtitles(): Choice[];
  subtitlesNow(): number; // -1: none
  setSubtitles(id: number): void;
  /** What can be sought, in seconds of the video's clock. */
  range(): { start: number; end: number };
  /** Of a live stream: where its edge is best joined, and how far behind it this viewer is. */
  live(): { joinAt: number; latencyS: number; isAtEdge: boolean } | null;
  /** Goes on loading after an error of the network. */
  destroy(): void;
}

export interface EngineEvents {
  changed: () => void; // tracks, levels, or what is chosen
  failed: (problem: Problem) => void;
}

export const NO_RANGE = { start: 0, end: 0 };
