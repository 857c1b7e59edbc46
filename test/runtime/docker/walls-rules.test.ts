import { afterAll, beforeAll, describe, expect, jest, test } from '@jest/globals';
import { imageName } from '../../../runtime/docker/image.ts';
import { docker, TEST_MS, WAIT_MS } from '../../support/docker-under-test.ts';
import { eventually } from '../../support/eventually.ts';

const NAME = 'THERMIDORA-0a1b2c';
const SCRIPT = '/opt/thermidora/runtime/image/walls.sh';
const ENV = {
  NAME,
  BRIDGES: 't0a1b2c-',
  RELAY: '172.17.0.1:1',
  EGRESS: 'open',
  RESOLVERS: '',
  OPEN: '9',
  RATE: '9',
  MAIL: 'closed',
};
const JUMP = `-A DOCKER-USER -i t0a1b2c-+ -j ${NAME}-OUT`;

jest.setTimeout(TEST_MS);

/** Of a network of its own, with the chain that the engine makes: rules in it concern nobody. */
let container: string;

beforeAll(async () => {
  const capabilities = ['--cap-drop', 'ALL', '--cap-add', 'NET_ADMIN', '--cap-add', 'NET_RAW'];
  const env = Object.entries(ENV).flatMap(([name, value]) => ['--env', `${name}=${value}`]);
  const keep = `mkdir -p /host/run; iptables-nft -N DOCKER-USER; ${SCRIPT} keep & echo $! >/keeper; wait`;
  const options = ['--detach', '--init', '--user', '0:0', ...capabilities, ...env, '--entrypoint', 'bash'];
  container = (await docker('run', ...options, await imageName(), '-c', keep)).trim();
  await standing();
});

afterAll(() => docker('rm', '--force', container));

const inside = (script: string) => docker('exec', container, 'bash', '-c', script);
const standing = () => eventually(() => inside(`${SCRIPT} check`), WAIT_MS);
const rulesOf = async (chain: string) =>
  (await inside(`iptables-nft -S ${chain}`)).split('\n').filter((line) => line.startsWith('-A'));

describe('walls', () => {
  test('do not stand behind a rule of somebody else, and are put before it', async () => {
    await inside('kill -STOP $(cat /keeper)');
    await inside('iptables-nft -I DOCKER-USER 1 -i t0a1b2c-+ -j ACCEPT');
    await expect(inside(`${SCRIPT} check`)).rejects.toThrow();
    await inside('kill -CONT $(cat /keeper)');
    await standing();
    expect((await rulesOf('DOCKER-USER')).indexOf(JUMP)).toBeLessThan(2);
    expect((await rulesOf('DOCKER-USER')).at(-1)).toBe('-A DOCKER-USER -i t0a1b2c-+ -j ACCEPT');
  });

  test('stand behind the jumps of another installation, which they do not change places with', async () => {
    await inside('iptables-nft -N THERMIDORA-ffffff-OUT');
    await inside('iptables-nft -I DOCKER-USER 1 -i tffffff-+ -j THERMIDORA-ffffff-OUT');
    await inside(`${SCRIPT} check`);
    expect((await rulesOf('DOCKER-USER'))[0]).toBe('-A DOCKER-USER -i tffffff-+ -j THERMIDORA-ffffff-OUT');
  });

  test('are put up again as soon as somebody has flushed the chains', async () => {
    await inside('iptables-nft -F');
    await standing();
  });
});
