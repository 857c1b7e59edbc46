import { lazy, Suspense } from 'react';
import { useIsFetching, useMutation, useQueryClient } from '@tanstack/react-query';
import { Link, Redirect, Route, Switch, useLocation } from 'wouter';
import type { AnswerOf } from '../../sdk/typescript/src/types.ts';
import { useLive } from './client/live.ts';
import { signOut } from './client/session.ts';
import { money } from './format.ts';
import { Instances } from './pages/instances.tsx';
import { Boundary } from './ui/boundary.tsx';
import { Page } from './ui/page.tsx';

const InstancePage = lazy(() => import('./pages/instance/instance-page.tsx').then((page) => ({ default: page.InstancePage })));
const AgentPage = lazy(() => import('./pages/agent/agent-page.tsx').then((page) => ({ default: page.AgentPage })));
const Usage = lazy(() => import('./pages/usage.tsx').then((page) => ({ default: page.Usage })));
const Keys = lazy(() => import('./pages/keys/keys.tsx').then((page) => ({ default: page.Keys })));
const Budgets = lazy(() => import('./pages/budgets/budgets.tsx').then((page) => ({ default: page.Budgets })));
const AccountPage = lazy(() => import('./pages/account.tsx').then((page) => ({ default: page.AccountPage })));
const Events = lazy(() => import('./pages/events.tsx').then((page) => ({ default: page.Events })));
const OperatorPage = lazy(() => import('./pages/operator/operator-page.tsx').then((page) => ({ default: page.OperatorPage })));
const Webhooks = lazy(() => import('./pages/webhooks.tsx').then((page) => ({ default: page.Webhooks })));

type Me = AnswerOf<'auth.me'>;

const PLACES = [
  ['/', 'Instances'],
  ['/events', 'Events'],
  ['/webhooks', 'Webhooks'],
  ['/keys', 'API keys'],
  ['/usage', 'Usage'],
  ['/budgets', 'Budgets'],
] as const;

/** Navigation, the account, and the page of the address. */
export function Shell({ me }: { me: Me }) {
  useLive();
  const isLoading = useIsFetching() > 0;
  return (
    <div className="shell">
      <a className="skip" href="#main">
        Skip to the page
      </a>
      <header className="side">
        <Link href="/" className="brand">
          <span className="brand-mark" aria-hidden="true">
            T
          </span>
          Thermidora
        </Link>
        <Navigation isOperator={me.operator} />
        <Account me={me} />
      </header>
      <main id="main" tabIndex={-1} aria-busy={isLoading}>
        <Boundary>
          <Suspense fallback={<p className="loading">Loading the page</p>}>
            <Pages />
          </Suspense>
        </Boundary>
      </main>
    </div>
  );
}

function Navigation({ isOperator }: { isOperator: boolean }) {
  const [at] = useLocation();
  const isHere = (path: string) => (path === '/' ? at === '/' || at.startsWith('/instances') : at.startsWith(path));
  return (
    <nav aria-label="Console">
      {PLACES.map(([path, title]) => (
        <Link key={path} href={path} aria-current={isHere(path) ? 'page' : undefined}>
          {title}
        </Link>
      ))}
      {isOperator && (
        <Link href="/operator" aria-current={isHere('/operator') ? 'page' : undefined}>
          Operator
        </Link>
      )}
      <a href="/docs">Reference</a>
    </nav>
  );
}

function Account({ me }: { me: Me }) {
  const cache = useQueryClient();
  const out = useMutation({
    mutationFn: signOut,
    onSettled() {
      cache.setQueryData(['me'], null);
      cache.removeQueries({ predicate: ({ queryKey }) => queryKey[0] !== 'me' });
    },
  });
  return (
    <div className="account">
      <Link href="/account" className="account-name" title={me.email}>
        {me.name}
      </Link>
      <span className="muted">{money(me.balanceNanoUsd)} left</span>
      <button type="button" className="quiet" onClick={() => out.mutate()} title="Ends your sessions on all devices">
        Sign out everywhere
      </button>
    </div>
  );
}

function Pages() {
  return (
    <Switch>
      <Route path="/" component={Instances} />
      <Route path="/instances">
        <Redirect to="/" replace />
      </Route>
      <Route path="/instances/:instanceId/agents/:agentId/:tab?">
        {({ instanceId, agentId, tab }) => (
          <AgentPage key={agentId} instanceId={instanceId} agentId={agentId} tab={tab ?? 'chat'} />
        )}
      </Route>
      <Route path="/instances/:instanceId/:tab?">
        {({ instanceId, tab }) => <InstancePage key={instanceId} instanceId={instanceId} tab={tab ?? 'agents'} />}
      </Route>
      <Route path="/events" component={Events} />
      <Route path="/webhooks/:webhookId?">{({ webhookId }) => <Webhooks webhookId={webhookId ?? null} />}</Route>
      <Route path="/keys" component={Keys} />
      <Route path="/usage" component={Usage} />
      <Route path="/budgets" component={Budgets} />
      <Route path="/account" component={AccountPage} />
      <Route path="/operator/:tab?">{({ tab }) => <OperatorPage tab={tab ?? 'instances'} />}</Route>
      <Route>
        <Page title="There is no page at this address">
          <p>
            The link may be old. <Link href="/">Go to your instances</Link>
          </p>
        </Page>
      </Route>
    </Switch>
  );
}
