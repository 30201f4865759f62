/// <reference types="vitest/config" />
import { svelte } from '@sveltejs/vite-plugin-svelte';
import { writeFileSync } from 'node:fs';
import { defineConfig, type Plugin } from 'vite';

/** `npm run dev` serves the page and passes everything else to a running Overheard. */
// The host stays as the browser said it: the server refuses writes whose origin is another.
const api = { target: process.env.OVERHEARD_URL ?? 'http://localhost:8480', changeOrigin: false };

/** A build empties `dist`; this file keeps the folder in the repository, where Cargo looks for it. */
const keepFolder: Plugin = {
  name: 'keep-folder',
  closeBundle: () => writeFileSync(new URL('dist/.gitignore', import.meta.url), '*\n!.gitignore\n'),
};

export default defineConfig({
  plugins: [svelte(), keepFolder],
  build: { target: 'es2022', chunkSizeWarningLimit: 700, assetsInlineLimit: 0 },
  server: { proxy: { '/api': api, '/v1': api, '/openapi.json': api } },
  test: { include: ['src/**/*.test.ts'] },
});
