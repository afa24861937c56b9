// SPDX-License-Identifier: MIT
// The player: one program, from opening to closing. It listens to the video, the engine and the
// viewer, and lets the stage show what follows.

import type { Channel } from '../api.js';
import type { ChannelWatch } from '../channels.js';
import { clock } from '../../shared/format.js';
import { setText } from '../../shared/dom.js';
import { Captions } from './captions.js';
import type { Engine } from './engine.js';
import { NO_RANGE } from './engine.js';
import type { Command } from './keys.js';
import { commandOf } from './keys.js';
import { habits, noteHabits, notePlace, resumeAt } from './memory.js';
import { Menu } from './menu.js';
import { Controls } from './pointing.js';
import type { Problem } from './problems.js';
import { wordsFor } from './problems.js';
import type { Program } from './program.js';
import { canFillScreen, leaveScreens, toggleFullscreen, togglePip } from './screen.js';
import { placeText, SeekBar } from './seekbar.js';
import { chooseSubtitles, settingsOf, speedName, SPEEDS } from './settings.js';
import { startEngine } from './source.js';
import { Stage, turn } from './stage.js';

const NOTE_EVERY_MS = 5000, BUSY_AFTER_MS = 350, LIVE_TICK_MS = 250;

export class Player {
  private readonly gone = new AbortController();
  private readonly seekbar = new SeekBar((time) => this.seekTo(time));
  private readonly captions: Captions;
  private readonly menu: Menu;
  private readonly stage: Stage;
  private readonly video: HTMLVideoElement;
  private readonly controls: Controls;
  private engine: Engine | null = null;
  private starts = 0; // counts beginnings: one that was overtaken gives up
  private isPlain = false; // the film as a file, since its stream would not play
  private speed = 1;
  private notedAt = 0;
  private busyTimer = 0;
  private channelState = '';
  private hasPlayed = false; // before that, the place is still the one of the last time
  private readonly titleBefore = document.title;

  constructor(private readonly program: Program, private readonly channels: ChannelWatch,
              private readonly leave: () => void) {
    const { signal } = this.gone;
    const video = document.createElement('video');
    this.captions = new Captions(video, signal);
    const settings = document.createElement('button');
    this.menu = new Menu(settings, () => this.settings());
    this.stage = new Stage(program.title, {
      video, seekbar: this.seekbar.element, captions: this.captions.element,
      menu: this.menu.element, settings,
    });
    this.video = video;
    this.controls = new Controls(this.stage.frame, this.stage.veil, {
      toggle: () => this.toggle(), fullscreen: () => this.toggleFullscreen(),
      seek: (byS) => this.seekBy(byS),
      mayHide: () => !video.paused && !this.menu.isOpen() && this.stage.help.hidden,
    }, signal);
  }

  open(): void {
    document.body.append(this.stage.dialog);
    this.stage.dialog.showModal();
    document.title = this.program.title;
    if ('mediaSession' in navigator) {
      navigator.mediaSession.metadata = new MediaMetadata({ title: this.program.title });
    }
    this.listenToVideo();
    this.listenToViewer();
    if (this.program.isLive) this.watchChannel();
    const { volume, isMuted, speed } = habits();
    this.video.volume = volume;
    this.video.muted = isMuted;
    this.speed = this.program.isLive ? 1 : speed;
    this.stage.frame.focus({ preventScroll: true });
    const startS = this.program.isLive ? 0 : resumeAt(this.program.key);
    if (startS > 0) {
      this.stage.say(`Resumed at ${clock(startS)}`, 'Start over', () => this.seekTo(0));
    }
    void this.start(startS);
  }

  /** Lets go of everything; the player is not opened again. */
  close(): void {
    this.notePlace();
    this.gone.abort();
    this.starts++;
    clearTimeout(this.busyTimer);
    this.controls.stop();
    this.engine?.destroy();
    leaveScreens(this.video);
    this.stage.dialog.close();
    this.stage.dialog.remove();
    document.title = this.titleBefore;
    if ('mediaSession' in navigator) navigator.mediaSession.metadata = null;
  }

  private async start(startS: number): Promise<void> {
    const number = ++this.starts;
    this.engine?.destroy();
    this.engine = null;
    this.stage.forgive();
    this.stage.showBusy(true);
    try {
      const engine = await startEngine(this.video, this.program, startS, this.isPlain, {
        changed: () => this.onEngine(), failed: (problem) => this.onFailure(problem),
      });
      if (number !== this.starts) {
        engine?.destroy();
        return;
      }
      this.engine = engine;
    } catch {
      this.onFailure({ cause: 'unreachable', detail: 'the player could not be fetched' });
      return;
    }
    if (!this.engine) {
      this.onFailure({ cause: 'unsupported', detail: 'no MediaSource, no HLS' });
      return;
    }
    this.onEngine();
    void this.play();
  }

  private async play(): Promise<void> {
    try {
      this.video.playbackRate = this.speed;
      await this.video.play();
      this.stage.bigPlay.hidden = true;
    } catch (error) { // a page that was not touched yet may not make sound by itself
      const isRefused = error instanceof DOMException && error.name === 'NotAllowedError';
      this.stage.bigPlay.hidden = !isRefused;
      if (isRefused) this.stage.bigPlay.focus();
    }
  }

  private onFailure(problem: Problem): void {
    const { program, video, stage } = this;
    const isOfFilm = problem.cause === 'unsupported' || problem.cause === 'broken';
    if (isOfFilm && program.fileUrl && program.streamUrl && !this.isPlain) {
      this.isPlain = true; // the browser itself may cope with what MediaSource does not
      void this.start(video.currentTime || resumeAt(program.key));
      return;
    }
    if (program.isLive && this.channelState === 'ended') problem.cause = 'gone';
    video.pause();
    const at = video.currentTime;
    const file = isOfFilm ? program.fileUrl : null;
    stage.complain(wordsFor(problem, program.isLive), problem.detail, () => {
      this.isPlain = false;
      void this.start(program.isLive ? 0 : at || resumeAt(program.key));
    }, file);
  }

  private onEngine(): void {
    const { engine, stage } = this;
    if (!engine) return;
    const tracks = engine.subtitles();
    stage.subtitles.hidden = tracks.length === 0;
    stage.subtitles.setAttribute('aria-pressed', String(engine.subtitlesNow() !== -1));
    stage.settings.hidden = this.settings().length === 0;
    this.showTime();
  }

  private settings() {
    const { engine, program, speed } = this;
    return settingsOf(engine, program.isLive, speed, (wanted) => this.setSpeed(wanted));
  }

  private setSpeed(speed: number): void {
    this.speed = speed;
    this.video.playbackRate = speed;
    noteHabits({ speed });
    this.stage.flash(speed === 1 ? '1×' : speedName(speed));
  }

  private listenToVideo(): void {
    const { video, stage } = this, { signal } = this.gone;
    const on = (events: string[], act: () => void) => {
      for (const event of events) video.addEventListener(event, act, { signal });
    };
    on(['play', 'pause', 'ended', 'seeked', 'playing'], () => {
      stage.showPaused(video.paused, video.ended);
    });
    on(['play', 'pause', 'seeking'], () => this.controls.wake());
    on(['timeupdate', 'durationchange', 'progress', 'seeking', 'seeked'], () => this.showTime());
    on(['waiting', 'seeking', 'loadstart'], () => this.becomeBusy());
    on(['playing', 'canplay', 'seeked', 'pause', 'ended'], () => {
      clearTimeout(this.busyTimer);
      if (video.readyState >= 2) stage.showBusy(false);
    });
    on(['playing'], () => {
      this.hasPlayed = true;
      stage.forgive();
    });
    on(['loadedmetadata'], () => {
      const hasPicture = video.videoWidth > 0;
      stage.frame.dataset.picture = hasPicture ? 'yes' : 'no';
      stage.pip.hidden = !hasPicture || !document.pictureInPictureEnabled;
      video.playbackRate = this.speed;
    });
    on(['volumechange'], () => {
      stage.showVolume(video.volume, video.muted);
      noteHabits({ volume: video.volume, isMuted: video.muted });
    });
    on(['timeupdate'], () => {
      if (performance.now() - this.notedAt > NOTE_EVERY_MS) this.notePlace();
    });
    on(['pause', 'ended'], () => this.notePlace());
    addEventListener('pagehide', () => this.notePlace(), { signal });
    stage.showVolume(video.volume, video.muted);
    stage.showPaused(true, false);
    if (this.program.isLive) {
      const timer = setInterval(() => this.showTime(), LIVE_TICK_MS);
      signal.addEventListener('abort', () => clearInterval(timer));
    }
  }

  private listenToViewer(): void {
    const { stage, video } = this, { signal } = this.gone;
    const press = (element: HTMLElement, act: () => void) =>
      element.addEventListener('click', act, { signal });
    press(stage.back, this.leave);
    press(stage.play, () => this.toggle());
    press(stage.bigPlay, () => void this.play());
    press(stage.mute, () => { video.muted = !video.muted; });
    press(stage.subtitles, () => this.toggleSubtitles());
    press(stage.keys, () => stage.toggleHelp());
    press(stage.pip, () => togglePip(video));
    press(stage.fullscreen, () => this.toggleFullscreen());
    press(stage.liveButton, () => this.goLive());
    stage.volume.addEventListener('input', () => {
      video.muted = false;
      video.volume = Number(stage.volume.value);
    }, { signal });
    stage.dialog.addEventListener('cancel', (event) => { // a phone's gesture to go back
      event.preventDefault();
      this.stepBack();
    }, { signal });
    stage.dialog.addEventListener('close', () => { // a second such gesture cannot be refused
      if (!signal.aborted) this.leave();
    }, { signal });
    document.addEventListener('keydown', (event) => { // wherever the focus was lost to
      this.controls.wake();
      const command = commandOf(event);
      if (!command) return;
      event.preventDefault();
      this.obey(command);
    }, { signal });
    document.addEventListener('fullscreenchange', () => {
      const isFull = document.fullscreenElement !== null;
      turn(stage.fullscreen, isFull ? 'shrink' : 'fullscreen',
           isFull ? 'Leave full screen (F)' : 'Full screen (F)');
    }, { signal });
    stage.fullscreen.hidden = !canFillScreen(video);
    stage.pip.hidden = !document.pictureInPictureEnabled;
    addEventListener('online', () => {
      if (stage.frame.dataset.problem === 'yes') void this.start(video.currentTime);
    }, { signal });
  }

  private obey(command: Command): void {
    const { video, stage } = this;
    switch (command.do) {
      case 'toggle': this.toggle(); break;
      case 'mute': video.muted = !video.muted; break;
      case 'fullscreen': this.toggleFullscreen(); break;
      case 'subtitles': this.toggleSubtitles(); break;
      case 'pip': togglePip(video); break;
      case 'help': stage.toggleHelp(); break;
      case 'back': this.stepBack(); break;
      case 'live': this.goLive(); break;
      case 'seek': this.seekBy(command.byS); break;
      case 'place': {
        const { start, end } = this.engine?.range() ?? NO_RANGE;
        this.seekTo(start + command.share * (end - start));
        break;
      }
      case 'volume':
        video.muted = false;
        video.volume = Math.min(1, Math.max(0, video.volume + command.by));
        stage.flash(`${Math.round(video.volume * 100)} %`);
        break;
      case 'speed': {
        if (this.program.isLive) break;
        const now = SPEEDS.findIndex((speed) => speed >= this.speed);
        const next = SPEEDS[(now === -1 ? SPEEDS.length - 1 : now) + command.by];
        if (next !== undefined) this.setSpeed(next);
        break;
      }
    }
  }

  private stepBack(): void {
    if (this.menu.back() || this.stage.hideHelp()) return;
    if (document.fullscreenElement) void document.exitFullscreen();
    else this.leave();
  }

  private toggle(): void {
    if (this.stage.frame.dataset.problem === 'yes') return;
    if (this.video.paused) void this.play();
    else this.video.pause();
  }

  private toggleFullscreen(): void {
    toggleFullscreen(this.stage.frame, this.video);
  }

  private toggleSubtitles(): void {
    const { engine, stage } = this, tracks = engine?.subtitles() ?? [];
    if (!engine || tracks.length === 0) {
      stage.flash('No subtitles');
      return;
    }
    const isOn = engine.subtitlesNow() !== -1;
    const choice = isOn ? null : tracks[0]!;
    chooseSubtitles(engine, choice);
    stage.flash(choice ? choice.label : 'Subtitles off');
  }

  private seekTo(time: number): void {
    const { start, end } = this.engine?.range() ?? NO_RANGE;
    if (end <= start) return;
    const last = this.engine?.live()?.joinAt ?? end;
    this.video.currentTime = Math.min(Math.max(time, start), Math.max(start, last));
  }

  private seekBy(byS: number): void {
    this.seekTo(this.video.currentTime + byS);
    this.stage.flash(byS < 0 ? `−${-byS} s` : `+${byS} s`);
  }

  private goLive(): void {
    const live = this.engine?.live();
    if (!live) return;
    this.video.currentTime = live.joinAt;
    void this.play();
    this.stage.announce('At the live edge');
  }

  private becomeBusy(): void {
    clearTimeout(this.busyTimer);
    this.busyTimer = setTimeout(() => this.stage.showBusy(true), BUSY_AFTER_MS);
  }

  private showTime(): void {
    const { engine, stage, video } = this;
    if (!engine) return;
    const { start, end } = engine.range(), live = engine.live(), time = video.currentTime;
    const line = { start, end, time, buffered: video.buffered, isLive: live !== null };
    this.seekbar.show(line);
    stage.liveButton.hidden = stage.latency.hidden = live === null;
    if (live) {
      stage.liveButton.dataset.edge = live.isAtEdge ? 'yes' : 'no';
      setText(stage.liveButton, live.isAtEdge ? 'Live' : 'Go live');
      stage.liveButton.setAttribute('aria-disabled', String(live.isAtEdge));
      setText(stage.latency, `${live.latencyS.toFixed(1)} s behind`);
      stage.latency.hidden = live.latencyS <= 0;
    }
    const shown = this.seekbar.heldAt() ?? time;
    setText(stage.time, live === null ? `${clock(shown - start)} / ${clock(end - start)}`
      : live.isAtEdge ? '' : placeText(line, shown));
  }

  private notePlace(): void {
    this.notedAt = performance.now();
    const { program, video } = this;
    if (program.isLive || !this.hasPlayed || !Number.isFinite(video.duration)) return;
    notePlace(program.key, video.ended ? video.duration : video.currentTime, video.duration);
  }

  private watchChannel(): void {
    const stop = this.channels.listen((channels) => this.onChannels(channels));
    this.gone.signal.addEventListener('abort', stop);
  }

  private onChannels(channels: readonly Channel[]): void {
    const state = channels.find(({ name }) => name === this.program.title)?.state ?? 'ended';
    const before = this.channelState, { stage } = this;
    this.channelState = state;
    if (state === before) return;
    if (state === 'stalled') stage.say('The broadcast is interrupted; it goes on when it can.');
    if (state === 'ended' && before !== '') stage.say('The broadcast has ended.');
    if (state === 'live' && stage.frame.dataset.problem === 'yes') void this.start(0);
  }
}
