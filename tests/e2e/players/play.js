// SPDX-License-Identifier: MIT
//
// Viewers, each with a player of the web's and a video element of its own, watched closely. A
// player's face is the same for all: adapters[name](video, url, options, note) starts it, tells
// note(kind, what) of what is fatal, of warnings, and of the end where it is first to know; it
// returns {audio(language), text(language), stop()}. It keeps options.buffer_s in advance, null:
// what its makers think is right. What a test reads is the `record` of a viewer: plain data. Times
// in it are seconds; `wall` counts from the page's beginning, `at` from the film's.
'use strict';

const wall = () => performance.now() / 1000;
const sleep = seconds => new Promise(done => setTimeout(done, 1000 * seconds));

// ISO 639-2's "deu" is BCP 47's "de"; players differ in which they show.
const tongue = language => language ? Intl.getCanonicalLocales(language)[0] : language;

const adapters = {
  hls(video, url, options, note) {
    const buffer_s = options.buffer_s;
    const keep = buffer_s && {maxBufferLength: buffer_s, maxMaxBufferLength: buffer_s};
    const hls = new Hls({...keep, ...options.hls});
    hls.on(Hls.Events.ERROR, (_, data) => note(data.fatal ? 'fatal' : 'warning',
      [data.type, data.details, data.reason, data.error && data.error.message,
       data.frag && data.frag.url].filter(Boolean).join(' ')));
    hls.loadSource(url);
    hls.attachMedia(video);
    return {
      audio(language) {
        hls.audioTrack = hls.audioTracks.findIndex(track => tongue(track.lang) === language);
        return hls.audioTracks.map(track => tongue(track.lang));
      },
      text(language) {
        hls.subtitleDisplay = true;
        hls.subtitleTrack = hls.subtitleTracks.findIndex(track => tongue(track.lang) === language);
        return hls.subtitleTracks.map(track => tongue(track.lang));
      },
      estimate: () => hls.bandwidthEstimate,
      stop: () => hls.destroy(),
    };
  },

  shaka(video, url, options, note) {
    shaka.polyfill.installAll();
    const player = new shaka.Player();
    const tell = error => note(error.severity === 2 ? 'fatal' : 'warning',
      `shaka ${error.category}.${error.code} ${JSON.stringify(error.data)}`.slice(0, 500));
    player.addEventListener('error', event => tell(event.detail));
    for (const name of ['gapjumped', 'stalldetected'])
      player.addEventListener(name, () => note('warning', name));
    if (options.buffer_s) player.configure({streaming: {bufferingGoal: options.buffer_s}});
    player.configure(options.shaka || {});
    player.attach(video).then(() => player.load(url)).then(() => video.play()).catch(tell);
    return {
      audio(language) {
        const tracks = player.getAudioTracks();
        player.selectAudioTrack(tracks.find(track => tongue(track.language) === language));
        return tracks.map(track => tongue(track.language));
      },
      text(language) {
        const tracks = player.getTextTracks();
        player.selectTextTrack(tracks.find(track => tongue(track.language) === language));
        if (player.setTextTrackVisibility) player.setTextTrackVisibility(true);
        return tracks.map(track => tongue(track.language));
      },
      estimate: () => player.getStats().estimatedBandwidth,
      stop: () => player.destroy(),
    };
  },

  dash(video, url, options, note) {
    const player = dashjs.MediaPlayer().create(), buffer_s = options.buffer_s;
    const keep = buffer_s && {buffer: {bufferTimeDefault: buffer_s,
                                       bufferTimeAtTopQuality: buffer_s,
                                       bufferTimeAtTopQualityLongForm: buffer_s}};
    player.updateSettings({debug: {logLevel: 0},
                           streaming: {...keep, text: {defaultEnabled: false}, ...options.dash}});
    player.on('error', event => note('fatal', `${event.error.code} ${event.error.message}`));
    player.on('playbackError', event => note('fatal', `playback ${JSON.stringify(event.error)}`));
    // Where the video element is late to say so, dash.js stops at the end by itself.
    player.on('playbackEnded', () => note('ended', 'dash.js'));
    player.initialize(video, url, true);
    return {
      audio(language) {
        const tracks = player.getTracksFor('audio');
        player.setCurrentTrack(tracks.find(track => tongue(track.lang) === language));
        return tracks.map(track => tongue(track.lang));
      },
      text(language) {
        const tracks = player.getTracksFor('text');
        player.enableText(true);
        player.setTextTrack(tracks.findIndex(track => tongue(track.lang) === language));
        return tracks.map(track => tongue(track.lang));
      },
      estimate: () => 1000 * player.getAverageThroughput('video'),
      stop: () => player.destroy(),
    };
  },

  // Chromium's own.
  native(video, url) {
    video.src = url;
    const texts = () => Array.from(video.textTracks);
    return {
      text(language) {
        for (const track of texts())
          track.mode = tongue(track.language) === language ? 'showing' : 'disabled';
        return texts().map(track => tongue(track.language));
      },
      stop() { video.removeAttribute('src'); video.load(); },
    };
  },
};

// A film of ours tells its time: the bar at its bottom grows from the left, through all of its
// width in `length_s`.
function time_of_picture(video, length_s) {
  const canvas = document.createElement('canvas');
  canvas.width = video.videoWidth;
  canvas.height = 1;
  const context = canvas.getContext('2d');
  context.drawImage(video, 0, video.videoHeight - 4, video.videoWidth, 1, 0, 0, canvas.width, 1);
  const row = context.getImageData(0, 0, canvas.width, 1).data;
  let end = 0;
  while (end < canvas.width && row[4 * end] + row[4 * end + 1] + row[4 * end + 2] > 3 * 128) end++;
  return end / canvas.width * length_s;
}

// The sound of a film of ours is one tone, which tells the tracks apart: a function that says which
// is heard, in hertz.
function listen(video) {
  const context = new AudioContext(), analyser = context.createAnalyser();
  analyser.fftSize = 8192;
  context.createMediaElementSource(video).connect(analyser).connect(context.destination);
  const bins = new Uint8Array(analyser.frequencyBinCount);
  return () => {
    analyser.getByteFrequencyData(bins);
    return bins.indexOf(Math.max(...bins)) * context.sampleRate / analyser.fftSize;
  };
}

const is_near = (found_hz, hz) => Math.abs(found_hz - hz) < 20;

const viewers = [];

class Viewer {
  constructor(player, url, options) {
    // A test's film is short: one that is loaded as a whole at once shows nothing of a seek.
    this.options = {buffer_s: 6, ...options};
    this.record = {player, url, notes: [], waits: [], jumps: [], shown: [], pictures: [],
                   languages: {}, texts: [], ended: false, failure: null, started_s: null};
    this.video = document.body.appendChild(document.createElement('video'));
    this.video.playsInline = true;
    this.began = wall();
    this.phase = 'start';
    this.target = 0;  // where the viewer wants to be
    this.watch();
    this.player = adapters[player](this.video, url, this.options, (kind, what) => {
      if (kind === 'ended') this.record.ended = true;
      this.record.notes.push({kind, what, wall: wall(), at: this.video.currentTime});
    });
    this.video.play().catch(() => {});  // shaka has nothing to play yet
    viewers.push(this);
  }

  // Waits are told with the phase they fell in: one at the start, after a seek or after a switch to
  // another audio track is no rebuffer.
  watch() {
    const video = this.video, record = this.record;
    let wait = null;
    const over = () => {
      if (wait) wait.seconds = wall() - wait.wall;
      wait = null;
    };
    const on = (name, action) => video.addEventListener(name, action);
    on('seeking', () => {
      this.phase = 'seek';
      if (Math.abs(video.currentTime - this.target) > 0.01)
        record.jumps.push({at: this.last, to: video.currentTime});  // the player's own
    });
    on('waiting', () => {
      if (!wait) {
        wait = {at: video.currentTime, wall: wall(), phase: this.phase, seconds: 0,
                ahead_s: this.ahead_s()};
        record.waits.push(wait);
      }
    });
    on('playing', () => {
      over();
      if (record.started_s === null) record.started_s = wall() - this.began;
      if (!video.seeking && this.phase !== 'switch') this.phase = 'play';
    });
    on('timeupdate', () => { this.last = video.currentTime; });
    on('resize', () => record.shown.push({height: video.videoHeight, wall: wall()}));
    on('ended', () => { over(); record.ended = true; });
    on('error', () => record.notes.push({kind: 'fatal', wall: wall(), at: video.currentTime,
      what: `video element: ${video.error.code} ${video.error.message}`}));
  }

  fatal() {
    return this.record.notes.find(note => note.kind === 'fatal');
  }

  async until(what, condition, seconds = 15) {
    const end = wall() + seconds;
    while (!condition()) {
      const fatal = this.fatal();
      if (fatal) throw new Error(`${what}: ${fatal.what}`);
      if (wall() > end) {
        const {currentTime, readyState, paused, seeking} = this.video;
        throw new Error(`not within ${seconds} s: ${what}; ` +
                        JSON.stringify({currentTime, readyState, paused, seeking,
                                        buffered: this.buffered()}));
      }
      await sleep(0.02);
    }
  }

  async until_at(time, seconds) {
    await this.until(`at ${time} s`, () => this.video.currentTime >= time, seconds);
  }

  // Seeks while paused, and looks at the picture that is painted then; plays on.
  async seek(time) {
    const video = this.video, length_s = this.options.length_s;
    video.pause();
    this.target = time;
    video.currentTime = time;
    await this.until(`seeked to ${time}`, () => !video.seeking && video.readyState >= 2);
    let off;
    const is_right = () => {
      off = time_of_picture(video, length_s) - video.currentTime;
      return off > -0.06 && off < 0.04;
    };
    const end = wall() + 3;  // it is painted a little later
    while (!is_right() && wall() < end) await sleep(0.05);
    this.record.pictures.push({time, now: video.currentTime, off});
    await video.play();
  }

  buffered() {
    const ranges = this.video.buffered;
    return Array.from({length: ranges.length}, (_, i) => [ranges.start(i), ranges.end(i)]);
  }

  // What lies ready to be played.
  ahead_s() {
    const now = this.video.currentTime;
    const range = this.buffered().find(([begin, end]) => begin <= now + 0.1 && now < end);
    return range ? range[1] - now : 0;
  }

  decoded() {
    const video = this.video, quality = video.getVideoPlaybackQuality();
    return {video: video.webkitVideoDecodedByteCount, audio: video.webkitAudioDecodedByteCount,
            frames: quality.totalVideoFrames, dropped: quality.droppedVideoFrames};
  }

  // What a viewer does: plays, seeks forward and back, and sees the end. Who is in a hurry seeks
  // once more, close to it. Nowhere does a segment begin, or is one track loaded and the other not:
  // dash.js 5.2 waits for ever there, whoever made the stream.
  async story() {
    const {video, record, options} = this, length_s = options.length_s;
    try {
      await this.until_at(2);
      record.size = [video.videoWidth, video.videoHeight];
      record.duration_s = video.duration;
      record.at_first = this.decoded();
      if (options.text) {
        record.languages.text = this.player.text(options.text);
        await this.until('a subtitle', () => Array.from(video.textTracks)
          .some(track => track.mode !== 'disabled' && track.cues && track.cues.length));
      }
      await this.seek(0.65 * length_s);
      await this.until_at(0.65 * length_s + 1);
      if (options.audio) {
        const pitch_hz = listen(video);
        await this.until('the first audio is heard', () => is_near(pitch_hz(), options.hz[0]));
        this.phase = 'switch';
        record.languages.audio = this.player.audio(options.audio);
        await this.until(`audio in "${options.audio}" is heard`,
                         () => is_near(pitch_hz(), options.hz[1]), 5);
      }
      await this.seek(0.45 * length_s);
      await this.until_at(0.45 * length_s + 1);
      if (options.is_hurried) await this.seek(0.92 * length_s);
      await this.until('the end', () => record.ended, length_s + 15);
      record.at_end = this.decoded();
      record.texts = Array.from(video.textTracks).flatMap(track => Array.from(track.cues || [])
        .map(cue => [cue.startTime, cue.endTime, cue.text]));
    } catch (error) {
      record.failure = error.message;
    }
    record.buffered = this.buffered();
    record.now = video.currentTime;
    return record;
  }

  // For tests that look at a viewer from time to time.
  state() {
    const video = this.video;
    return {now: video.currentTime, height: video.videoHeight, wall: wall(),
            phase: this.phase, ahead_s: this.ahead_s(),
            estimate: this.player.estimate ? this.player.estimate() : null, record: this.record};
  }

  stop() {
    this.player.stop();
    this.video.remove();
  }
}

// What was fetched, oldest first: [URL, wall time of its end, bytes].
const fetched = [];
new PerformanceObserver(list => {
  for (const entry of list.getEntries())
    fetched.push([entry.name, entry.responseEnd / 1000, entry.encodedBodySize]);
}).observe({type: 'resource', buffered: true});

// [[player, url, options], …]: all play at once; the records when the last is through.
const stories = wanted =>
  Promise.all(wanted.map(([player, url, options]) => new Viewer(player, url, options).story()));
