import { BASE_PATH } from '../http/base-path.ts';
import type { Operation } from '../contract/define-operation.ts';
import { createOpenapi } from '../contract/openapi.ts';
import { createInvite } from './admin/create-invite.ts';
import { createGrant } from './admin/create-grant.ts';
import { deleteQuarantined } from './admin/delete-quarantined.ts';
import { deleteAccount } from './account/delete-account.ts';
import { exportAccount } from './account/export-account.ts';
import { listAccounts } from './admin/list-accounts.ts';
import { listAllInstances } from './admin/list-all-instances.ts';
import { getHealth } from './admin/get-health.ts';
import { listAllModels } from './admin/list-all-models.ts';
import { listAudit } from './admin/list-audit.ts';
import { listInvites } from './admin/list-invites.ts';
import { listQuarantine } from './admin/list-quarantine.ts';
import { listRuntimes } from './admin/list-runtimes.ts';
import { reconcileInstance } from './admin/reconcile-instance.ts';
import { restoreQuarantined } from './admin/restore-quarantined.ts';
import { updateAccount } from './admin/update-account.ts';
import { stopAnyInstance } from './admin/stop-any-instance.ts';
import { createAgent } from './agents/create-agent.ts';
import { deleteAgent } from './agents/delete-agent.ts';
import { getAgent } from './agents/get-agent.ts';
import { listAgents } from './agents/list-agents.ts';
import { updateAgent } from './agents/update-agent.ts';
import { createLink } from './auth/create-link.ts';
import { createKey } from './auth/create-key.ts';
import { getMe } from './auth/get-me.ts';
import { listKeys } from './auth/list-keys.ts';
import { login } from './auth/login.ts';
import { logout } from './auth/logout.ts';
import { register } from './auth/register.ts';
import { revokeKey } from './auth/revoke-key.ts';
import { verify } from './auth/verify.ts';
import { getForecast } from './billing/get-forecast.ts';
import { getUsage } from './billing/get-usage.ts';
import { listLedger } from './billing/list-ledger.ts';
import { createBudget } from './budgets/create-budget.ts';
import { deleteBudget } from './budgets/delete-budget.ts';
import { getBudget } from './budgets/get-budget.ts';
import { listBudgets } from './budgets/list-budgets.ts';
import { listSpend } from './budgets/list-spend.ts';
import { updateBudget } from './budgets/update-budget.ts';
import { deleteConversation } from './conversations/delete-conversation.ts';
import { listConversations } from './conversations/list-conversations.ts';
import { createCron } from './crons/create-cron.ts';
import { deleteCron } from './crons/delete-cron.ts';
import { listCrons } from './crons/list-crons.ts';
import { runCron } from './crons/run-cron.ts';
import { updateCron } from './crons/update-cron.ts';
import { listEvents } from './events/list-events.ts';
import { listInstanceEvents } from './events/list-instance-events.ts';
import { streamEvents } from './events/stream-events.ts';
import { deleteFile } from './files/delete-file.ts';
import { getFile } from './files/get-file.ts';
import { listFiles } from './files/list-files.ts';
import { putFile } from './files/put-file.ts';
import { createInstance } from './instances/create-instance.ts';
import { deleteInstance } from './instances/delete-instance.ts';
import { getInstance } from './instances/get-instance.ts';
import { getInstanceUsage } from './instances/get-instance-usage.ts';
import { getLogs } from './instances/get-logs.ts';
import { listInstances } from './instances/list-instances.ts';
import { startInstance } from './instances/start-instance.ts';
import { stopInstance } from './instances/stop-instance.ts';
import { streamInstances } from './instances/stream-instances.ts';
import { updateInstance } from './instances/update-instance.ts';
import { waitInstance } from './instances/wait-instance.ts';
import { cancelMessage } from './messages/cancel-message.ts';
import { getMessage } from './messages/get-message.ts';
import { listMessages } from './messages/list-messages.ts';
import { sendMessage } from './messages/send-message.ts';
import { streamMessage } from './messages/stream-message.ts';
import { defineGetOpenapi } from './meta/get-openapi.ts';
import { listModels } from './models/list-models.ts';
import { deleteSecret } from './secrets/delete-secret.ts';
import { listSecrets } from './secrets/list-secrets.ts';
import { storeSecrets } from './secrets/store-secrets.ts';
import { deleteSkill } from './skills/delete-skill.ts';
import { installSkill } from './skills/install-skill.ts';
import { listCatalogue } from './skills/list-catalogue.ts';
import { listSkills } from './skills/list-skills.ts';
import { createWebhook } from './webhooks/create-webhook.ts';
import { deleteWebhook } from './webhooks/delete-webhook.ts';
import { getDelivery } from './webhooks/get-delivery.ts';
import { getWebhook } from './webhooks/get-webhook.ts';
import { listDeliveries } from './webhooks/list-deliveries.ts';
import { listWebhooks } from './webhooks/list-webhooks.ts';
import { redeliver } from './webhooks/redeliver.ts';
import { rotateSecret } from './webhooks/rotate-secret.ts';
import { testWebhook } from './webhooks/test-webhook.ts';
import { updateWebhook } from './webhooks/update-webhook.ts';

/** The list is the API: routes, document and contract tests are derived from it. */
export const operations: readonly Operation[] = [
  register,
  login,
  verify,
  getMe,
  logout,
  createLink,
  createKey,
  listKeys,
  revokeKey,
  exportAccount,
  deleteAccount,
  createInstance,
  listInstances,
  streamInstances,
  getInstance,
  updateInstance,
  startInstance,
  stopInstance,
  deleteInstance,
  waitInstance,
  getLogs,
  getInstanceUsage,
  createAgent,
  listAgents,
  getAgent,
  updateAgent,
  deleteAgent,
  listFiles,
  getFile,
  putFile,
  deleteFile,
  listModels,
  listCatalogue,
  installSkill,
  listSkills,
  deleteSkill,
  storeSecrets,
  listSecrets,
  deleteSecret,
  sendMessage,
  listMessages,
  getMessage,
  streamMessage,
  cancelMessage,
  listConversations,
  deleteConversation,
  createCron,
  listCrons,
  updateCron,
  deleteCron,
  runCron,
  createWebhook,
  listWebhooks,
  getWebhook,
  updateWebhook,
  deleteWebhook,
  testWebhook,
  rotateSecret,
  listDeliveries,
  getDelivery,
  redeliver,
  listInstanceEvents,
  listEvents,
  streamEvents,
  listLedger,
  getUsage,
  getForecast,
  createBudget,
  listBudgets,
  getBudget,
  listSpend,
  updateBudget,
  deleteBudget,
  createInvite,
  listInvites,
  listAccounts,
  updateAccount,
  createGrant,
  listAllInstances,
  listAllModels,
  getHealth,
  stopAnyInstance,
  reconcileInstance,
  listAudit,
  listRuntimes,
  listQuarantine,
  restoreQuarantined,
  deleteQuarantined,
  defineGetOpenapi(() => createOpenapi(operations, BASE_PATH)),
];
