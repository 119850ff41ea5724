import { defineConfig } from 'vite';

/** Addresses are relative, so that the gateway, or a proxy with a path of its own, may serve the files anywhere. */
export default defineConfig({
  base: './',
  oxc: { jsx: { runtime: 'automatic', importSource: 'preact' } },
  build: {
    // What styles.css needs (`light-dark()`) is in browsers of 2024 and later.
    target: 'es2023',
    // The policy of the page allows no inline script.
    modulePreload: { polyfill: false },
    assetsInlineLimit: 0,
    chunkSizeWarningLimit: 300,
  },
});
