// Which view shows which address; each is loaded when it is first wanted.
import type { ComponentType } from "preact";

import { patient } from "../ui/patient";

/** A view about running the host, with its own catalogue of texts. */
const manage = (load: () => Promise<{ default: ComponentType }>): ComponentType =>
  patient(async () => {
    const [view] = await Promise.all([load(), import("../i18n/manage").then(({ chooseWords }) => chooseWords())]);
    return view;
  });

const VIEWS: [RegExp, ComponentType][] = [
  [/^\/albums(\/[^/]+)?$/, patient(() => import("./Albums"))],
  [/^\/map$/, patient(() => import("./Map"))],
  [/^\/more$/, patient(() => import("./More"))],
  [/^\/more\/upload$/, manage(() => import("./Upload"))],
  [/^\/more\/devices$/, manage(() => import("./Devices"))],
  [/^\/more\/away$/, manage(() => import("./Away"))],
  [/^\/more\/home$/, manage(() => import("./Home"))],
  [/^\/more\/people$/, manage(() => import("./People"))],
  [/^\/more\/settings$/, manage(() => import("./Settings"))],
  [/^\/more\/duplicates$/, manage(() => import("./Duplicates"))],
  [/^\/more\/problems$/, manage(() => import("./Problems"))],
  [/^\/search$/, patient(() => import("./Search"))],
];

/** The view for a path; undefined where there is none. */
export const viewFor = (path: string): ComponentType | undefined => VIEWS.find(([pattern]) => pattern.test(path))?.[1];
