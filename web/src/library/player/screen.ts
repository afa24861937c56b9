// SPDX-License-Identifier: MIT
// Full screen and picture in picture, where a browser has them.

type Video = HTMLVideoElement & { webkitEnterFullscreen?: () => void }; // on an iPhone

export function canFillScreen(video: Video): boolean {
  return document.fullscreenEnabled || video.webkitEnterFullscreen !== undefined;
}

/** Fills the screen with `frame`, or with the video alone where nothing else may, or stops. */
export function toggleFullscreen(frame: HTMLElement, video: Video): void {
  if (document.fullscreenElement) void document.exitFullscreen();
  else if (document.fullscreenEnabled) void frame.requestFullscreen().catch(() => undefined);
  else video.webkitEnterFullscreen?.();
}

export function togglePip(video: HTMLVideoElement): void {
  if (!document.pictureInPictureEnabled || video.readyState === 0) return;
  if (document.pictureInPictureElement) void document.exitPictureInPicture();
  else void video.requestPictureInPicture().catch(() => undefined);
}

/** Leaves both: the player closes. */
export function leaveScreens(video: HTMLVideoElement): void {
  if (document.pictureInPictureElement === video) void document.exitPictureInPicture();
  if (document.fullscreenElement) void document.exitFullscreen();
}
