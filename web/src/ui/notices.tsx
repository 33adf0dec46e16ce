// Short notices at the edge of the page, read aloud, gone by themselves.
import { signal } from "@preact/signals";

const SHOWN_MS = 6_000;
const shown = signal<{ id: number; text: string }[]>([]);
let next = 1;

export function notice(text: string): void {
  const id = next;
  next += 1;
  shown.value = [...shown.value.slice(-2), { id, text }];
  setTimeout(() => {
    shown.value = shown.value.filter((each) => each.id !== id);
  }, SHOWN_MS);
}

export function Notices() {
  return (
    <div class="notices" role="status" aria-live="polite">
      {shown.value.map(({ id, text }) => (
        <p key={id}>{text}</p>
      ))}
    </div>
  );
}
