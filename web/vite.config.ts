/// <reference types="vitest/config" />
import { svelte } from '@sveltejs/vite-plugin-svelte';
import { defineConfig } from 'vite';

/** `npm run dev` serves the page and passes everything else to a running Overheard. */
const api = process.env.OVERHEARD_URL ?? 'http://localhost:8080';

export default defineConfig({
  plugins: [svelte()],
  build: { target: 'es2022', chunkSizeWarningLimit: 700, assetsInlineLimit: 0 },
  server: { proxy: { '/api': api, '/openapi.json': api } },
  test: { include: ['src/**/*.test.ts'] },
});
