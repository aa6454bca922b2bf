import { fileURLToPath } from "node:url";

export default {
  root: fileURLToPath(new URL(".", import.meta.url)),
  esbuild: { jsx: "automatic" },
  server: { proxy: { "/api/copilotkit": "http://127.0.0.1:8000" } },
};
