import { useRef } from 'react';
import type { ChangeEvent } from 'react';

interface FileButtonProps {
  text: string;
  disabled?: boolean;
  onFiles: (files: readonly File[]) => void;
}

/** A button that lets the person choose files. */
export function FileButton({ text, disabled = false, onFiles }: FileButtonProps) {
  const input = useRef<HTMLInputElement>(null);
  const chosen = ({ currentTarget }: ChangeEvent<HTMLInputElement>) => {
    onFiles([...(currentTarget.files ?? [])]);
    // The same file can be chosen again.
    currentTarget.value = '';
  };
  return (
    <>
      <input ref={input} type="file" multiple hidden onChange={chosen} aria-label={text} />
      <button type="button" disabled={disabled} onClick={() => input.current?.click()}>
        {text}
      </button>
    </>
  );
}
