// SPDX-License-Identifier: MIT
// Figures as people read them: three digits that count, and the unit that makes them few.

const UNKNOWN = '–';

function threeDigits(value: number): string {
  return value.toFixed(value < 9.995 ? 2 : value < 99.95 ? 1 : 0);
}

function scaled(value: number, step: number, units: readonly string[]): string {
  let index = 0;
  while (value >= step * 0.9995 && index < units.length - 1) {
    value /= step;
    index++;
  }
  return `${index === 0 ? Math.round(value) : threeDigits(value)}\u202f${units[index]}`;
}

export function bitRate(bitsPerSecond: number | null): string {
  if (bitsPerSecond === null) return UNKNOWN;
  return scaled(bitsPerSecond, 1000, ['bit/s', 'kbit/s', 'Mbit/s', 'Gbit/s', 'Tbit/s']);
}

export function bytes(count: number | null): string {
  return count === null ? UNKNOWN : scaled(count, 1024, ['B', 'KiB', 'MiB', 'GiB', 'TiB']);
}

export function count(value: number): string {
  return value < 1e5 ? String(Math.round(value)) : scaled(value, 1000, ['', 'k', 'M', 'G']);
}

export function rate(perSecond: number): string {
  return perSecond < 10 ? String(Math.round(perSecond * 10) / 10) : count(perSecond);
}

export function percent(share: number | null): string {
  if (share === null) return UNKNOWN;
  // 100 % is said of all, and not of nearly all
  const value = share < 1 ? Math.min(share * 100, 99.9) : 100;
  return `${value >= 10 && value !== 99.9 ? Math.round(value) : Math.round(value * 10) / 10}\u202f%`;
}

export function microseconds(value: number | null): string {
  if (value === null) return UNKNOWN;
  if (value < 1000) return `${Math.round(value)}\u202fµs`;
  if (value < 1e6) return `${threeDigits(value / 1e3)}\u202fms`;
  return `${threeDigits(value / 1e6)}\u202fs`;
}

/** A bound as it is written below a bar: round numbers only. */
export function bound(value: number): string {
  if (value < 1000) return `${value}\u202fµs`;
  return value < 1e6 ? `${value / 1e3}\u202fms` : `${value / 1e6}\u202fs`;
}

export function seconds(value: number | null): string {
  return value === null ? UNKNOWN : `${value.toFixed(1)}\u202fs`;
}

export function duration(value: number): string {
  const whole = Math.floor(value);
  const two = (part: number) => String(part).padStart(2, '0');
  const clock = `${Math.floor(whole / 3600) % 24}:${two(Math.floor(whole / 60) % 60)}:${two(whole % 60)}`;
  return whole < 86400 ? clock : `${Math.floor(whole / 86400)}\u202fd ${clock}`;
}
