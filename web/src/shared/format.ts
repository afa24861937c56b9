// SPDX-License-Identifier: MIT
// Numbers as people read them. Sizes are binary, as everywhere in leat.

/** 75 → "1:15", 3675 → "1:01:15". */
export function clock(seconds: number): string {
  const whole = Number.isFinite(seconds) ? Math.max(0, Math.floor(seconds)) : 0;
  const pad = (value: number) => String(value).padStart(2, '0');
  const hours = Math.floor(whole / 3600), minutes = Math.floor(whole / 60) % 60;
  const rest = `${hours > 0 ? pad(minutes) : minutes}:${pad(whole % 60)}`;
  return hours > 0 ? `${hours}:${rest}` : rest;
}

/** "1 film", "2 films". */
export function counted(count: number, unit: string): string {
  return `${count} ${unit}${count === 1 ? '' : 's'}`;
}

/** A length for ears: "1 hour 2 minutes", "40 seconds". */
export function spokenTime(seconds: number): string {
  const whole = Number.isFinite(seconds) ? Math.max(0, Math.floor(seconds)) : 0;
  const hours = Math.floor(whole / 3600), minutes = Math.floor(whole / 60) % 60;
  const words = [];
  if (hours > 0) words.push(counted(hours, 'hour'));
  if (minutes > 0) words.push(counted(minutes, 'minute'));
  if (hours === 0 && (whole % 60 > 0 || minutes === 0)) words.push(counted(whole % 60, 'second'));
  return words.join(' ');
}

const UNITS = ['B', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB'];

/** 1536 → "1.5 KiB". */
export function size(bytes: number): string {
  let value = bytes, unit = 0;
  while (value >= 1023.5 && unit < UNITS.length - 1) {
    value /= 1024;
    unit++;
  }
  return `${value < 10 && unit > 0 ? value.toFixed(1) : Math.round(value)} ${UNITS[unit]}`;
}

/** Bits per second in powers of ten, as encoders count them: "4.2 Mb/s". */
export function bitRate(bits: number): string {
  if (bits >= 1e6) return `${(bits / 1e6).toFixed(bits >= 1e8 ? 0 : 1)} Mb/s`;
  return `${Math.round(bits / 1e3)} kb/s`;
}

const HEIGHTS: readonly (readonly [number, string])[] = [
  [4320, '8K'], [2160, '4K'], [1440, '1440p'], [1080, '1080p'], [720, '720p'], [576, '576p'],
  [480, '480p'], [360, '360p'], [240, '240p'], [144, '144p'],
];

/** The usual name of a picture's size; wide films are named after their width's class. */
export function resolution(width: number, height: number): string {
  const long = Math.max(width, height), short = Math.min(width, height);
  for (const [lines, name] of HEIGHTS) {
    if (short === lines || long === Math.round(lines * 16 / 9)) return name;
  }
  return `${short}p`;
}

const CODECS: readonly (readonly [RegExp, string])[] = [
  [/^avc[1-4]/, 'H.264'], [/^(hvc1|hev1|dvh[1e])/, 'HEVC'], [/^av01/, 'AV1'], [/^vp09/, 'VP9'],
  [/^vp08/, 'VP8'], [/^mp4v/, 'MPEG-4'], [/^s263/, 'H.263'], [/^mp4a\.(69|6b)/i, 'MP3'],
  [/^mp4a/, 'AAC'], [/^opus/i, 'Opus'], [/^flac/i, 'FLAC'], [/^ac-3/, 'Dolby Digital'],
  [/^ec-3/, 'Dolby Digital Plus'], [/^ac-4/, 'AC-4'], [/^alac/, 'ALAC'],
];

/** "avc1.64001f,mp4a.40.2" → ["H.264", "AAC"]. */
export function codecNames(codecs: string): string[] {
  const names = codecs.split(',').map((codec) => codec.trim()).filter((codec) => codec !== '')
    .map((codec) => CODECS.find(([pattern]) => pattern.test(codec))?.[1] ?? codec.split('.')[0]!);
  return [...new Set(names)];
}

/** "de" → "German", in the reader's language; what is no language stays as it is. */
export function languageName(code: string): string {
  if (code === '' || code === 'und') return '';
  try {
    return new Intl.DisplayNames(undefined, { type: 'language' }).of(code) ?? code;
  } catch {
    return code;
  }
}

/** "5 min", "2 h 10 min" since then. */
export function since(fromMs: number, nowMs: number): string {
  const minutes = Math.max(0, Math.floor((nowMs - fromMs) / 60000));
  if (minutes < 1) return 'just started';
  if (minutes < 60) return `for ${minutes} min`;
  return `for ${Math.floor(minutes / 60)} h ${minutes % 60} min`;
}
