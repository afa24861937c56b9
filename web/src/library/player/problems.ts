// SPDX-License-Identifier: MIT
// What went wrong, in words for whoever wanted to watch.

export type Cause = 'unreachable' | 'gone' | 'forbidden' | 'server' | 'unsupported' | 'broken';

export interface Problem {
  cause: Cause;
  detail: string; // for those who ask: the player's own words
}

export function causeOfStatus(status: number): Cause {
  if (status === 404 || status === 410) return 'gone';
  if (status === 401 || status === 403) return 'forbidden';
  if (status === 415 || status === 422) return 'unsupported'; // a film that cannot be streamed
  if (status === 0) return 'unreachable';
  return 'server';
}

const WORDS: Record<Cause, [film: string, live: string]> = {
  unreachable: ['The server does not answer. Is the network still there?',
    'The server does not answer. Is the network still there?'],
  gone: ['This film is not there any more.', 'This channel is not on air.'],
  forbidden: ['This film may not be watched from here.',
    'This channel may not be watched from here.'],
  server: ['The server could not send this film.', 'The server could not send this channel.'],
  unsupported: ['This browser cannot play the format of this film.',
    'This browser cannot play the format of this channel.'],
  broken: ['The film is damaged here, or this browser stumbled over it.',
    'The stream is damaged, or this browser stumbled over it.'],
};

export function wordsFor(problem: Problem, isLive: boolean): string {
  return WORDS[problem.cause][isLive ? 1 : 0];
}
