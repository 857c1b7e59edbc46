import { defineConfig } from 'vite';

/** Every file has a digest in its name, and nothing is inlined: the policy of the page allows files of its origin alone. */
export default defineConfig({
  root: import.meta.dirname,
  base: '/console/',
  build: {
    outDir: 'dist',
    emptyOutDir: true,
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    target: 'es2023',
    reportCompressedSize: false,
  },
  oxc: { jsx: { runtime: 'automatic' } },
  // Packages for two bundlers have directives that mean nothing to this one, and it warns of each.
  logLevel: 'error',
});
