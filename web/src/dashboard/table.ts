// SPDX-License-Identifier: MIT
// A table that is drawn again and again: rows stay the same elements as long as their key is
// there, so that what is selected stays selected; and it sorts by the column that is clicked.

import { h, setAttribute, setText } from '../shared/dom';

export interface Column<Row> {
  name: string;
  text: (row: Row) => string;
  /** What it sorts by. Numbers go down first, and stand at the right. */
  order: (row: Row) => number | string;
  title?: (row: Row) => string; // more of it, for who points at it
  tone?: (row: Row) => string; // a class: "warn", "quiet"
  fill?: (row: Row) => number | null; // 0 to 1: a meter behind the figure
  isMinor?: boolean; // left out where there is little room
  isText?: boolean;
}

export interface Table<Row> {
  readonly root: HTMLElement;
  draw(rows: Row[], total: number): void;
}

interface Line {
  row: HTMLTableRowElement;
  cells: HTMLElement[];
  serial: number;
}

export function table<Row>(options: {
  name: string;
  empty: string;
  columns: Column<Row>[];
  key: (row: Row) => string;
  sortBy: number;
}): Table<Row> {
  const { columns } = options;
  const id = `table-${options.name.toLowerCase().replace(/\W+/g, '-')}`;
  const heading = h('h2', { id }, options.name);
  const note = h('span', { class: 'note' });
  const head = h('tr'), body = h('tbody');
  const grid = h('table', { 'aria-labelledby': id }, h('thead', {}, head), body);
  const empty = h('p', { class: 'empty' }, options.empty);
  const pane = h('div', { class: 'scroll' }, grid);
  const root = h('section', { class: 'card wide' },
    h('header', {}, heading, note), pane, empty);
  const lines = new Map<string, Line>();
  let sortBy = options.sortBy, isDown = true, rows: Row[] = [], total = 0, serial = 0;

  const classOf = (column: Column<Row>) =>
    [column.isText ? 'words' : 'number', column.isMinor ? 'minor' : ''].join(' ').trim();
  const heads = columns.map((column, index) => {
    const button = h('button', { type: 'button' }, column.name);
    const cell = h('th', { scope: 'col', class: classOf(column) }, button);
    button.addEventListener('click', () => {
      isDown = sortBy === index ? !isDown : !column.isText;
      sortBy = index;
      redraw();
    });
    return cell;
  });
  head.append(...heads);

  function compare(a: Row, b: Row): number {
    const { order } = columns[sortBy]!;
    const one = order(a), other = order(b);
    const result = typeof one === 'string' ? one.localeCompare(String(other)) : one - Number(other);
    return (isDown ? -result : result) || options.key(a).localeCompare(options.key(b));
  }

  function makeLine(): Line {
    const row = h('tr');
    const cells = columns.map((column, index) => {
      const cell = index === 0 ? h('th', { scope: 'row' }) : h('td');
      cell.className = classOf(column);
      const inner = h(column.isText ? 'bdi' : 'span');
      cell.append(inner);
      row.append(cell);
      return inner;
    });
    return { row, cells, serial };
  }

  function fillLine(line: Line, row: Row): void {
    columns.forEach((column, index) => {
      const cell = line.cells[index]!;
      setText(cell, column.text(row));
      if (column.title) setAttribute(cell, 'title', column.title(row));
      if (column.tone) setAttribute(cell, 'class', column.tone(row));
      if (!column.fill) return;
      const share = column.fill(row);
      setAttribute(cell.parentElement!, 'data-meter', share === null ? 'none' : 'on');
      cell.parentElement!.style.setProperty('--share', String(share ?? 0));
    });
  }

  function redraw(): void {
    serial++;
    heads.forEach((cell, index) => {
      if (index === sortBy) setAttribute(cell, 'aria-sort', isDown ? 'descending' : 'ascending');
      else cell.removeAttribute('aria-sort');
    });
    let place: ChildNode | null = body.firstChild;
    for (const row of [...rows].sort(compare)) {
      const key = options.key(row);
      let line = lines.get(key);
      if (line?.serial === serial) continue; // a key twice: the first one counts
      if (!line) lines.set(key, (line = makeLine()));
      line.serial = serial;
      fillLine(line, row);
      if (line.row === place) place = place.nextSibling;
      else body.insertBefore(line.row, place);
    }
    for (const [key, line] of lines) {
      if (line.serial === serial) continue;
      line.row.remove();
      lines.delete(key);
    }
    grid.hidden = rows.length === 0;
    empty.hidden = rows.length > 0;
    setText(note, total > rows.length ? `${rows.length} of ${total}` : total ? String(total) : '');
    measure();
  }

  /** What scrolls must be reachable by keyboard (WCAG 2.1.1). */
  function measure(): void {
    if (pane.scrollWidth > pane.clientWidth + 1) {
      setAttribute(pane, 'tabindex', '0');
      setAttribute(pane, 'role', 'region');
      setAttribute(pane, 'aria-labelledby', id);
    } else {
      for (const name of ['tabindex', 'role', 'aria-labelledby']) pane.removeAttribute(name);
    }
  }
  new ResizeObserver(measure).observe(pane);

  redraw();
  return {
    root,
    draw(newRows, newTotal) {
      rows = newRows;
      total = newTotal;
      redraw();
    },
  };
}
