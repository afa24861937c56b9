// SPDX-License-Identifier: MIT
// Two pages from one build. The entries keep their names, since the server's own HTML links to
// them (with ?v=HASH of the content); what they load later finds itself relative to them, so
// that the pages work below any prefix. The style sheets are linked, never injected, for the
// sake of a strict Content-Security-Policy.

import { defineConfig, type Plugin } from 'vite';
import hls from './node_modules/hls.js/package.json';

/** Says whose the code is in each chunk that is not ours: minifying takes their comments away. */
function credits(): Plugin {
  return {
    name: 'credits',
    generateBundle(_, bundle) {
      for (const chunk of Object.values(bundle)) {
        if (chunk.type !== 'chunk') continue;
        if (!chunk.moduleIds.some((id) => id.includes('/node_modules/hls.js/'))) continue;
        const { name, version, license } = hls;
        chunk.code = `/*! ${name} ${version} | ${license} | (c) its authors */\n${chunk.code}`;
      }
    },
  };
}

export default defineConfig({
  base: './',
  plugins: [credits()],
  build: {
    target: ['es2020', 'chrome100', 'firefox115', 'safari15.4'],
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
