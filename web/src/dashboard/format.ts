// SPDX-License-Identifier: MIT
// Figures as people compare them: three digits that count, below each other, and the unit that
// makes them few. (The library rounds more: shared/format.)

import { clock } from '../shared/format';

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
  return scaled(bitsPerSecond, 1000, ['b/s', 'kb/s', 'Mb/s', 'Gb/s', 'Tb/s']);
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
  const value = share * 100;
  if (share < 1 && value >= 99.5) return `${Math.min(value, 99.9).toFixed(1)}\u202f%`; // not all
  return `${value >= 10 ? Math.round(value) : Math.round(value * 10) / 10}\u202f%`;
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
  const days = Math.floor(value / 86400);
  return days > 0 ? `${days}\u202fd ${clock(value % 86400)}` : clock(value);
}
