import type { ReactNode } from 'react';

/** What a list says that has nothing in it: what would be here, and how it gets there. */
export function EmptyState({ title, children }: { title: string; children?: ReactNode }) {
  return (
    <div className="empty">
      <h2>{title}</h2>
      {children}
    </div>
  );
}
