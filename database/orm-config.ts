import { Migrator } from '@mikro-orm/migrations';
import { defineConfig } from '@mikro-orm/postgresql';
import { Account } from './entities/account.ts';
import { AgentFile } from './entities/agent-file.ts';
import { Agent } from './entities/agent.ts';
import { ApiKey } from './entities/api-key.ts';
import { AuditEntry } from './entities/audit-entry.ts';
import { BudgetHold } from './entities/budget-hold.ts';
import { BudgetSpend } from './entities/budget-spend.ts';
import { Budget } from './entities/budget.ts';
import { ClaudeAgent } from './entities/claude-agent.ts';
import { ClaudeAgentPlace } from './entities/claude-agent-place.ts';
import { ClaudeEnvironment } from './entities/claude-environment.ts';
import { ClaudeSession } from './entities/claude-session.ts';
import { WaitingAttachments } from './entities/waiting-attachments.ts';
import { Conversation } from './entities/conversation.ts';
import { CronJob } from './entities/cron-job.ts';
import { EventCounter } from './entities/event-counter.ts';
import { EventOccurrence } from './entities/event-occurrence.ts';
import { GatewayRefusal } from './entities/gateway-refusal.ts';
import { Event } from './entities/event.ts';
import { InstanceSecret } from './entities/instance-secret.ts';
import { InstanceSkill } from './entities/instance-skill.ts';
import { IdempotencyRecord } from './entities/idempotency-record.ts';
import { Instance } from './entities/instance.ts';
import { Installation } from './entities/installation.ts';
import { Invite } from './entities/invite.ts';
import { KeyCanary } from './entities/key-canary.ts';
import { LoginCode } from './entities/login-code.ts';
import { Message } from './entities/message.ts';
import { MessageSteps } from './entities/message-steps.ts';
import { ModelCall } from './entities/model-call.ts';
import { ModelPrice } from './entities/model-price.ts';
import { ModelTrouble } from './entities/model-trouble.ts';
import { Node } from './entities/node.ts';
import { OpenCallBudget } from './entities/open-call-budget.ts';
import { OpenModelCall } from './entities/open-model-call.ts';
import { OutboxEntry } from './entities/outbox-entry.ts';
import { PoolMember } from './entities/pool-member.ts';
import { Price } from './entities/price.ts';
import { Process } from './entities/process.ts';
import { RateWindow } from './entities/rate-window.ts';
import { Response } from './entities/response.ts';
import { Runtime } from './entities/runtime.ts';
import { RuntimeInterval } from './entities/runtime-interval.ts';
import { SkillFile } from './entities/skill-file.ts';
import { SpareAgent } from './entities/spare-agent.ts';
import { StoredBytesChange } from './entities/stored-bytes-change.ts';
import { StoredBytes } from './entities/stored-bytes.ts';
import { TokenCharge } from './entities/token-charge.ts';
import { Transfer } from './entities/transfer.ts';
import { UnownedRuntime } from './entities/unowned-runtime.ts';
import { WatchShard } from './entities/watch-shard.ts';
import { WebhookAttempt } from './entities/webhook-attempt.ts';
import { WebhookDelivery } from './entities/webhook-delivery.ts';
import { Webhook } from './entities/webhook.ts';
import { migrationsList } from './migrations/list.ts';

export const ENTITIES = [
  Account,
  Agent,
  AgentFile,
  ApiKey,
  AuditEntry,
  Budget,
  BudgetHold,
  BudgetSpend,
  ClaudeAgent,
  ClaudeAgentPlace,
  ClaudeEnvironment,
  ClaudeSession,
  WaitingAttachments,
  Conversation,
  CronJob,
  Event,
  EventCounter,
  EventOccurrence,
  GatewayRefusal,
  IdempotencyRecord,
  Instance,
  InstanceSecret,
  InstanceSkill,
  Installation,
  Invite,
  KeyCanary,
  LoginCode,
  Message,
  MessageSteps,
  ModelCall,
  ModelPrice,
  ModelTrouble,
  Node,
  OpenCallBudget,
  OpenModelCall,
  OutboxEntry,
  PoolMember,
  Price,
  Process,
  RateWindow,
  Response,
  Runtime,
  RuntimeInterval,
  SkillFile,
  SpareAgent,
  StoredBytes,
  StoredBytesChange,
  TokenCharge,
  Transfer,
  UnownedRuntime,
  WatchShard,
  Webhook,
  WebhookAttempt,
  WebhookDelivery,
];

/** How MikroORM sees this database. */
export function ormConfig(databaseUrl: string) {
  return defineConfig({
    clientUrl: databaseUrl,
    entities: ENTITIES,
    extensions: [Migrator],
    migrations: { path: `${import.meta.dirname}/migrations`, migrationsList, snapshot: false, silent: true },
    // Triggers and functions stand in the migrations alone. Processes of the version before still use `login_codes`.
    schemaGenerator: { ignoreTriggers: true, ignoreRoutines: true, skipTables: ['login_codes'] },
    // Times are absolute: the time zone of the server must not matter.
    forceUtcTimezone: true,
  });
}
