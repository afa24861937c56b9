// SPDX-License-Identifier: MIT
// What the settings menu offers for what is playing, and what is remembered of it.

import type { Choice, Engine } from './engine.js';
import { noteHabits } from './memory.js';
import type { Setting } from './menu.js';

export const SPEEDS = [0.5, 0.75, 1, 1.25, 1.5, 1.75, 2] as const;

function qualitySetting(engine: Engine): Setting | null {
  const levels = engine.levels(), { chosen, nowPlaying } = engine.level();
  if (levels.length < 2) return null;
  const auto = nowPlaying === '' ? 'Auto' : `Auto (${nowPlaying})`;
  const label = levels.find(({ id }) => id === chosen)?.label ?? auto;
  return {
    name: 'Quality', chosen: chosen === -1 ? auto : label,
    choices: [{ label: auto, isChosen: chosen === -1, choose: () => engine.setLevel(-1) },
      ...levels.map((level) => ({
        label: level.label, isChosen: level.id === chosen,
        choose: () => engine.setLevel(level.id),
      }))],
  };
}

function audioSetting(engine: Engine): Setting | null {
  const tracks = engine.audio(), now = engine.audioNow();
  if (tracks.length < 2) return null;
  return {
    name: 'Audio', chosen: tracks.find(({ id }) => id === now)?.label ?? '',
    choices: tracks.map(({ id, label, language }) => ({
      label, isChosen: id === now,
      choose: () => {
        engine.setAudio(id);
        noteHabits({ audio: language });
      },
    })),
  };
}

export function chooseSubtitles(engine: Engine, choice: Choice | null): void {
  engine.setSubtitles(choice?.id ?? -1);
  noteHabits({ subtitles: choice ? choice.language || choice.label : '' });
}

function subtitleSetting(engine: Engine): Setting | null {
  const tracks = engine.subtitles(), now = engine.subtitlesNow();
  if (tracks.length === 0) return null;
  return {
    name: 'Subtitles', chosen: tracks.find(({ id }) => id === now)?.label ?? 'Off',
    choices: [{ label: 'Off', isChosen: now === -1, choose: () => chooseSubtitles(engine, null) },
      ...tracks.map((track) => ({
        label: track.label, isChosen: track.id === now,
        choose: () => chooseSubtitles(engine, track),
      }))],
  };
}

export function speedName(speed: number): string {
  return speed === 1 ? 'Normal' : `${speed}×`;
}

function speedSetting(speed: number, setSpeed: (speed: number) => void): Setting {
  return {
    name: 'Speed', chosen: speedName(speed),
    choices: SPEEDS.map((each) => ({
      label: speedName(each), isChosen: each === speed, choose: () => setSpeed(each),
    })),
  };
}

/** The settings there is a choice for; live, the speed is the player's own affair. */
export function settingsOf(engine: Engine | null, isLive: boolean, speed: number,
                           setSpeed: (speed: number) => void): Setting[] {
  const settings = engine
    ? [qualitySetting(engine), subtitleSetting(engine), audioSetting(engine)] : [];
  if (!isLive) settings.push(speedSetting(speed, setSpeed));
  return settings.filter((setting): setting is Setting => setting !== null);
}
