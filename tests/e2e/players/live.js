// SPDX-License-Identifier: MIT
//
// Viewers of a live channel whose camera films a clock (camera.py): how long after it was taken a
// picture is seen, and whether the channel ever stops. The players are those of play.js.
'use strict';

const BITS = 44;

// The time that a picture shows, in ms; null: it cannot be read.
function clock_of(video, canvas, context) {
  const width = video.videoWidth, size = Math.floor(width / (BITS + 3));
  canvas.width = width;
  canvas.height = 1;
  context.drawImage(video, 0, video.videoHeight / 16, width, 1, 0, 0, width, 1);
  const row = context.getImageData(0, 0, width, 1).data;
  const bit = block => row[4 * Math.floor((block + 0.5) * size)] > 128 ? 1 : 0;
  if (!bit(0) || bit(1)) return null;
  let time = 0, ones = 0;
  for (let at = 0; at < BITS; at++) {
    time = 2 * time + bit(2 + at);
    ones += bit(2 + at);
  }
  return ones % 2 === bit(2 + BITS) ? time : null;
}

const live_viewers = [];

class LiveViewer {
  constructor(player, url, options) {
    this.record = {player, url, notes: [], stalls: [], latencies_ms: [], unread: 0, jumps: 0,
                   first_ms: null};
    this.video = document.body.appendChild(document.createElement('video'));
    this.video.muted = true;
    this.video.playsInline = true;
    this.canvas = document.createElement('canvas');
    this.context = this.canvas.getContext('2d', {willReadFrequently: true});
    this.began = performance.now();
    this.watch();
    this.player = adapters[player](this.video, url, {buffer_s: 0, ...options}, (kind, what) =>
      this.record.notes.push({kind, what, at: this.video.currentTime, wall: wall()}));
    this.video.play().catch(() => {});
    live_viewers.push(this);
  }

  watch() {
    const video = this.video, record = this.record;
    const picture = () => {
      const shown = clock_of(video, this.canvas, this.context);
      if (shown === null) record.unread++;
      else record.latencies_ms.push(Date.now() - shown);
      if (record.first_ms === null) record.first_ms = performance.now() - this.began;
      video.requestVideoFrameCallback(picture);
    };
    video.requestVideoFrameCallback(picture);
    let since = null;
    video.addEventListener('waiting', () => { since = since || performance.now(); });
    video.addEventListener('playing', () => {
      if (since && record.first_ms !== null)
        record.stalls.push({seconds: (performance.now() - since) / 1000, at: video.currentTime,
                            wall: wall()});
      since = null;
    });
    video.addEventListener('seeking', () => { if (record.first_ms !== null) record.jumps++; });
    video.addEventListener('error', () => record.notes.push({kind: 'fatal',
      what: `video element: ${video.error.code} ${video.error.message}`}));
  }

  // From now on: what was seen while a player settled is no measure.
  forget() {
    Object.assign(this.record, {stalls: [], latencies_ms: [], unread: 0, jumps: 0});
  }
}
