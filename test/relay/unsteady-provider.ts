import type { ServerResponse } from 'node:http';
import { text } from 'node:stream/consumers';
import type { ProviderKind } from './provider-kinds.ts';
import { startScriptedUpstream } from './scripted-upstream.ts';

/** How a provider is: `dead` ends every connection at once, `slow` takes its time for each word, `busy` refuses with 529. */
export type Trouble = 'none' | 'dead' | 'slow' | 'busy';

const WORDS = 20;
const WORD_MS = 20;
const SLOW_WORD_MS = 100;

/** A provider that answers a call which says `id-<n>` with words that name the provider and the call. */
export interface UnsteadyProvider {
  /** Without a path. */
  url: string;
  /** From now on, also for the connections that are open. */
  become(trouble: Trouble): void;
  /** The calls whose answers it began and could not end. */
  cut: ReadonlySet<number>;
  close(): Promise<void>;
}

/** What that provider answers to that call. */
export const answerOf = (provider: string, id: number): string =>
  Array.from({ length: WORDS }, (_, word) => `${provider}/${id}/${word} `).join('');

export async function startUnsteadyProvider(name: string, kind: ProviderKind): Promise<UnsteadyProvider> {
  let trouble: Trouble = 'none';
  const cut = new Set<number>();
  const { url, server, close } = await startScriptedUpstream((request, response) => {
    text(request).then(
      (body) => {
        const id = Number(/id-(\d+)/.exec(body)?.[1]);
        if (trouble === 'busy') return void response.writeHead(529, { 'content-type': 'application/json' }).end('{}');
        answer(response, id, () => (trouble === 'slow' ? SLOW_WORD_MS : WORD_MS));
      },
      // Its connection was ended.
      () => undefined,
    );
  });

  function answer(response: ServerResponse, id: number, pauseMs: () => number): void {
    let word = 0;
    const next = (): void => {
      if (response.destroyed) return;
      if (word === 0) response.writeHead(200, { 'content-type': kind.contentType }).write(kind.begin());
      if (word === WORDS) return void response.end(kind.end());
      response.write(kind.word(`${name}/${id}/${word} `));
      word += 1;
      setTimeout(next, pauseMs());
    };
    response.once('close', () => {
      if (word > 0 && !response.writableFinished) cut.add(id);
    });
    setTimeout(next, pauseMs());
  }

  server.on('connection', (socket) => {
    if (trouble === 'dead') socket.destroy();
  });
  return {
    url: url.replace(/\/v1$/, ''),
    become(next) {
      trouble = next;
      if (next === 'dead') server.closeAllConnections();
    },
    cut,
    close,
  };
}
