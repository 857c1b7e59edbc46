import { useEffect } from 'react';
import type { ReactNode } from 'react';
import { Link } from 'wouter';

interface PageProps {
  title: string;
  /** The page above this one, and its name. */
  above?: readonly [string, string];
  /** What can be done with the whole page. */
  actions?: ReactNode;
  /** Beside the title: a status. */
  mark?: ReactNode;
  children: ReactNode;
}

/** A page with its title, which is also that of the browser's tab. */
export function Page({ title, above, actions, mark, children }: PageProps) {
  useEffect(() => {
    document.title = `${title} - Thermidora`;
  }, [title]);
  return (
    <div className="page">
      <div className="page-head">
        <div>
          {above && (
            <Link href={above[0]} className="above">
              {above[1]}
            </Link>
          )}
          <div className="title-line">
            <h1>{title}</h1>
            {mark}
          </div>
        </div>
        {actions !== undefined && <div className="actions">{actions}</div>}
      </div>
      {children}
    </div>
  );
}
