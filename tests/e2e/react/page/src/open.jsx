import { createRoot } from "react-dom/client";

import { readSettings } from "./settings.js";

/** Renders the page, with the settings that the address bar holds. */
export function open(Page) {
  createRoot(document.getElementById("root")).render(<Page settings={readSettings(window.location.search)} />);
}
