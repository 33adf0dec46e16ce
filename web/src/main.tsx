// The start: language, whether this browser is signed in, then the page.
import { render } from "preact";

import { begin } from "./api/early";
import { isExpected } from "./api/ways";
import { App } from "./app";
import { chooseLanguage, texts } from "./i18n";
import { startRouter } from "./router";
import { startSession } from "./session";
import "./styles/base.css";
import "./styles/shell.css";
import "./styles/grid.css";

async function start(): Promise<void> {
  const place = document.getElementById("app");
  if (!place) return;
  if (!(await isExpected())) {
    await chooseLanguage();
    render(<p class="message">{texts.value.more.otherHost}</p>, place);
    return;
  }
  startRouter();
  startSession();
  await Promise.all([begin(location.pathname), chooseLanguage()]);
  render(<App />, place);
}

void start();
