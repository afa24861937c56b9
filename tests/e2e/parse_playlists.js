// SPDX-License-Identifier: MIT
//
// What the parsers of npm see in a playlist or manifest: reads it from stdin, writes JSON. What it
// means is left to the test; here is only told what each parser found, in one shape for all:
// complaints, and the streams with their segments.
//
// Usage: node parse_playlists.js hls|dash URL < TEXT
'use strict';

const fs = require('fs');

const resolve = (url, base) => new URL(url, base).href;

function withM3u8Parser(text, url) {
  const parser = new (require('m3u8-parser').Parser)();
  const complaints = [];
  parser.on('warn', event => complaints.push(event.message));
  parser.push(text);
  parser.end();
  const {manifest} = parser;
  const {AUDIO, SUBTITLES} = manifest.mediaGroups || {}; // a media playlist has none
  const groups = Object.entries({...AUDIO, ...SUBTITLES});
  return {
    complaints,
    variants: (manifest.playlists || []).map(({uri, attributes}) => ({
      url: resolve(uri, url), bandwidth: attributes.BANDWIDTH, codecs: attributes.CODECS,
      size: attributes.RESOLUTION && [attributes.RESOLUTION.width, attributes.RESOLUTION.height],
      rate: attributes['FRAME-RATE'], audio: attributes.AUDIO, subtitles: attributes.SUBTITLES,
    })),
    renditions: groups.flatMap(([group, members]) => Object.entries(members).map(
      ([name, member]) => ({group, name, language: member.language, isDefault: member.default,
        url: resolve(member.uri, url)}))),
    target: manifest.targetDuration,
    isComplete: Boolean(manifest.endList) && manifest.playlistType === 'VOD',
    segments: manifest.segments.map(segment => ({url: resolve(segment.uri, url),
      duration: segment.duration, init: segment.map && resolve(segment.map.uri, url)})),
  };
}

function withHlsParser(text, url) {
  const parser = require('hls-parser');
  parser.setOptions({strictMode: true}); // throws where it would only warn
  const playlist = parser.parse(text);
  const seen = new Map();
  for (const variant of playlist.variants || [])
    for (const member of [...variant.audio, ...variant.subtitles])
      seen.set(`${member.groupId} ${member.name}`, {group: member.groupId, name: member.name,
        language: member.language, isDefault: member.isDefault, url: resolve(member.uri, url)});
  return {
    complaints: [],
    variants: (playlist.variants || []).map(variant => ({
      url: resolve(variant.uri, url), bandwidth: variant.bandwidth, codecs: variant.codecs,
      size: variant.resolution && [variant.resolution.width, variant.resolution.height],
      rate: variant.frameRate, audio: variant.audio.length ? variant.audio[0].groupId : undefined,
      subtitles: variant.subtitles.length ? variant.subtitles[0].groupId : undefined,
    })),
    renditions: [...seen.values()],
    target: playlist.targetDuration,
    isComplete: Boolean(playlist.endlist) && playlist.playlistType === 'VOD',
    segments: (playlist.segments || []).map(segment => ({url: resolve(segment.uri, url),
      duration: segment.duration, init: segment.map ? resolve(segment.map.uri, url) : undefined})),
  };
}

function withMpdParser(text, url) {
  const complaints = [];
  const manifest = require('mpd-parser').parse(text, {
    manifestUri: url, eventHandler: event => complaints.push(event.message)});
  const stream = (kind, name, language, playlist) => ({
    kind, name, language, bandwidth: playlist.attributes.BANDWIDTH,
    codecs: playlist.attributes.CODECS,
    size: playlist.attributes.RESOLUTION && [playlist.attributes.RESOLUTION.width,
      playlist.attributes.RESOLUTION.height],
    rate: playlist.attributes['FRAME-RATE'],
    segments: playlist.segments.map(segment => ({url: segment.resolvedUri,
      duration: segment.duration, begin: segment.presentationTime,
      init: segment.map && segment.map.resolvedUri})),
  });
  const groups = [['audio', manifest.mediaGroups.AUDIO], ['text', manifest.mediaGroups.SUBTITLES]];
  return {
    complaints,
    duration: manifest.duration,
    streams: [
      ...manifest.playlists.map(playlist => stream('video', '', '', playlist)),
      ...groups.flatMap(([kind, group]) => Object.values(group).flatMap(members =>
        Object.entries(members).flatMap(([name, member]) => member.playlists.map(
          playlist => stream(kind, name, member.language, playlist))))),
    ],
  };
}

const parsers = {
  hls: {'m3u8-parser': withM3u8Parser, 'hls-parser': withHlsParser},
  dash: {'mpd-parser': withMpdParser},
};
const [kind, url] = process.argv.slice(2);
const text = fs.readFileSync(0, 'utf8');
process.stdout.write(JSON.stringify(Object.fromEntries(
  Object.entries(parsers[kind]).map(([name, parse]) => [name, parse(text, url)]))));
