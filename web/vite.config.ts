import { defineConfig } from "vite";

// The daemon serves what is built from its own package; nothing of it is committed.
export default defineConfig({
  base: "/gallery/",
  build: {
    outDir: "../pixlsrve/http/gallery/built",
    emptyOutDir: true,
    target: ["chrome111", "firefox113", "safari16.4"],
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    sourcemap: false,
    // What the first view needs is one file: ten small ones took two round trips and a parse each.
    rolldownOptions: { output: { codeSplitting: { groups: [{ name: "start", tags: ["$initial"] }] } } },
  },
});
