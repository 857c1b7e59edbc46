import { useState } from 'react';
import { QueryCache, QueryClient, QueryClientProvider, useQuery } from '@tanstack/react-query';
import { Router } from 'wouter';
import { UnauthorizedError } from '../../sdk/typescript/src/errors.ts';
import { client } from './client/client.ts';
import { takeLink } from './client/session.ts';
import { SignIn } from './pages/sign-in.tsx';
import { Shell } from './shell.tsx';
import { Problem } from './ui/problem.tsx';

/** A session that has ended shows in whichever call meets it first. */
function createCache(): QueryClient {
  const cache: QueryClient = new QueryClient({
    queryCache: new QueryCache({
      onError(error) {
        if (error instanceof UnauthorizedError) cache.setQueryData(['me'], null);
      },
    }),
    // The client repeats what is worth it, and the streams say what has changed.
    defaultOptions: { queries: { retry: false, refetchOnWindowFocus: false, staleTime: 5_000 } },
  });
  // The streams tell only what changes, so what they have told is kept also while no page shows it.
  for (const name of ['instances', 'events']) cache.setQueryDefaults([name], { gcTime: Infinity });
  return cache;
}

const link = takeLink();

export function App() {
  const [cache] = useState(createCache);
  return (
    <QueryClientProvider client={cache}>
      <Router base="/console">
        <Gate />
      </Router>
    </QueryClientProvider>
  );
}

/** The account of the session; null when nobody is signed in. */
async function whoami() {
  try {
    return await client.auth.me();
  } catch (error) {
    if (error instanceof UnauthorizedError) return null;
    throw error;
  }
}

function Gate() {
  // A link is used at once, so that who asks before would be told that nobody is signed in.
  const [waitsForLink, setWaits] = useState(link !== null);
  const [linkProblem, setLinkProblem] = useState<unknown>(null);
  const { data: me, error } = useQuery({ queryKey: ['me'], queryFn: whoami, enabled: !waitsForLink, staleTime: 60_000 });
  const onLinkUsed = (problem: unknown) => {
    setLinkProblem(problem);
    setWaits(false);
  };
  if (waitsForLink || me === null)
    return <SignIn link={waitsForLink ? link : null} linkProblem={linkProblem} onLinkUsed={onLinkUsed} />;
  if (error) return <Problem error={error} />;
  if (me === undefined) return <p className="loading">Opening the console</p>;
  return <Shell me={me} />;
}
