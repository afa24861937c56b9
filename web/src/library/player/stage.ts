// SPDX-License-Identifier: MIT
// What the player looks like: the elements, and how they show a state. It decides nothing.

import type { IconName } from '../../shared/dom.js';
import { h, icon, setText } from '../../shared/dom.js';
import { HELP } from './keys.js';

function dress(control: HTMLButtonElement, name: IconName, label: string): void {
  control.type = 'button';
  control.classList.add('control');
  turn(control, name, label);
}

function button(name: IconName, label: string, className = ''): HTMLButtonElement {
  const control = h('button', { class: className });
  dress(control, name, label);
  return control;
}

/** Gives a button another drawing and another name. */
export function turn(control: HTMLButtonElement, name: IconName, label: string): void {
  if (control.getAttribute('aria-label') === label) return;
  control.setAttribute('aria-label', label);
  control.title = label;
  control.replaceChildren(icon(name));
}

function helpPanel(): HTMLElement {
  const list = h('dl', {});
  for (const [keys, what] of HELP) list.append(h('div', {}, h('dt', {}, keys), h('dd', {}, what)));
  return h('div', { class: 'panel help', role: 'group', 'aria-label': 'Keys', hidden: true,
    tabindex: -1 }, h('h2', {}, 'Keys'), list);
}

/** What others made, to be put in its place. */
export interface StageParts {
  video: HTMLVideoElement;
  seekbar: HTMLElement;
  captions: HTMLElement;
  menu: HTMLElement;
  settings: HTMLButtonElement;
}

const NOTICE_MS = 5000, FLASH_MS = 700;

export class Stage {
  readonly dialog: HTMLDialogElement;
  readonly frame: HTMLElement; // what goes full screen: a dialog may not
  readonly veil = h('div', { class: 'veil' });
  readonly bigPlay = button('play', 'Play', 'big-play');
  readonly back = button('back', 'Back to the library (Esc)');
  readonly play = button('play', 'Play (K)');
  readonly mute = button('volume', 'Mute (M)');
  readonly volume = h('input', {
    type: 'range', class: 'volume', min: 0, max: 1, step: 0.05, 'aria-label': 'Volume',
  });
  readonly time = h('span', { class: 'time' });
  readonly liveButton = h('button', { type: 'button', class: 'live-button', hidden: true });
  readonly latency = h('span', { class: 'latency', hidden: true });
  readonly settings: HTMLButtonElement;
  readonly subtitles = button('subtitles', 'Subtitles (C)');
  readonly keys = button('help', 'Keys (?)', 'keys');
  readonly pip = button('pip', 'Picture in picture (I)');
  readonly fullscreen = button('fullscreen', 'Full screen (F)');
  readonly help = helpPanel();
  readonly bottom: HTMLElement;
  private readonly notice = h('div', { class: 'notice', hidden: true });
  private readonly flashed = h('div', { class: 'flash', 'aria-hidden': 'true' });
  private readonly problem = h('div', { class: 'panel problem', role: 'alert', hidden: true });
  private readonly status = h('p', { class: 'hidden-text', role: 'status' });
  private noticeTimer = 0;
  private flashTimer = 0;

  constructor(title: string, { video, seekbar, captions, menu, settings }: StageParts) {
    dress(settings, 'settings', 'Settings');
    this.settings = settings;
    video.playsInline = true;
    video.preload = 'auto';
    video.setAttribute('aria-label', title);
    this.bottom = h('div', { class: 'bottom' }, seekbar, h('div', { class: 'row' },
      this.play, h('div', { class: 'loudness' }, this.mute, this.volume), this.time,
      this.liveButton, this.latency, h('span', { class: 'spacer' }), this.subtitles,
      this.settings, this.keys, this.pip, this.fullscreen));
    this.frame = h('div', { class: 'frame', tabindex: -1, 'data-busy': 'yes' },
      video, captions, this.veil,
      h('div', { class: 'spinner', 'aria-hidden': 'true' }), this.flashed, this.bigPlay,
      h('div', { class: 'top' }, this.back, h('h2', { class: 'title' }, title)),
      this.notice, this.bottom, menu, this.help, this.problem, this.status);
    this.dialog = h('dialog', { class: 'player', 'aria-label': title }, this.frame);
    this.bigPlay.hidden = true;
  }

  showPaused(isPaused: boolean, isEnded: boolean): void {
    if (isEnded) turn(this.play, 'replay', 'Play again (K)');
    else turn(this.play, isPaused ? 'play' : 'pause', isPaused ? 'Play (K)' : 'Pause (K)');
    this.frame.dataset.paused = String(isPaused);
  }

  showVolume(volume: number, isMuted: boolean): void {
    const isSilent = isMuted || volume === 0;
    turn(this.mute, isSilent ? 'muted' : 'volume', isSilent ? 'Unmute (M)' : 'Mute (M)');
    this.volume.value = String(isMuted ? 0 : volume);
    this.volume.setAttribute('aria-valuetext', `${Math.round((isMuted ? 0 : volume) * 100)} %`);
  }

  showBusy(isBusy: boolean): void {
    this.frame.dataset.busy = isBusy ? 'yes' : 'no';
    this.frame.setAttribute('aria-busy', String(isBusy));
  }

  /** A line that goes by itself, with something to press. */
  say(text: string, action = '', act: () => void = () => undefined): void {
    clearTimeout(this.noticeTimer);
    this.notice.replaceChildren(h('span', {}, text));
    if (action !== '') {
      this.notice.append(h('button', { type: 'button', onclick: () => {
        this.unsay();
        act();
      } }, action));
    }
    this.notice.hidden = false;
    this.announce(text);
    this.noticeTimer = setTimeout(() => this.unsay(), NOTICE_MS);
  }

  private unsay(): void {
    if (this.notice.contains(document.activeElement)) this.play.focus();
    this.notice.hidden = true;
  }

  /** What a key just did, large and short: "1.5×", "80 %". */
  flash(text: string): void {
    clearTimeout(this.flashTimer);
    setText(this.flashed, text);
    this.flashed.classList.add('shown');
    this.flashTimer = setTimeout(() => this.flashed.classList.remove('shown'), FLASH_MS);
    this.announce(text);
  }

  announce(text: string): void {
    setText(this.status, text);
  }

  /** What went wrong, in the middle, with a way on. */
  complain(text: string, detail: string, retry: () => void, fileUrl: string | null): void {
    const again = h('button', { type: 'button', class: 'primary' }, 'Try again');
    again.addEventListener('click', retry);
    const actions = h('p', { class: 'actions' }, again);
    if (fileUrl) {
      actions.append(h('a', { href: `${fileUrl}?download`, download: true }, 'Download the file'));
    }
    this.problem.replaceChildren(icon('warning'), h('p', { class: 'words' }, text), actions,
      h('p', { class: 'detail' }, detail));
    this.problem.hidden = false;
    this.showBusy(false);
    this.bigPlay.hidden = true;
    this.frame.dataset.problem = 'yes';
    again.focus();
  }

  forgive(): void {
    if (this.problem.hidden) return;
    if (this.problem.contains(document.activeElement)) this.play.focus();
    this.problem.hidden = true;
    this.frame.dataset.problem = 'no';
  }

  /** Whether the help was shown and now is not. */
  hideHelp(): boolean {
    if (this.help.hidden) return false;
    this.help.hidden = true;
    (this.keys.offsetParent ? this.keys : this.play).focus();
    return true;
  }

  toggleHelp(): void {
    if (this.hideHelp()) return;
    this.help.hidden = false;
    this.help.focus();
  }
}
