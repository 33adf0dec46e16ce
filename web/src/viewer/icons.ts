// The viewer's buttons, as PhotoSwipe wants them.
const PATHS = {
  info: "M12 3a9 9 0 1 0 0 18 9 9 0 0 0 0-18zM12 11v6M12 7.5h.01",
  download: "M12 4v11M7 11l5 5 5-5M5 20h14",
  share: "M12 15V4M8 7l4-4 4 4M5 12v8h14v-8",
  play: "M7 5v14l12-7z",
};

export const iconHtml = (name: keyof typeof PATHS): string =>
  `<svg class="viewer-icon" viewBox="0 0 24 24" width="24" height="24" aria-hidden="true"><path d="${PATHS[name]}" fill="none" stroke="currentColor" stroke-width="1.8" stroke-linecap="round" stroke-linejoin="round"/></svg>`;
