import { Initial } from './20261124-initial.ts';
import { Billing } from './20261125-billing.ts';
import { Webhooks } from './20261126-webhooks.ts';
import { InstanceContent } from './20261127-instance-content.ts';
import { ApiGuards } from './20261128-api-guards.ts';
import { Crons } from './20261129-crons.ts';
import { Ledger } from './20261130-ledger.ts';
import { FinishReason } from './20261201-finish-reason.ts';
import { SpokenMessages } from './20261202-spoken-messages.ts';
import { GatewayRefusals } from './20261203-gateway-refusals.ts';
import { Installation } from './20261204-installation.ts';
import { UnownedRuntimes } from './20261204-unowned-runtimes.ts';
import { CountedRows } from './20261205-counted-rows.ts';
import { FailedStarts } from './20261206-failed-starts.ts';
import { StoredBytes } from './20261206-stored-bytes.ts';
import { GatewayEpoch } from './20261206-gateway-epoch.ts';
import { OpenModelCalls } from './20261206-open-model-calls.ts';
import { RelayCanaries } from './20261206-relay-canaries.ts';
import { LoginRequesters } from './20261206-login-requesters.ts';
import { KeyLimits } from './20261208-key-limits.ts';
import { Metadata } from './20261208-metadata.ts';
import { SkillSettingsKey } from './20261204-skill-settings-key.ts';

/** In the order in which they are applied. One that has been released is never changed. */
export const migrationsList = [
  { name: '20261124-initial', class: Initial },
  { name: '20261125-billing', class: Billing },
  { name: '20261126-webhooks', class: Webhooks },
  { name: '20261127-instance-content', class: InstanceContent },
  { name: '20261128-api-guards', class: ApiGuards },
  { name: '20261129-crons', class: Crons },
  { name: '20261130-ledger', class: Ledger },
  { name: '20261201-finish-reason', class: FinishReason },
  { name: '20261202-spoken-messages', class: SpokenMessages },
  { name: '20261203-gateway-refusals', class: GatewayRefusals },
  { name: '20261204-installation', class: Installation },
  { name: '20261204-unowned-runtimes', class: UnownedRuntimes },
  { name: '20261205-counted-rows', class: CountedRows },
  { name: '20261204-skill-settings-key', class: SkillSettingsKey },
  { name: '20261206-failed-starts', class: FailedStarts },
  { name: '20261206-stored-bytes', class: StoredBytes },
  { name: '20261206-open-model-calls', class: OpenModelCalls },
  { name: '20261206-gateway-epoch', class: GatewayEpoch },
  { name: '20261206-relay-canaries', class: RelayCanaries },
  { name: '20261206-login-requesters', class: LoginRequesters },
  { name: '20261208-key-limits', class: KeyLimits },
  { name: '20261208-metadata', class: Metadata },
];
