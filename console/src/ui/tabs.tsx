import { Link } from 'wouter';

/** Parts of a page, each with an address of its own. */
export function Tabs({ base, tabs, at }: { base: string; tabs: readonly (readonly [string, string])[]; at: string }) {
  return (
    <nav className="tabs" aria-label="Parts of this page">
      {tabs.map(([name, title]) => (
        <Link key={name} href={`${base}/${name}`} aria-current={name === at ? 'page' : undefined}>
          {title}
        </Link>
      ))}
    </nav>
  );
}
