import { StrictMode } from "react";
import { createRoot } from "react-dom/client";
import { CopilotKit } from "@copilotkit/react-core";

import "@copilotkit/react-ui/styles.css";
import "./page.css";
import { Page } from "./Page.jsx";
import { readSettings } from "./settings.js";

const settings = readSettings(window.location.search);

createRoot(document.getElementById("root")).render(
  <StrictMode>
    <CopilotKit runtimeUrl={settings.runtimeUrl} agent={settings.agent} forwardedParameters={settings.parameters}>
      <Page settings={settings} />
    </CopilotKit>
  </StrictMode>,
);
