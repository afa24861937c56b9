// SPDX-License-Identifier: MIT
// A poster for a film that has none: a frame of it, taken by the browser's own decoder off-screen.
// leat decodes nothing.

const WIDTH = 480; // px: sharp on a card of 240 at two pixels a point
const PATIENCE_MS = 8000;
const DARK = 20; // mean of a frame's brightness, of 255, below which another is tried
const PLACES = [0.1, 0.3, 0.55]; // of the film's length
const EARLIEST_S = 1, LATEST_S = 90;

function once(video: HTMLVideoElement, event: string, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const done = () => { tidy(); resolve(); };
    const fail = () => { tidy(); reject(new Error(`no ${event}`)); };
    const tidy = () => {
      video.removeEventListener(event, done);
      video.removeEventListener('error', fail);
      signal.removeEventListener('abort', fail);
    };
    video.addEventListener(event, done);
    video.addEventListener('error', fail);
    signal.addEventListener('abort', fail);
  });
}

function brightness(context: CanvasRenderingContext2D, width: number, height: number): number {
  const { data } = context.getImageData(0, 0, width, height);
  const step = 4 * Math.max(1, Math.floor(width * height / 1000));
  let sum = 0, count = 0;
  for (let at = 0; at + 2 < data.length; at += step) {
    sum += (data[at]! + data[at + 1]! + data[at + 2]!) / 3;
    count++;
  }
  return count > 0 ? sum / count : 0;
}

async function frameAt(video: HTMLVideoElement, time: number, canvas: HTMLCanvasElement,
                       signal: AbortSignal): Promise<number> {
  const seeked = once(video, 'seeked', signal);
  video.currentTime = time;
  await seeked;
  const scale = Math.min(1, WIDTH / video.videoWidth);
  canvas.width = Math.round(video.videoWidth * scale);
  canvas.height = Math.round(video.videoHeight * scale);
  const context = canvas.getContext('2d', { willReadFrequently: true });
  if (!context) return 0;
  context.drawImage(video, 0, 0, canvas.width, canvas.height);
  return brightness(context, canvas.width, canvas.height);
}

async function takeFrame(video: HTMLVideoElement, signal: AbortSignal): Promise<Blob | null> {
  await once(video, 'loadedmetadata', signal);
  if (video.videoWidth === 0 || video.videoHeight === 0) return null; // sound only
  if (video.readyState < 2) await once(video, 'loadeddata', signal);
  const canvas = document.createElement('canvas');
  const length = Number.isFinite(video.duration) ? video.duration : 0;
  for (const place of PLACES) {
    const wanted = Math.min(LATEST_S, Math.max(EARLIEST_S, length * place));
    if (await frameAt(video, Math.min(wanted, length / 2), canvas, signal) >= DARK) break;
  }
  return new Promise((resolve) => canvas.toBlob(resolve, 'image/webp', 0.8));
}

/** A frame of the film at `url` as a small picture; null: it has none, or this browser cannot
 *  show it. Lets go of the film in any case. */
export async function captureFrame(url: string, signal: AbortSignal): Promise<Blob | null> {
  const video = document.createElement('video'), late = new AbortController();
  const giveUp = () => late.abort();
  const timer = setTimeout(giveUp, PATIENCE_MS);
  signal.addEventListener('abort', giveUp);
  video.muted = true;
  video.playsInline = true;
  video.preload = 'auto';
  video.src = url;
  try {
    return await takeFrame(video, late.signal);
  } catch {
    return null;
  } finally {
    clearTimeout(timer);
    signal.removeEventListener('abort', giveUp);
    video.removeAttribute('src');
    video.load();
  }
}
