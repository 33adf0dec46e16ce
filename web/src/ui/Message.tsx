// A view's way to say that there is nothing, or that something went wrong, with what to do.
import type { ComponentChildren } from "preact";

import { ApiError } from "../api/client";
import { texts } from "../i18n";

interface Props {
  title: string;
  hint?: string;
  children?: ComponentChildren;
}

export function Message({ title, hint, children }: Props) {
  return (
    <section class="message">
      <h1>{title}</h1>
      {hint && <p>{hint}</p>}
      {children}
    </section>
  );
}

/** What an error says to a person. */
export function sentence(error: unknown): string {
  const words = texts.value.errors;
  if (!(error instanceof ApiError)) return words.unknown;
  if (error.status === 0) return words.unreachable;
  return error.message || words.unknown;
}

export function Failure({ error, onRetry }: { error: unknown; onRetry: () => void }) {
  return (
    <Message title={sentence(error)}>
      <button type="button" onClick={onRetry}>
        {texts.value.errors.retry}
      </button>
    </Message>
  );
}
