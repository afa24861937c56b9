// SPDX-License-Identifier: MIT
// What the server tells of its folders, films and channels, as JSON, read with care: a field that
// is missing or of another kind becomes its neutral value. Addresses stay on this server.

export type Kind = 'folder' | 'film' | 'file';

export interface Entry {
  name: string;
  kind: Kind;
  size: number;
  mtimeMs: number;
  url: string; // absolute
  streamUrl: string | null; // of the playlist; null: what cannot be streamed
  smallestUrl: string; // the smallest rung of a ladder, else the file
  aboutUrl: string; // below it: info.json, poster, subtitles
}

export interface Listing {
  hasLive: boolean;
  isTruncated: boolean;
  entries: Entry[];
}

export interface AudioInfo { language: string; channels: number; codec: string }

export interface Info {
  durationS: number;
  width: number;
  height: number;
  bitRate: number;
  codecs: string;
  frameRate: number;
  audio: AudioInfo[];
  subtitles: string[];
  posterUrl: string | null;
}

export type ChannelState = 'live' | 'stalled' | 'ended';

export interface Channel {
  name: string;
  state: ChannelState;
  sinceMs: number;
  width: number;
  height: number;
  codecs: string;
  hasVideo: boolean;
}

/** An answer that is none: what came instead of JSON. */
export class ServerError extends Error {
  constructor(readonly status: number) {
    super(status === 0 ? 'the server does not answer' : `the server answered ${status}`);
  }
}

type Json = Record<string, unknown>;

const object = (value: unknown): Json =>
  (typeof value === 'object' && value !== null ? value as Json : {});
const list = (value: unknown): unknown[] => (Array.isArray(value) ? value : []);
const text = (value: unknown): string => (typeof value === 'string' ? value : '');
const number = (value: unknown): number =>
  (typeof value === 'number' && Number.isFinite(value) ? value : 0);

async function getJson(url: string, signal: AbortSignal | null = null): Promise<Json> {
  let response: Response;
  try {
    response = await fetch(url, { headers: { Accept: 'application/json' }, signal });
  } catch (error) {
    if (signal?.aborted) throw error;
    throw new ServerError(0);
  }
  if (!response.ok) throw new ServerError(response.status);
  return object(await response.json());
}

/** A reference from the server as an address here; one that leads elsewhere (a file called
 *  "javascript:x") is taken for the name it is. */
function addressOf(href: string, base: string): string {
  try {
    const url = new URL(href, base);
    if (url.origin === new URL(base).origin) return url.href;
  } catch {
    // not a reference at all
  }
  return new URL(encodeURIComponent(href), base).href;
}

function entryOf(value: unknown, base: string): Entry | null {
  const it = object(value), name = text(it.name), kind = text(it.kind);
  if (name === '' || (kind !== 'folder' && kind !== 'film' && kind !== 'file')) return null;
  let href = text(it.href) || encodeURIComponent(name);
  if (kind === 'folder' && !href.endsWith('/')) href += '/';
  const url = addressOf(href, base), stream = text(it.stream);
  const rungs = list(it.rungs).map(text).filter((rung) => rung !== '');
  const smallest = rungs[rungs.length - 1];
  return {
    name: kind === 'folder' ? name.replace(/\/$/, '') : name, kind, url,
    size: number(it.size), mtimeMs: number(it.mtime_ms),
    streamUrl: stream === '' ? null : addressOf(stream, base),
    smallestUrl: smallest === undefined ? url : addressOf(smallest, base),
    aboutUrl: stream === '' ? url : addressOf(stream, base).replace(/\/[^/]*$/, ''),
  };
}

/** The folder that `base`, the page's address, is of. */
export async function fetchListing(base: string): Promise<Listing> {
  const answer = await getJson(new URL('?list=json', base).href);
  const entries = list(answer.entries).map((value) => entryOf(value, base));
  return {
    hasLive: answer.live === true, isTruncated: answer.truncated === true,
    entries: entries.filter((entry): entry is Entry => entry !== null),
  };
}

/** What a film is made of. */
export async function fetchInfo(aboutUrl: string, signal: AbortSignal): Promise<Info> {
  const answer = await getJson(`${aboutUrl}/info.json`, signal);
  const poster = text(answer.poster);
  return {
    durationS: number(answer.duration_s), width: number(answer.width),
    height: number(answer.height), bitRate: number(answer.bit_rate),
    codecs: text(answer.codecs), frameRate: number(answer.frame_rate),
    audio: list(answer.audio).map(object).map((track) => ({
      language: text(track.language), channels: number(track.channels), codec: text(track.codec),
    })),
    subtitles: list(answer.subtitles).map(text),
    posterUrl: poster === '' ? null : addressOf(poster, `${aboutUrl}/`),
  };
}

function channelOf(value: unknown): Channel | null {
  const it = object(value), name = text(it.name), state = text(it.state);
  if (name === '' || (state !== 'live' && state !== 'stalled' && state !== 'ended')) return null;
  return {
    name, state, sinceMs: number(it.since_ms),
    width: number(it.width), height: number(it.height), codecs: text(it.codecs),
    hasVideo: it.has_video !== false,
  };
}

/** Channels of the server at `root`. */
export async function fetchChannels(root: string): Promise<Channel[]> {
  const answer = await getJson(new URL('live/channels.json', root).href);
  const channels = list(answer.channels).map(channelOf);
  return channels.filter((channel): channel is Channel => channel !== null);
}

export function channelUrl(root: string, name: string): string {
  return new URL(`live/${encodeURIComponent(name)}/master.m3u8`, root).href;
}
