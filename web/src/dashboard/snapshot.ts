// SPDX-License-Identifier: MIT
// What the server tells once a second (docs/operations.md). Names, addresses and agents are
// strangers' words: they only ever become text nodes.

export interface Worker {
  state: 'on' | 'held' | 'ended';
  cpu: number | null; // 1: all of a core
  connections: number;
  requests_per_s: number;
  fibers: number;
}

export interface Title {
  name: string;
  live: boolean;
  viewers: number;
  bits_per_s: number;
  sent_bytes: number;
  stalls: number;
}

export interface Viewer {
  id: string;
  peer: string | null;
  session: string | null;
  agent: string | null;
  title: string;
  live: boolean;
  rung: string | null;
  streams: string;
  bits_per_s: number;
  media_bits_per_s: number | null;
  pace_bits_per_s: number | null;
  buffer_ms: number | null;
  stalls: number;
  sent_bytes: number;
  since_s: number;
  seen_s: number;
}

export interface Channel {
  name: string;
  state: 'starting' | 'live' | 'stalled' | 'ended';
  peer: string | null;
  since_s: number;
  viewers: number;
  bits_per_s: number;
  latency_ms: number | null;
  parts: number;
  segments: number;
  epochs: number;
  memory_bytes: number;
  stored_bytes: number;
}

export interface Upstream {
  prefix: string;
  url: string;
  state: 'up' | 'open' | 'probing' | 'down';
  in_flight: number;
  requests: number;
  failures: number;
  latency_ms: number | null;
  leased: number; // connections
  resting: number;
  waiting: number; // requests, for a connection
  opened: number;
  reused: number;
}

export interface Compression {
  responses: number;
  plain_bytes: number; // of these, before
  coded_bytes: number; // and after
  cpu_s: number;
  copy_bytes: number; // of files, in memory
}

export interface Snapshot {
  time_ms: number;
  uptime_s: number;
  version: string;
  engine: string;
  draining: boolean;
  totals: {
    viewers: number;
    titles: number;
    bits_per_s: number;
    requests_per_s: number;
    connections: number;
    sent_bytes: number;
  };
  workers: Worker[];
  process: { cpu: number; memory_bytes: number; files: number; files_max: number };
  latency: {
    seconds: number;
    bounds_us: number[];
    counts: number[]; // one more than bounds
    p50_us: number | null;
    p90_us: number | null;
    p99_us: number | null;
  };
  residency: { seconds: number; sent_bytes: number; filled_bytes: number; share: number | null };
  files: {
    seconds: number;
    entries: number;
    evictions: number;
    hits: number;
    misses: number;
    share: number | null;
  };
  film_cache: {
    entries: number;
    bytes: number;
    building: number;
    builds: number;
    failures: number;
    segments: number;
    copied_bytes: number;
  } | null; // no films are served: leat proxy
  compression: Compression | null; // null: nothing is compressed
  connections: Record<string, number>;
  errors: Record<string, number>;
  channels?: Channel[];
  upstreams?: Upstream[];
  titles: Title[];
  viewers: Viewer[];
  history: { seconds: number; bits_per_s: number[]; viewers: number[] };
}
