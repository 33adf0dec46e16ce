// Which view shows which address; each is loaded when it is first wanted.
import type { ComponentType } from "preact";
import { lazy } from "preact/compat";

const VIEWS: [RegExp, ComponentType][] = [
  [/^\/albums(\/[^/]+)?$/, lazy(() => import("./Albums"))],
  [/^\/map$/, lazy(() => import("./Map"))],
  [/^\/more$/, lazy(() => import("./More"))],
  [/^\/search$/, lazy(() => import("./Search"))],
];

/** The view for a path; undefined where there is none. */
export const viewFor = (path: string): ComponentType | undefined => VIEWS.find(([pattern]) => pattern.test(path))?.[1];
