import { readFile } from 'node:fs/promises';
import { isIPv6 } from 'node:net';
import { dirname, resolve } from 'node:path';
import { parse } from 'yaml';
import { z } from 'zod';
import { remembered } from '../../lib/async/remembered.ts';
import { ConfigError } from '../../lib/settings/config.ts';

/** Where the API server is, and as whom we speak to it. */
export interface Access {
  url: string;
  ca: string | undefined;
  token: string | undefined;
  cert: string | undefined;
  key: string | undefined;
}

const MOUNTED = '/var/run/secrets/kubernetes.io/serviceaccount';
/** A mounted token is exchanged every hour, and the old one is good for some minutes more. */
const REMEMBERED_MS = 60_000;

const cluster = z.looseObject({
  server: z.url({ protocol: /^https?$/ }),
  'certificate-authority': z.string().optional(),
  'certificate-authority-data': z.base64().optional(),
});
const user = z.looseObject({
  token: z.string().optional(),
  tokenFile: z.string().optional(),
  'client-certificate': z.string().optional(),
  'client-certificate-data': z.base64().optional(),
  'client-key': z.string().optional(),
  'client-key-data': z.base64().optional(),
  exec: z.unknown().optional(),
  'auth-provider': z.unknown().optional(),
});
const kubeconfig = z.looseObject({
  'current-context': z.string(),
  contexts: z.array(z.looseObject({ name: z.string(), context: z.looseObject({ cluster: z.string(), user: z.string() }) })),
  clusters: z.array(z.looseObject({ name: z.string(), cluster })),
  users: z.array(z.looseObject({ name: z.string(), user })),
});

/**
 * How the API server is reached: by this kubeconfig, or, without one, at this place by what Kubernetes mounts into the Pod of a
 * ServiceAccount. What stands in files is read again every minute. The answer throws ConfigError, which says what to change.
 */
export function accessFrom(file: string | undefined, service: { host: string; port: number }): () => Promise<Access> {
  return remembered(REMEMBERED_MS, () => (file === undefined ? mountedAccess(service) : accessOf(file)));
}

async function mountedAccess({ host, port }: { host: string; port: number }): Promise<Access> {
  try {
    const [ca, token] = await Promise.all(['ca.crt', 'token'].map((name) => readFile(`${MOUNTED}/${name}`, 'utf8')));
    const url = `https://${isIPv6(host) ? `[${host}]` : host}:${port}`;
    return { url, ca, token: token?.trim(), cert: undefined, key: undefined };
  } catch (cause) {
    const message = `There is no ServiceAccount in ${MOUNTED}: run this in a Pod that has one, or name a kubeconfig in KUBERNETES_CONFIG.`;
    throw new ConfigError(message, { cause });
  }
}

async function accessOf(file: string): Promise<Access> {
  try {
    return await readKubeconfig(file);
  } catch (cause) {
    if (cause instanceof ConfigError) throw cause;
    const reason = Error.isError(cause) ? cause.message : String(cause);
    throw new ConfigError(`KUBERNETES_CONFIG names ${file}, which cannot be used as a kubeconfig: ${reason}`, { cause });
  }
}

async function readKubeconfig(file: string): Promise<Access> {
  const config = kubeconfig.parse(parse(await readFile(file, 'utf8')));
  const { context } = pick(config.contexts, config['current-context'], 'context');
  const { server, ...authority } = pick(config.clusters, context.cluster, 'cluster').cluster;
  const who = pick(config.users, context.user, 'user').user;
  if (who.exec !== undefined || who['auth-provider'] !== undefined)
    throw new ConfigError(`The user of ${file} is made by a program. Name a kubeconfig with a token or a client certificate.`);
  const [ca, cert, key, token] = await Promise.all([
    textOf(file, authority['certificate-authority'], authority['certificate-authority-data']),
    textOf(file, who['client-certificate'], who['client-certificate-data']),
    textOf(file, who['client-key'], who['client-key-data']),
    who.token ?? textOf(file, who.tokenFile, undefined),
  ]);
  return { url: server.replace(/\/+$/, ''), ca, cert, key, token: token?.trim() };
}

function pick<T extends { name: string }>(list: readonly T[], name: string, what: string): T {
  const found = list.find((one) => one.name === name);
  if (!found) throw new Error(`it has no ${what} named ${name}`);
  return found;
}

/** What stands in the kubeconfig itself, or in a file named from its folder. */
async function textOf(kubeconfigFile: string, file: string | undefined, data: string | undefined): Promise<string | undefined> {
  if (data !== undefined) return Buffer.from(data, 'base64').toString();
  return file === undefined ? undefined : readFile(resolve(dirname(kubeconfigFile), file), 'utf8');
}
