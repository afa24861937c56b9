// SPDX-License-Identifier: MIT
// The dashboard: one page, drawn anew from each snapshot. What changes each second is not
// announced; what an operator must know (the connection is lost, a thread is held) is, once.

import './dashboard.css';
import { h, setAttribute, setText } from '../shared/dom';
import * as format from './format';
import { channelTable, titleTable, upstreamTable, viewerTable } from './lists';
import { caches, connections, cores, errors, figures, latency, traffic } from './panels';
import type { Snapshot } from './snapshot';
import { listen, type Link } from './source';

const NOTHING_YET = 'Waiting for the first figures…';

const state = h('p', { class: 'state', 'data-link': 'connecting' }, 'connecting');
const about = h('p', { class: 'about' });
const alarm = h('p', { class: 'alarm', role: 'status' });
const head = h('header', { class: 'top' },
  h('h1', {}, 'leat', h('span', { class: 'hidden-text' }, ' dashboard')), state, about,
  h('nav', { 'aria-label': 'More' }, h('a', { href: '/metrics' }, 'Metrics'),
    h('a', { href: '/healthz' }, 'Health'), h('a', { href: '/debug/fibers' }, 'Fibers'),
    h('a', { href: '/snapshot.json' }, 'JSON')));

const charts = [traffic(), cores(), latency(), caches(), connections(), errors()];
const top = figures();
const channels = channelTable(), titles = titleTable(), viewers = viewerTable();
const upstreams = upstreamTable();
const main = h('main', { class: 'waiting' }, top.root,
  h('div', { class: 'grid' }, ...charts.map(panel => panel.root), channels.root, upstreams.root,
    titles.root, viewers.root));
channels.root.hidden = upstreams.root.hidden = true;
for (const { root } of [titles, viewers]) root.classList.add('of-films');

let link: Link = 'connecting', alarms: string[] = [], lastTime = '';

/** A sentence for each thing that is wrong; said when it changes, not each second. */
function showAlarms(): void {
  const since = lastTime && `; what is shown is of ${lastTime}`;
  const lost = `The connection is lost${since}. Trying again.`;
  setText(alarm, link === 'lost' ? lost : alarms.join(' '));
  alarm.hidden = alarm.textContent === '';
}

function showLink(newLink: Link): void {
  link = newLink;
  setAttribute(state, 'data-link', link);
  setText(state, { connecting: 'connecting', on: 'live', lost: 'disconnected' }[link]);
  main.classList.toggle('stale', link === 'lost');
  showAlarms();
}

function alarmsOf({ workers, draining }: Snapshot): string[] {
  const held = workers.flatMap((worker, index) => (worker.state === 'held' ? [index] : []));
  return [
    ...(draining ? ['The server is ending: it takes no new connections.'] : []),
    ...held.map(index => `Worker ${index} is held: it has not come round for a second.`),
  ];
}

function draw(snapshot: Snapshot): void {
  const { totals } = snapshot;
  main.classList.remove('waiting');
  main.classList.toggle('without-films', snapshot.film_cache === null);
  lastTime = new Date(snapshot.time_ms).toLocaleTimeString();
  alarms = alarmsOf(snapshot);
  showAlarms();
  const { version, engine, uptime_s } = snapshot;
  setText(about, `${version}, ${engine}, up ${format.duration(uptime_s)}`);
  document.title = snapshot.film_cache ? `${format.count(totals.viewers)} watching – leat`
    : `${format.rate(totals.requests_per_s)}/s – leat`;
  top.draw(snapshot);
  for (const chart of charts) chart.draw(snapshot);
  channels.root.hidden = !snapshot.channels?.length;
  channels.draw(snapshot.channels ?? [], snapshot.channels?.length ?? 0);
  upstreams.root.hidden = !snapshot.upstreams?.length;
  upstreams.draw(snapshot.upstreams ?? [], snapshot.upstreams?.length ?? 0);
  titles.draw(snapshot.titles, totals.titles);
  viewers.draw(snapshot.viewers, totals.viewers);
}

document.body.append(head, alarm, main);
setText(about, NOTHING_YET);
listen('/events', draw, showLink);
