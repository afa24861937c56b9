// SPDX-License-Identifier: MIT
// What is to be played, as the library names it.

export interface Program {
  title: string;
  key: string; // the address under which the place is remembered
  streamUrl: string | null; // HLS
  fileUrl: string | null; // the film itself; null: there is none (live)
  aboutUrl: string | null; // below it: what is known of the film, and its subtitles
  isLive: boolean;
}
