import { defaultProvider } from '@aws-sdk/credential-provider-node';
import { Sha256 } from '@smithy/core/checksum';
import { SignatureV4 } from '@smithy/signature-v4';
import type { Prove } from './openai.ts';

/**
 * Signs requests with what the AWS SDK finds on this machine: a role, a profile, keys or a web identity. They are looked up
 * again before they expire.
 */
export function createAwsProof({ region, service }: { region: string; service: string }): Prove {
  const signer = new SignatureV4({ region, service, credentials: defaultProvider(), sha256: Sha256 });
  return async (url, headers, body) => {
    const signed = await signer.sign({
      method: 'POST',
      protocol: url.protocol,
      hostname: url.hostname,
      ...(url.port === '' ? {} : { port: Number(url.port) }),
      path: url.pathname,
      query: Object.fromEntries(url.searchParams),
      headers: { ...headers, host: url.host },
      body,
    });
    return signed.headers;
  };
}
