// SPDX-License-Identifier: MIT
// What a browser remembers. Storage may be refused (private windows, full disks) or hold what
// another version wrote: then the page works, and forgets.

export function load(key: string): Record<string, unknown> {
  try {
    const value: unknown = JSON.parse(localStorage.getItem(key) ?? '{}');
    return typeof value === 'object' && value !== null ? value as Record<string, unknown> : {};
  } catch {
    return {};
  }
}

export function save(key: string, value: object): void {
  try {
    localStorage.setItem(key, JSON.stringify(value));
  } catch {
    // forgotten, then
  }
}
