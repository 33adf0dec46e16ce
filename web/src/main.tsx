// The start: language, whether this browser is signed in, then the page.
import { render } from "preact";

import { App } from "./app";
import { chooseLanguage } from "./i18n";
import { startRouter } from "./router";
import { startSession } from "./session";
import "./styles/base.css";
import "./styles/shell.css";
import "./styles/grid.css";

async function start(): Promise<void> {
  startRouter();
  startSession();
  await chooseLanguage();
  const place = document.getElementById("app");
  if (place) render(<App />, place);
}

void start();
