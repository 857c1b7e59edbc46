import { once } from 'node:events';
import { readFile, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import { request } from 'node:https';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { parse } from 'yaml';
import { z } from 'zod';
import type { KubernetesUnderTest } from '../../support/kubernetes-under-test.ts';

const kubeconfig = z.looseObject({
  clusters: z.tuple([z.looseObject({ cluster: z.looseObject({ server: z.string(), 'certificate-authority': z.string() }) })]),
});

interface CutOff {
  /** A kubeconfig. */
  config: string;
  close(): Promise<void>;
}

/** A way to the API server that lets so many changes through and breaks off at the next one, and at each after it. */
export async function cutAfter(settings: KubernetesUnderTest['settings'], allowed: number): Promise<CutOff> {
  const config = kubeconfig.parse(parse(await readFile(settings.KUBERNETES_CONFIG ?? '', 'utf8')));
  const [{ cluster: target }] = config.clusters;
  const ca = await readFile(target['certificate-authority']);
  let left = allowed;
  const server = createServer((incoming, outgoing) => {
    if (incoming.method !== 'GET' && (left -= 1) < 0) return incoming.socket.destroy();
    const { method = '', headers, url = '' } = incoming;
    const onward = request(`${target.server}${url}`, { method, headers, ca }, (answer) => {
      outgoing.writeHead(answer.statusCode ?? 500, answer.headers);
      answer.pipe(outgoing);
    });
    onward.on('error', () => outgoing.destroy());
    outgoing.on('close', () => onward.destroy());
    incoming.pipe(onward);
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const file = join(settings.DATA_DIR, `cut-after-${allowed}`);
  const changed = { ...config, clusters: [{ name: 'test', cluster: { server: `http://127.0.0.1:${port}` } }] };
  await writeFile(file, JSON.stringify(changed));
  return {
    config: file,
    close: async () => {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
}
