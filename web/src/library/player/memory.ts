// SPDX-License-Identifier: MIT
// What a viewer would not want to say twice: the place in each film, volume, speed, languages.

import { load, save } from '../../shared/store.js';

const PLACES = 'leat:places', HABITS = 'leat:habits';
const PLACES_LIMIT = 500;

interface Place { timeS: number; lengthS: number; at: number }

function isPlace(value: unknown): value is Place {
  const it = value as Partial<Place> | null;
  return typeof it === 'object' && it !== null && typeof it.timeS === 'number'
    && typeof it.lengthS === 'number' && typeof it.at === 'number' && it.lengthS > 0;
}

/** A film's key: its path, since the server may be reached by several names. */
function keyOf(url: string): string {
  return new URL(url).pathname;
}

function placeOf(url: string): Place | null {
  const place = load(PLACES)[keyOf(url)];
  return isPlace(place) ? place : null;
}

/** Whether so little is left that the film counts as seen. */
export function isFinished(timeS: number, lengthS: number): boolean {
  return lengthS - timeS <= Math.max(1, Math.min(60, lengthS * 0.04));
}

/** Where to go on, in seconds; 0: from the beginning. */
export function resumeAt(url: string): number {
  const place = placeOf(url);
  if (!place || isFinished(place.timeS, place.lengthS)) return 0;
  return place.timeS;
}

/** How much of a film was seen, of 1. */
export function shareWatched(url: string): number {
  const place = placeOf(url);
  return place ? Math.min(1, place.timeS / place.lengthS) : 0;
}

/** Notes where a viewer is; what has hardly begun, or is seen, is forgotten. */
export function notePlace(url: string, timeS: number, lengthS: number): void {
  if (!Number.isFinite(lengthS) || lengthS <= 0) return;
  const places = load(PLACES), key = keyOf(url);
  delete places[key];
  const hasBegun = timeS >= Math.min(10, lengthS * 0.05);
  if (hasBegun && !isFinished(timeS, lengthS)) {
    places[key] = { timeS: Math.round(timeS * 10) / 10, lengthS, at: Date.now() } satisfies Place;
  }
  const ages = Object.entries(places)
    .map(([name, place]) => ({ name, at: isPlace(place) ? place.at : 0 }))
    .sort((a, b) => b.at - a.at);
  for (const { name } of ages.slice(PLACES_LIMIT)) delete places[name];
  save(PLACES, places);
}

export interface Habits {
  volume: number; // 0 to 1
  isMuted: boolean;
  speed: number;
  subtitles: string; // a language, or "" for none
  audio: string; // a language, or "" for the film's own choice
}

export function habits(): Habits {
  const it = load(HABITS);
  const within = (value: unknown, low: number, high: number, otherwise: number) =>
    (typeof value === 'number' && value >= low && value <= high ? value : otherwise);
  return {
    volume: within(it.volume, 0, 1, 1), isMuted: it.isMuted === true,
    speed: within(it.speed, 0.25, 4, 1),
    subtitles: typeof it.subtitles === 'string' ? it.subtitles : '',
    audio: typeof it.audio === 'string' ? it.audio : '',
  };
}

export function noteHabits(change: Partial<Habits>): void {
  save(HABITS, { ...habits(), ...change });
}
