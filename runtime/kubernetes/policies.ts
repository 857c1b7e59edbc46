import type { Peer } from '../../lib/settings/kubernetes.ts';
import { GATEWAY_PORT } from '../docker/in-container.ts';
import type { Cluster } from './cluster.ts';
import { INSTALLATION_LABEL, ROLE_LABEL } from './names.ts';

export interface WallsSettings {
  /** Who reaches gateways: API processes and workers. */
  controlPlane: readonly Peer[];
  relay: { peers: readonly Peer[]; port: number };
  egress: 'open' | 'relay-only';
  /** Whether instances reach the ports of mail servers. */
  mail: boolean;
  resolvers: readonly string[];
}

/** What an address on the internet is not. */
const NOT_PUBLIC = [
  '0.0.0.0/8',
  '10.0.0.0/8',
  '100.64.0.0/10',
  '127.0.0.0/8',
  '169.254.0.0/16',
  '172.16.0.0/12',
  '192.0.0.0/24',
  '192.168.0.0/16',
  '198.18.0.0/15',
  '224.0.0.0/4',
  '240.0.0.0/4',
];
const MAIL_PORTS = [25, 465, 587];
const LAST_PORT = 65_535;

/** The NetworkPolicies of all instances of an installation: what is not named here cannot be reached, in either direction. */
export function policiesOf({ names }: Pick<Cluster, 'names'>, settings: WallsSettings): { name: string; spec: object }[] {
  const labels = { [INSTALLATION_LABEL]: names.installation };
  const gateways = {
    podSelector: { matchLabels: { ...labels, [ROLE_LABEL]: 'gateway' } },
    policyTypes: ['Ingress', 'Egress'],
    ingress: [{ from: settings.controlPlane.map(peerOf), ports: [tcp(GATEWAY_PORT)] }],
    egress: egressOf(settings),
  };
  // What works on files has no need of a network, and a probe shows what a gateway reaches.
  const files = { podSelector: { matchLabels: { ...labels, [ROLE_LABEL]: 'files' } }, policyTypes: ['Ingress', 'Egress'] };
  const probes = { ...gateways, podSelector: { matchLabels: { ...labels, [ROLE_LABEL]: 'probe' } } };
  return [
    { name: names.walls, spec: gateways },
    { name: `${names.walls}-files`, spec: files },
    { name: `${names.walls}-probe`, spec: probes },
  ];
}

function egressOf({ relay, egress, mail, resolvers }: WallsSettings): object[] {
  const toRelay = { to: relay.peers.map(peerOf), ports: [tcp(relay.port)] };
  if (egress === 'relay-only') return [toRelay];
  const internet = { ipBlock: { cidr: '0.0.0.0/0', except: NOT_PUBLIC } };
  const names = {
    to: resolvers.map((address) => ({ ipBlock: { cidr: `${address}/32` } })),
    ports: [tcp(53), { protocol: 'UDP', port: 53 }],
  };
  const ports = mail ? [] : [...portsWithout(MAIL_PORTS), { protocol: 'UDP', port: 1, endPort: LAST_PORT }];
  return [toRelay, { to: [internet], ...(ports.length > 0 && { ports }) }, ...(resolvers.length > 0 ? [names] : [])];
}

/** All TCP ports but these, which are in order. */
function portsWithout(closed: readonly number[]): object[] {
  const edges = [0, ...closed, LAST_PORT + 1];
  return closed
    .concat(LAST_PORT + 1)
    .map((port, index) => ({ protocol: 'TCP', port: (edges[index] ?? 0) + 1, endPort: port - 1 }))
    .filter(({ port, endPort }) => port <= endPort);
}

function tcp(port: number): object {
  return { protocol: 'TCP', port };
}

function peerOf(peer: Peer): object {
  if ('cidr' in peer) return { ipBlock: { cidr: peer.cidr } };
  return {
    namespaceSelector: { matchLabels: { 'kubernetes.io/metadata.name': peer.namespace } },
    podSelector: { matchLabels: { [peer.label]: peer.value } },
  };
}
