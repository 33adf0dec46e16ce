// A dialog over the page: the browser's own, which keeps the focus in it and closes by Escape.
import type { ComponentChildren } from "preact";
import { useEffect, useId, useRef } from "preact/hooks";

interface Props {
  title: string;
  onClose: () => void;
  children: ComponentChildren;
}

export function Dialog({ title, onClose, children }: Props) {
  const place = useRef<HTMLDialogElement>(null);
  const heading = useId();
  useEffect(() => {
    const dialog = place.current;
    dialog?.showModal();
    return () => dialog?.close();
  }, []);
  return (
    <dialog ref={place} class="dialog" aria-labelledby={heading} onCancel={onClose} onClose={onClose}>
      <h2 id={heading} dir="auto">
        {title}
      </h2>
      {children}
    </dialog>
  );
}
