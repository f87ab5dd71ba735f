/** An editor that opens in place. */
import { type ReactNode, useEffect, useRef, useState } from 'react';

interface Props {
  /** the `data-opens` of the button that opens it, if there are several */
  openedBy?: string;
  label: string;
  children: ReactNode;
  onClose: () => void;
}

/** Moves the focus to the first field, or else to the first button. */
export function focusFirst(container: Element | null): void {
  (container?.querySelector('input') ?? container?.querySelector('button'))?.focus();
}

/**
 * Its first field or button gets the focus.
 * Escape closes it and returns the focus to the opener.
 */
export function InlineEditor({ openedBy, label, children, onClose }: Props) {
  const box = useRef<HTMLFieldSetElement>(null);
  const [focusedBefore] = useState(() => document.activeElement);
  useEffect(() => {
    const container = box.current?.closest('.row, .card, main');
    focusFirst(box.current);
    return () => {
      // Keep the focus if it has moved already.
      if (document.activeElement !== document.body) return;
      // The opener may be gone: a verified address has no Verify button.
      const opener = [
        focusedBefore !== document.body && focusedBefore?.isConnected ? focusedBefore : null,
        container?.querySelector(`[data-opens=${openedBy}]`),
        container?.querySelector('button'),
      ].find((element) => element instanceof HTMLElement);
      opener?.focus();
    };
  }, [openedBy, focusedBefore]);
  return (
    <fieldset
      ref={box}
      className="inline"
      aria-label={label}
      onKeyDown={(event) => {
        if (event.key === 'Escape') onClose();
      }}
    >
      {children}
      <button type="button" className="quiet back" onClick={onClose}>
        Cancel
      </button>
    </fieldset>
  );
}
