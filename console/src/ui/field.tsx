import { useId } from 'react';
import type { ReactNode } from 'react';

interface FieldProps {
  label: string;
  hint?: string;
  children: (ids: { id: string; 'aria-describedby'?: string }) => ReactNode;
}

/** An input with its label and what it takes. */
export function Field({ label, hint, children }: FieldProps) {
  const id = useId();
  const hintId = `${id}-hint`;
  return (
    <div className="field">
      <label htmlFor={id}>{label}</label>
      {children({ id, ...(hint === undefined ? {} : { 'aria-describedby': hintId }) })}
      {hint !== undefined && (
        <p id={hintId} className="muted small">
          {hint}
        </p>
      )}
    </div>
  );
}
