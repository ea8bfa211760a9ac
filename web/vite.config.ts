import { defineConfig } from "vite";

// Fixed names: src/api/assets.def lists the files that the binary carries.
export default defineConfig({
  build: {
    outDir: "dist",
    modulePreload: false,
    cssCodeSplit: false,
    assetsInlineLimit: 0,
    rollupOptions: {
      output: { entryFileNames: "app.js", assetFileNames: "app[extname]", inlineDynamicImports: true },
    },
  },
});
