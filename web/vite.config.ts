// SPDX-License-Identifier: MIT
// Two pages from one build. The entries keep their names, since the server's own HTML links to
// them (with ?v=HASH of the content); what they load later finds itself relative to them, so
// that the pages work below any prefix. The style sheets are linked, never injected, for the
// sake of a strict Content-Security-Policy.

import { defineConfig } from 'vite';

export default defineConfig({
  base: './',
  build: {
    target: ['es2020', 'chrome90', 'firefox90', 'safari14'],
    outDir: 'dist',
    modulePreload: false,
    assetsInlineLimit: 0,
    reportCompressedSize: false,
    chunkSizeWarningLimit: 1000, // hls.js is large; it is fetched only once something plays
    rollupOptions: {
      input: { library: 'src/library/main.ts', dashboard: 'src/dashboard/main.ts' },
      output: {
        entryFileNames: '[name].js',
        chunkFileNames: 'chunks/[name]-[hash].js',
        assetFileNames: '[name][extname]',
      },
    },
  },
});
