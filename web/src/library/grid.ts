// SPDX-License-Identifier: MIT
// A list of any length of which only what is in view exists. It is a list to assistive technology
// (each item says which it is, of how many) and one stop of the Tab key: arrows move inside.
// Every item holds one link, which takes the focus.

const OVERSCAN_PX = 600; // what exists beyond the edges of the view

export interface Shape {
  columns: number;
  rowHeight: number; // px, with the gap below
  gap: number; // px between columns
}

export interface GridOptions<T> {
  label: string;
  className: string;
  shape: (width: number) => Shape;
  /** Fills a list item and returns its link; `signal` is aborted when the item is let go. */
  render: (item: T, holder: HTMLElement, signal: AbortSignal) => HTMLElement;
}

interface Cell {
  holder: HTMLElement;
  link: HTMLElement;
  gone: AbortController;
}

export class Grid<T> {
  readonly element = document.createElement('ul');
  private items: readonly T[] = [];
  private readonly cells = new Map<number, Cell>();
  private active = 0; // the item that Tab leads to
  private shape: Shape = { columns: 1, rowHeight: 1, gap: 0 };
  private width = 0;
  private frame = 0;

  constructor(private readonly options: GridOptions<T>) {
    this.element.className = `grid ${options.className}`;
    this.element.setAttribute('role', 'list'); // which WebKit forgets where there are no bullets
    this.element.setAttribute('aria-label', options.label);
    this.element.addEventListener('keydown', (event) => this.onKey(event));
    this.element.addEventListener('focusin', (event) => this.onFocus(event));
    const look = () => {
      if (this.frame === 0) this.frame = requestAnimationFrame(() => this.lay());
    };
    addEventListener('scroll', look, { passive: true });
    addEventListener('resize', look, { passive: true });
    new ResizeObserver(look).observe(this.element);
  }

  /** Shows other items; the focus, if it was here, goes to the first. */
  set(items: readonly T[]): void {
    const hadFocus = this.element.contains(document.activeElement);
    this.items = items;
    this.active = 0;
    this.clear();
    this.lay();
    if (hadFocus) this.cells.get(0)?.link.focus({ preventScroll: true });
  }

  private clear(): void {
    for (const index of [...this.cells.keys()]) this.drop(index);
  }

  private drop(index: number): void {
    const cell = this.cells.get(index);
    cell?.gone.abort();
    cell?.holder.remove();
    this.cells.delete(index);
  }

  private rowOf(index: number): number {
    return Math.floor(index / this.shape.columns);
  }

  /** Which items are in view, or about to be. */
  private inView(overscan: number): [number, number] {
    const top = -this.element.getBoundingClientRect().top;
    const first = Math.max(0, Math.floor((top - overscan) / this.shape.rowHeight));
    const last = Math.ceil((top + innerHeight + overscan) / this.shape.rowHeight);
    return [Math.min(first * this.shape.columns, this.items.length),
      Math.max(0, Math.min(last * this.shape.columns, this.items.length))];
  }

  private lay(): void {
    this.frame = 0;
    const width = this.element.clientWidth;
    if (width === 0) return; // not shown: told again when it is
    if (width !== this.width) {
      this.width = width;
      this.shape = this.options.shape(width);
      for (const [index, cell] of this.cells) this.place(index, cell.holder);
    }
    const rows = Math.ceil(this.items.length / this.shape.columns);
    this.element.style.height = `${rows * this.shape.rowHeight}px`;

    const [first, end] = this.inView(OVERSCAN_PX);
    const hasFocus = this.element.contains(document.activeElement);
    for (const index of [...this.cells.keys()]) {
      if ((index < first || index >= end) && index !== this.active) this.drop(index);
    }
    for (let index = first; index < end; index++) this.make(index);
    if (!hasFocus) {
      const [top, bottom] = this.inView(0);
      if (this.active < top || this.active >= bottom) this.activate(Math.min(top, end - 1));
    }
    if (this.items.length > 0) this.make(this.active);
  }

  private make(index: number): void {
    const item = this.items[index];
    if (item === undefined || this.cells.has(index)) return;
    const holder = document.createElement('li'), gone = new AbortController();
    holder.setAttribute('aria-setsize', String(this.items.length));
    holder.setAttribute('aria-posinset', String(index + 1));
    const link = this.options.render(item, holder, gone.signal);
    link.tabIndex = index === this.active ? 0 : -1;
    this.place(index, holder);
    this.cells.set(index, { holder, link, gone });
    // In the order of the items, for those who read on from one to the next.
    let next: Element | null = null;
    for (let later = index + 1; later <= index + this.shape.columns * 2 && !next; later++) {
      next = this.cells.get(later)?.holder ?? null;
    }
    this.element.insertBefore(holder, next ?? this.firstAfter(index));
  }

  private firstAfter(index: number): Element | null {
    let best = Infinity;
    for (const other of this.cells.keys()) {
      if (other > index && other < best) best = other;
    }
    return this.cells.get(best)?.holder ?? null;
  }

  private place(index: number, holder: HTMLElement): void {
    const { columns, rowHeight, gap } = this.shape;
    const width = (this.width - gap * (columns - 1)) / columns;
    const x = (index % columns) * (width + gap), y = this.rowOf(index) * rowHeight;
    holder.style.width = `${width}px`;
    holder.style.transform = `translate(${x}px, ${y}px)`;
  }

  private activate(index: number): void {
    if (index < 0 || index === this.active) return;
    const before = this.cells.get(this.active), after = this.cells.get(index);
    if (before) before.link.tabIndex = -1;
    if (after) after.link.tabIndex = 0;
    this.active = index;
  }

  private onFocus(event: FocusEvent): void {
    for (const [index, cell] of this.cells) {
      if (cell.link === event.target) this.activate(index);
    }
  }

  /** Moves the focus to an item, and the item into view. */
  private focus(index: number): void {
    this.activate(index);
    this.make(index);
    const row = this.rowOf(index) * this.shape.rowHeight;
    const top = this.element.getBoundingClientRect().top + row;
    const header = document.querySelector('.bar')?.getBoundingClientRect().bottom ?? 0;
    if (top < header) scrollBy({ top: top - header - 12 });
    else if (top + this.shape.rowHeight > innerHeight) {
      scrollBy({ top: top + this.shape.rowHeight - innerHeight });
    }
    this.cells.get(index)?.link.focus({ preventScroll: true });
  }

  private onKey(event: KeyboardEvent): void {
    if (event.altKey || event.ctrlKey || event.metaKey) return;
    const { columns, rowHeight } = this.shape, last = this.items.length - 1;
    const page = columns * Math.max(1, Math.floor(innerHeight / rowHeight) - 1);
    const steps: Record<string, number> = {
      ArrowRight: 1, ArrowLeft: -1, ArrowDown: columns, ArrowUp: -columns,
      PageDown: page, PageUp: -page, Home: -last, End: last,
    };
    const step = steps[event.key];
    if (step === undefined) return;
    event.preventDefault();
    const target = this.active + step;
    const isSideways = Math.abs(step) === 1;
    if ((target < 0 || target > last) && (isSideways || event.key.startsWith('Arrow'))) return;
    this.focus(Math.max(0, Math.min(last, target)));
  }
}
