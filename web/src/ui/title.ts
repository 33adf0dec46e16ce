// The title of the window, as a view wants it.
import { useEffect } from "preact/hooks";

import { texts } from "../i18n";

export function useTitle(title: string): void {
  useEffect(() => {
    document.title = `${title} · ${texts.value.appName}`;
  }, [title]);
}
