// SPDX-License-Identifier: MIT
// Which way a program is played: streams by hls.js, else by the browser's own HLS; files, and
// films whose stream this browser cannot decode, by the browser's own player.

import type { Engine, EngineEvents } from './engine.js';
import { HlsEngine } from './hls_engine.js';
import { NativeEngine } from './native_engine.js';
import type { Program } from './program.js';

const HLS_TYPE = 'application/vnd.apple.mpegurl';

/** Starts a program at `startS`; `isPlain`: as the file it is, though there is a stream. */
export async function startEngine(video: HTMLVideoElement, program: Program, startS: number,
                                  isPlain: boolean, events: EngineEvents): Promise<Engine | null> {
  if (program.streamUrl && !isPlain) {
    const engine = await HlsEngine.create(video, program, startS, events);
    if (engine) return engine;
    if (video.canPlayType(HLS_TYPE) !== '') {
      return new NativeEngine(video, program, program.streamUrl, startS, events);
    }
  }
  if (!program.fileUrl) return null;
  return new NativeEngine(video, program, program.fileUrl, startS, events);
}
