// Asking the API: JSON in and out, errors as one class, and what to do when the session is over.

export class ApiError extends Error {
  constructor(
    readonly status: number,
    readonly code: string,
    message: string,
    readonly details: Record<string, unknown> = {},
  ) {
    super(message);
  }
}

/** What a page does when the host answers as it does to those who are signed in, when it doesn't any more, and when it
 * does not answer at all. */
export const session = {
  good: (): void => undefined,
  ended: (_revoked: boolean): void => undefined,
  silent: (): void => undefined,
};
/** A host that takes longer may be slow or gone: an open connection to an address that is gone says nothing. */
const PATIENCE_MS = 4_000;

type Query = Record<string, string | number | boolean | null | undefined>;

export function address(path: string, query: Query = {}): string {
  const given = Object.entries(query).filter(([, value]) => value !== undefined && value !== null && value !== "");
  const text = new URLSearchParams(given.map(([name, value]) => [name, String(value)])).toString();
  return text ? `${path}?${text}` : path;
}

async function ask<T>(method: string, path: string, body?: unknown, signal?: AbortSignal): Promise<T> {
  const request: RequestInit = { method, credentials: "same-origin", headers: { Accept: "application/json" } };
  if (body !== undefined) {
    request.headers = { Accept: "application/json", "Content-Type": "application/json" };
    request.body = JSON.stringify(body);
  }
  if (signal) request.signal = signal;
  const patience = setTimeout(() => session.silent(), PATIENCE_MS);
  const response = await fetch(path, request)
    .catch((error: unknown) => {
      if (error instanceof DOMException && error.name === "AbortError") throw error;
      session.silent();
      throw new ApiError(0, "UNREACHABLE", "");
    })
    .finally(() => clearTimeout(patience));
  if (response.ok) session.good();
  if (response.status === 204) return undefined as T;
  const answer: unknown = await response.json().catch(() => {
    if (response.ok) throw new ApiError(0, "UNREACHABLE", ""); // broken off in the middle
    return null;
  });
  if (response.ok) return answer as T;
  throw toError(response.status, answer);
}

function toError(status: number, answer: unknown): ApiError {
  const said = (answer as { error?: { code?: string; message?: string; details?: Record<string, unknown> } } | null)?.error;
  const error = new ApiError(status, said?.code ?? "", said?.message ?? "", said?.details ?? {});
  if (status === 401) session.ended(error.code === "DEVICE_REVOKED");
  return error;
}

export const get = <T>(path: string, query?: Query, signal?: AbortSignal): Promise<T> =>
  ask<T>("GET", address(path, query), undefined, signal);
export const post = <T>(path: string, body: unknown = {}): Promise<T> => ask<T>("POST", path, body);
export const patch = <T>(path: string, body: unknown): Promise<T> => ask<T>("PATCH", path, body);
export const remove = <T>(path: string): Promise<T> => ask<T>("DELETE", path);
