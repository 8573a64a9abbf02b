import preact from "@preact/preset-vite";
import { defineConfig } from "vite";

export default defineConfig({
  base: "/console/",
  plugins: [preact()],
  build: {
    outDir: "../serve_app/web/page",
    emptyOutDir: true,
    target: "es2023",
    modulePreload: { polyfill: false },
    assetsInlineLimit: 0, // because the page's policy allows files of the service alone
    reportCompressedSize: false,
  },
  // `npm run dev` with a service on its usual port.
  server: { proxy: { "/api": "http://127.0.0.1:8088", "/health": "http://127.0.0.1:8088" } },
});
