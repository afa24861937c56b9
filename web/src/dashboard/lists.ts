// SPDX-License-Identifier: MIT
// The tables: live channels, upstreams, titles, viewers.

import * as format from './format';
import type { Channel, Title, Upstream, Viewer } from './snapshot';
import { table } from './table';

// who watches live keeps little
const fullBufferMs = ({ live }: Viewer) => (live ? 6000 : 30000);
const lowBufferMs = ({ live }: Viewer) => (live ? 500 : 4000);

const none = (value: number) => (value ? '' : 'quiet');
const trouble = (value: number) => (value ? 'warn' : 'quiet');

export const channelTable = () => table<Channel>({
  name: 'Live channels',
  empty: 'Nobody publishes.',
  key: channel => channel.name,
  sortBy: 2,
  columns: [
    { name: 'Channel', text: row => row.name, order: row => row.name, isText: true },
    { name: 'State', text: row => row.state, order: row => row.state, isText: true,
      tone: row => ({ live: 'good', stalled: 'warn', starting: '', ended: 'quiet' })[row.state] },
    { name: 'Viewers', text: row => format.count(row.viewers), order: row => row.viewers,
      tone: row => none(row.viewers) },
    { name: 'Bit rate in', text: row => format.bitRate(row.bits_per_s),
      order: row => row.bits_per_s, isMinor: true },
    { name: 'Latency', order: row => row.latency_ms ?? -1,
      text: row => (row.latency_ms === null ? '–' : `${Math.max(row.latency_ms, 0)}\u202fms`) },
    { name: 'Parts', text: row => format.count(row.parts), order: row => row.parts, isMinor: true },
    { name: 'Memory', text: row => format.bytes(row.memory_bytes), order: row => row.memory_bytes,
      isMinor: true },
    { name: 'Recorded', text: row => format.bytes(row.stored_bytes), order: row => row.stored_bytes,
      isMinor: true, tone: row => none(row.stored_bytes) },
    { name: 'For', text: row => format.duration(row.since_s), order: row => row.since_s,
      isMinor: true },
    { name: 'Publisher', text: row => row.peer ?? '–', order: row => row.peer ?? '', isText: true,
      isMinor: true },
  ],
});

const UPSTREAM_STATES: Record<Upstream['state'], [name: string, tone: string]> = {
  up: ['up', 'good'], open: ['left alone', 'bad'], probing: ['being tried', 'warn'],
  down: ['down', 'bad'],
};

const reuseOf = ({ opened, reused }: Upstream) => reused / Math.max(opened + reused, 1);

export const upstreamTable = () => table<Upstream>({
  name: 'Upstreams',
  empty: 'There are none.',
  key: upstream => `${upstream.prefix} ${upstream.url}`,
  sortBy: 4,
  columns: [
    { name: 'Upstream', text: row => row.url, order: row => row.url, isText: true },
    { name: 'Below', text: row => row.prefix, order: row => row.prefix, isText: true,
      isMinor: true },
    { name: 'State', text: row => UPSTREAM_STATES[row.state][0], order: row => row.state,
      isText: true, tone: row => UPSTREAM_STATES[row.state][1] },
    { name: 'In work', text: row => format.count(row.in_flight), order: row => row.in_flight,
      tone: row => none(row.in_flight) },
    { name: 'Requests', text: row => format.count(row.requests), order: row => row.requests },
    { name: 'Failures', text: row => format.count(row.failures), order: row => row.failures,
      tone: row => trouble(row.failures) },
    { name: 'Latency', order: row => row.latency_ms ?? -1,
      text: row => (row.latency_ms === null ? '–' : `${row.latency_ms.toFixed(1)}\u202fms`) },
    { name: 'Connections', text: row => format.count(row.leased + row.resting),
      order: row => row.leased + row.resting, isMinor: true },
    { name: 'Waiting', text: row => format.count(row.waiting), order: row => row.waiting,
      tone: row => trouble(row.waiting), isMinor: true },
    { name: 'Reuse', text: row => format.percent(reuseOf(row)), order: reuseOf, isMinor: true },
  ],
});

export const titleTable = () => table<Title>({
  name: 'Films and channels watched',
  empty: 'Nobody watches.',
  key: title => `${title.live ? 'live' : 'film'} ${title.name}`,
  sortBy: 1,
  columns: [
    { name: 'Title', text: row => row.name, order: row => row.name, isText: true },
    { name: 'Viewers', text: row => format.count(row.viewers), order: row => row.viewers },
    { name: 'Bit rate', text: row => format.bitRate(row.bits_per_s), order: row => row.bits_per_s },
    { name: 'Each', order: row => row.bits_per_s / Math.max(row.viewers, 1), isMinor: true,
      text: row => format.bitRate(row.bits_per_s / Math.max(row.viewers, 1)) },
    { name: 'Sent', text: row => format.bytes(row.sent_bytes), order: row => row.sent_bytes,
      isMinor: true },
    { name: 'Stalls', text: row => format.count(row.stalls), order: row => row.stalls,
      tone: row => trouble(row.stalls) },
  ],
});

/** "video + audio, 1080" */
const streamOf = ({ streams, rung, live }: Viewer) =>
  [live ? 'live' : '', streams, rung ?? ''].filter(part => part).join(', ');

const whoOf = (row: Viewer) => row.peer ?? 'unknown';

const sessionOf = ({ session, agent }: Viewer) =>
  [session ? `session ${session}` : 'says no session', agent ?? ''].filter(part => part).join('\n');

export const viewerTable = () => table<Viewer>({
  name: 'Viewers',
  empty: 'Nobody watches.',
  key: viewer => viewer.id,
  sortBy: 9, // an order that stays while rates go up and down
  columns: [
    { name: 'Title', text: row => row.title, order: row => row.title, isText: true },
    { name: 'Viewer', text: whoOf, order: whoOf, isText: true, title: sessionOf,
      isMinor: true },
    { name: 'Stream', text: streamOf, order: streamOf, isText: true, isMinor: true },
    { name: 'Bit rate', text: row => format.bitRate(row.bits_per_s), order: row => row.bits_per_s },
    { name: 'Of the media', text: row => format.bitRate(row.media_bits_per_s),
      order: row => row.media_bits_per_s ?? -1, isMinor: true },
    { name: 'Paced at', order: row => row.pace_bits_per_s ?? Infinity, isMinor: true,
      text: row => (row.pace_bits_per_s === null ? 'unpaced' : format.bitRate(row.pace_bits_per_s)),
      tone: row => (row.pace_bits_per_s === null ? 'quiet' : '') },
    { name: 'Buffer', order: row => row.buffer_ms ?? -1,
      text: row => format.seconds(row.buffer_ms === null ? null : row.buffer_ms / 1000),
      tone: row => (row.buffer_ms !== null && row.buffer_ms < lowBufferMs(row) ? 'warn' : ''),
      fill: row =>
        (row.buffer_ms === null ? null : Math.min(row.buffer_ms / fullBufferMs(row), 1)) },
    { name: 'Stalls', text: row => format.count(row.stalls), order: row => row.stalls,
      tone: row => trouble(row.stalls) },
    { name: 'Sent', text: row => format.bytes(row.sent_bytes), order: row => row.sent_bytes,
      isMinor: true },
    { name: 'For', text: row => format.duration(row.since_s), order: row => row.since_s,
      isMinor: true },
    { name: 'Last asked', text: row => `${Math.round(row.seen_s)}\u202fs ago`,
      order: row => row.seen_s, isMinor: true, tone: row => (row.seen_s > 10 ? 'quiet' : '') },
  ],
});
