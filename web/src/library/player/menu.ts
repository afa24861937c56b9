// SPDX-License-Identifier: MIT
// The settings: a list of them with what is chosen, and behind each its choices. A menu of radio
// items to assistive technology; arrows move, Escape goes back.

import type { Child } from '../../shared/dom.js';
import { h, icon } from '../../shared/dom.js';

export interface Setting {
  name: string;
  chosen: string; // as text
  choices: { label: string; isChosen: boolean; choose: () => void }[];
}

export class Menu {
  readonly element = h('div', {
    class: 'menu', role: 'menu', 'aria-label': 'Settings', hidden: true,
  });
  private page = ''; // the setting whose choices are shown, "" for the list of settings

  constructor(private readonly button: HTMLButtonElement,
              private readonly settings: () => Setting[]) {
    button.setAttribute('aria-haspopup', 'menu');
    button.setAttribute('aria-expanded', 'false');
    button.addEventListener('click', () => (this.isOpen() ? this.close() : this.open()));
    this.element.addEventListener('keydown', (event) => this.onKey(event));
  }

  isOpen(): boolean {
    return !this.element.hidden;
  }

  open(page = ''): void {
    this.page = page;
    this.element.hidden = false;
    this.button.setAttribute('aria-expanded', 'true');
    this.draw();
  }

  close(): void {
    if (!this.isOpen()) return;
    const hadFocus = this.element.contains(document.activeElement);
    this.element.hidden = true;
    this.button.setAttribute('aria-expanded', 'false');
    if (hadFocus) this.button.focus();
  }

  /** Goes up a page, or closes; whether there was anything to do. */
  back(): boolean {
    if (!this.isOpen()) return false;
    if (this.page === '') this.close();
    else this.leaf(this.page, '');
    return true;
  }

  private leaf(from: string, page: string): void {
    this.page = page;
    this.draw(from);
  }

  private item(role: string, act: () => void, ...children: Child[]): HTMLElement {
    const item = h('div', { role, tabindex: -1, class: 'item' }, ...children);
    item.addEventListener('click', act);
    return item;
  }

  private draw(focused = ''): void {
    const settings = this.settings();
    const setting = settings.find(({ name }) => name === this.page);
    this.element.setAttribute('aria-label', setting ? setting.name : 'Settings');
    this.element.replaceChildren(...(setting ? this.choices(setting) : this.list(settings)));
    const items = this.items();
    const chosen = items.find((item) => item.getAttribute('aria-checked') === 'true');
    (items.find((item) => item.dataset.name === focused) ?? chosen ?? items[0])?.focus();
  }

  private list(settings: Setting[]): HTMLElement[] {
    return settings.map(({ name, chosen }) => {
      const item = this.item('menuitem', () => this.leaf('', name), h('span', {}, name),
        h('span', { class: 'chosen' }, chosen), icon('next'));
      item.setAttribute('aria-haspopup', 'menu');
      item.dataset.name = name;
      return item;
    });
  }

  private choices({ name, choices }: Setting): HTMLElement[] {
    const up = this.item('menuitem', () => this.leaf(name, ''), icon('previous'),
      h('span', {}, name));
    up.classList.add('up');
    up.setAttribute('aria-label', `${name}: back to the settings`);
    return [up, ...choices.map(({ label, isChosen, choose }) => {
      const item = this.item('menuitemradio', () => {
        choose();
        this.leaf(name, '');
      }, isChosen ? icon('check') : h('span', { class: 'icon' }), h('span', {}, label));
      item.setAttribute('aria-checked', String(isChosen));
      return item;
    })];
  }

  private items(): HTMLElement[] {
    return [...this.element.querySelectorAll<HTMLElement>('.item')];
  }

  private onKey(event: KeyboardEvent): void {
    const items = this.items(), now = items.indexOf(document.activeElement as HTMLElement);
    const move = (index: number) => items[(index + items.length) % items.length]?.focus();
    switch (event.key) {
      case 'ArrowDown': move(now + 1); break;
      case 'ArrowUp': move(now - 1); break;
      case 'Home': move(0); break;
      case 'End': move(-1); break;
      case 'Enter': case ' ': case 'ArrowRight': items[now]?.click(); break;
      case 'ArrowLeft': case 'Escape': this.back(); break;
      case 'Tab': this.close(); return;
      default: return;
    }
    event.preventDefault();
    event.stopPropagation();
  }
}
