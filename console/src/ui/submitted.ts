import type { FormEvent } from 'react';

/** What a form does instead of loading another page. */
export function submitted(work: () => void) {
  return (event: FormEvent) => {
    event.preventDefault();
    work();
  };
}
