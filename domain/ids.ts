/** What an id stands for, as its prefix says. The first ten are the API's, the rest are internal. */
export const ID_PREFIXES = [
  'acc',
  'key',
  'inst',
  'agt',
  'msg',
  'wh',
  'evt',
  'dlv',
  'cron',
  'bud',
  'inv',
  'conv',
  'aud',
  'run',
  'int',
  'txn',
  'proc',
  'req',
  'tok',
  'skl',
  'step',
  'agent',
  'sesn',
] as const;

export type IdPrefix = (typeof ID_PREFIXES)[number];

export type RandomBytes = (size: number) => Uint8Array;

/** Makes a new id: the prefix and 20 random lower-case alphanumerics (103 bits). */
export type MakeId = (prefix: IdPrefix) => string;

const ALPHABET = 'abcdefghijklmnopqrstuvwxyz0123456789';
const LENGTH = 20;
/** The largest multiple of the alphabet's size in a byte: bytes above it would favour the first letters. */
const UNBIASED = 256 - (256 % ALPHABET.length);

/** Ids drawn from this source of randomness. */
export function createIdMaker(randomBytes: RandomBytes): MakeId {
  return (prefix) => {
    let text = '';
    while (text.length < LENGTH) {
      for (const byte of randomBytes(LENGTH)) {
        if (byte < UNBIASED && text.length < LENGTH) text += ALPHABET.charAt(byte % ALPHABET.length);
      }
    }
    return `${prefix}_${text}`;
  };
}

/** The form of an id of this kind: the prefix and at least 12 lower-case alphanumerics. */
export function idPattern(prefix: IdPrefix): RegExp {
  return new RegExp(`^${prefix}_[a-z0-9]{12,40}$`);
}

/** The name of a new agent inside its gateway. Never used twice, so a slug that is taken up again finds nothing of the agent before. */
export function makeGatewayAgentId(makeId: MakeId): string {
  return `a${makeId('agt').slice('agt_'.length)}`;
}
