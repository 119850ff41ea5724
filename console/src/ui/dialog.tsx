import type { ComponentChildren } from 'preact';
import { useEffect, useId, useRef } from 'preact/hooks';
import { Icon } from './icon.tsx';

interface DialogProps {
  readonly title: string;
  /** At the side of the page, as high as it is. */
  readonly drawer?: boolean;
  readonly close: () => void;
  readonly children: ComponentChildren;
}

/** A modal dialog. The browser keeps the focus in it, gives it back afterwards, and closes it with Escape. */
export function Dialog({ title, drawer = false, close, children }: DialogProps) {
  const id = useId();
  const element = useRef<HTMLDialogElement>(null);
  const latestClose = useRef(close);
  latestClose.current = close;
  useEffect(() => {
    const before = document.activeElement;
    const dialog = element.current;
    // A click beside the dialog hits the dialog itself, and none of its content.
    const clicked = (event: Event) => {
      if (event.target === dialog) latestClose.current();
    };
    dialog?.addEventListener('click', clicked);
    dialog?.showModal();
    return () => {
      dialog?.close();
      if (before instanceof HTMLElement) before.focus();
    };
  }, []);
  return (
    <dialog
      ref={element}
      class={drawer ? 'drawer' : 'modal'}
      aria-labelledby={id}
      onCancel={(event) => {
        event.preventDefault();
        close();
      }}
    >
      <div class="dialog-box">
        <header class="dialog-head">
          <h2 id={id}>{title}</h2>
          <button type="button" class="bare" onClick={close} aria-label="Close">
            <Icon name="close" />
          </button>
        </header>
        <div class="dialog-body">{children}</div>
      </div>
    </dialog>
  );
}
