import { lazy, Suspense, useState } from "react";
import { CopilotChat } from "@copilotkit/react-ui";

import { useBackgroundAction } from "./background.jsx";
import { Plan } from "./Plan.jsx";
import { Question } from "./Question.jsx";
import { Suggestions } from "./Suggestions.jsx";
import { Team } from "./Team.jsx";
import { Weather } from "./Weather.jsx";

const Desk = lazy(() => import("./Desk.jsx"));

const LABELS = {
  title: "Chat",
  initial: "Ask me to change the background to a colour you like.",
  placeholder: "Say something",
};

export function Page({ settings }) {
  const [background, setBackground] = useState("#eef2f7");
  useBackgroundAction(setBackground);
  return (
    <main className="page" style={{ background }} data-background={background}>
      <section className="panel about">
        <p className="eyebrow">copilotkit-runtime-py</p>
        <h1>A Python agent, a React page</h1>
        <p>
          This page is built on the published CopilotKit packages. Everything it says goes straight to an agent
          written in Python, and what the agent knows comes back while it works.
        </p>
        {settings.agent && <Plan agent={settings.agent} />}
        {settings.team.length > 0 && <Team agents={settings.team} />}
        {settings.desk && (
          <Suspense>
            <Desk />
          </Suspense>
        )}
        <p className="runtime">
          <code>runtimeUrl</code> <span>{settings.runtimeUrl}</span>
        </p>
      </section>
      <section className="panel chat">
        <CopilotChat
          labels={LABELS}
          suggestions={settings.suggestions ? "auto" : "manual"}
          imageUploadsEnabled={settings.desk}
        />
      </section>
      {settings.questions && <Question />}
      {settings.suggestions && <Suggestions />}
      {settings.draws && <Weather available={settings.draws} />}
    </main>
  );
}
