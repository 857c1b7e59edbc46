// Written by `npm run sdk` from openapi.json. Do not change it by hand.
import { Resource, segment, segments } from '../resource.ts';
import { Pages } from '../pages.ts';
import type { AnswerOf, BodyOf, CallOptions, QueryOf, RawBody } from '../types.ts';
import type { components } from './schema.ts';

export type ErrorBody = components['schemas']['Error'];
export type Instance = components['schemas']['Instance'];
export type Usage = components['schemas']['Usage'];
export type Agent = components['schemas']['Agent'];
export type AgentWithFiles = components['schemas']['AgentWithFiles'];
export type BuiltInSkill = components['schemas']['BuiltInSkill'];
export type InstalledSkill = components['schemas']['InstalledSkill'];
export type Message = components['schemas']['Message'];
export type Attachment = components['schemas']['Attachment'];
export type Step = components['schemas']['Step'];
export type Cron = components['schemas']['Cron'];
export type Webhook = components['schemas']['Webhook'];
export type Delivery = components['schemas']['Delivery'];
export type DeliveryWithBody = components['schemas']['DeliveryWithBody'];
export type InstanceEvent = components['schemas']['Event'];
export type DeletedEvent = components['schemas']['DeletedEvent'];
export type AccountEvent = components['schemas']['AccountEvent'];
export type Budget = components['schemas']['Budget'];
export type OperatorInstance = components['schemas']['OperatorInstance'];
export type Runtime = components['schemas']['Runtime'];
export type UnownedRuntime = components['schemas']['UnownedRuntime'];

export class AuthResource extends Resource {
  /**
   * Create an account with an invite code.
   *
   * `POST /auth/register`
   */
  register(body: BodyOf<'auth.register'>, options: CallOptions = {}): Promise<AnswerOf<'auth.register'>> {
    return this.http.json<AnswerOf<'auth.register'>>('POST', '/auth/register', { body, options });
  }

  /**
   * Request a one-time code by email.
   *
   * The response is the same for every email address, whether or not it has an account. A code is valid for ten minutes and
   * for one login, and allows at most five attempts. Codes, attempts and emails are counted per IP address, so verify a code
   * from the IP address that requested it: other IP addresses have at most two of the attempts.
   *
   * `POST /auth/login`
   */
  login(body: BodyOf<'auth.login'>, options: CallOptions = {}): Promise<AnswerOf<'auth.login'>> {
    return this.http.json<AnswerOf<'auth.login'>>('POST', '/auth/login', { body, options });
  }

  /**
   * Exchange a one-time code for a token.
   *
   * `POST /auth/verify`
   */
  verify(body: BodyOf<'auth.verify'>, options: CallOptions = {}): Promise<AnswerOf<'auth.verify'>> {
    return this.http.json<AnswerOf<'auth.verify'>>('POST', '/auth/verify', { body, options });
  }

  /**
   * Get your account and its balance.
   *
   * An API key needs the scope `read`.
   *
   * `GET /auth/me`
   */
  me(options: CallOptions = {}): Promise<AnswerOf<'auth.me'>> {
    return this.http.json<AnswerOf<'auth.me'>>('GET', '/auth/me', { options });
  }

  /**
   * Revoke all tokens of your account.
   *
   * The API rejects every token of the account from this moment on. API keys remain valid. An API key needs the scope
   * `keys`.
   *
   * `POST /auth/logout`
   */
  logout(options: CallOptions = {}): Promise<AnswerOf<'auth.logout'>> {
    return this.http.json<AnswerOf<'auth.logout'>>('POST', '/auth/logout', { takesKey: true, options });
  }

  /**
   * Create a link that opens the console signed in.
   *
   * The path, on the host of the API, opens the console with a session of your account. It is valid for one hour and for one
   * use, and a new one makes the one before void. An API key with limits cannot create one. An API key needs the scope
   * `keys`.
   *
   * `POST /auth/links`
   */
  createLink(options: CallOptions = {}): Promise<AnswerOf<'auth.createLink'>> {
    return this.http.json<AnswerOf<'auth.createLink'>>('POST', '/auth/links', { takesKey: true, options });
  }
}

export class KeysResource extends Resource {
  /**
   * Create an API key.
   *
   * The response is the only place that shows the key. Store the key securely. A key may be limited to scopes, to an
   * instance and in time; a key that creates another one passes its limits on, and cannot create one that may do more. An
   * API key needs the scope `keys`.
   *
   * `POST /auth/keys`
   */
  create(body: BodyOf<'keys.create'>, options: CallOptions = {}): Promise<AnswerOf<'keys.create'>> {
    return this.http.json<AnswerOf<'keys.create'>>('POST', '/auth/keys', { body, takesKey: true, options });
  }

  /**
   * List your API keys, newest first.
   *
   * An API key needs the scope `read`.
   *
   * `GET /auth/keys`
   */
  list(query: QueryOf<'keys.list'> = {}, options: CallOptions = {}): Pages<AnswerOf<'keys.list'>, 'keys'> {
    return new Pages<AnswerOf<'keys.list'>, 'keys'>((more) => this.http.json<AnswerOf<'keys.list'>>('GET', '/auth/keys', { query: { ...query, ...more }, options }), { items: 'keys', cursor: 'cursor', next: 'nextCursor' });
  }

  /**
   * Revoke an API key.
   *
   * The API rejects the key from this moment on. An API key needs the scope `keys`.
   *
   * `DELETE /auth/keys/{keyId}`
   */
  revoke(keyId: string, options: CallOptions = {}): Promise<AnswerOf<'keys.revoke'>> {
    return this.http.json<AnswerOf<'keys.revoke'>>('DELETE', `/auth/keys/${segment(keyId)}`, { takesKey: true, options });
  }
}

export class AccountResource extends Resource {
  /**
   * Export everything of your account as one tar.gz archive.
   *
   * The archive holds what the list operations return, as JSON lines (a list of more than 200 items is in several files),
   * and the files of every agent. It has the names of secrets but no values, and no API keys. If a file changes while it is
   * being sent, the connection is cut and the archive is incomplete: stop the instance, then repeat the call. If the files
   * of an agent cannot be read, the archive says so in `files-missing.txt`. One export of an account runs at a time. An API
   * key needs the scope `read`.
   *
   * `GET /account/export`
   */
  export(options: CallOptions = {}): Promise<Response> {
    return this.http.raw('GET', '/account/export', { options });
  }

  /**
   * Delete your account and all its data.
   *
   * Request a code with `POST /auth/login`, then send it here. The instances of the account with everything in them, its
   * keys, tokens, webhooks and budgets are deleted at once and cannot be restored; a balance that is left is forfeited. The
   * email address can be registered again after 30 days. Ledger entries are kept without a name. An API key needs the scope
   * `write`.
   *
   * `DELETE /account`
   */
  delete(body: BodyOf<'account.delete'>, options: CallOptions = {}): Promise<AnswerOf<'account.delete'>> {
    return this.http.json<AnswerOf<'account.delete'>>('DELETE', '/account', { body, takesKey: true, options });
  }
}

export class InstancesResource extends Resource {
  /**
   * Create an instance.
   *
   * Provisioning is asynchronous: poll `GET /instances/:instanceId` until the status is `running`, or pass `wait`. An API
   * key needs the scope `write`.
   *
   * `POST /instances`
   */
  create(body: BodyOf<'instances.create'>, query: QueryOf<'instances.create'> = {}, options: CallOptions = {}): Promise<AnswerOf<'instances.create'>> {
    return this.http.json<AnswerOf<'instances.create'>>('POST', '/instances', { body, query, takesKey: true, options });
  }

  /**
   * List your instances, newest first.
   *
   * An API key needs the scope `read`.
   *
   * `GET /instances`
   */
  list(query: QueryOf<'instances.list'> = {}, options: CallOptions = {}): Pages<AnswerOf<'instances.list'>, 'instances'> {
    return new Pages<AnswerOf<'instances.list'>, 'instances'>((more) => this.http.json<AnswerOf<'instances.list'>>('GET', '/instances', { query: { ...query, ...more }, options }), { items: 'instances', cursor: 'cursor', next: 'nextCursor' });
  }

  /**
   * Get an instance and its agents.
   *
   * An API key needs the scope `read`.
   *
   * `GET /instances/{instanceId}`
   */
  get(instanceId: string, options: CallOptions = {}): Promise<AnswerOf<'instances.get'>> {
    return this.http.json<AnswerOf<'instances.get'>>('GET', `/instances/${segment(instanceId)}`, { options });
  }

  /**
   * Change the name, the metadata or the sleep of an instance.
   *
   * Fields that are not given stay as they are. The instance goes on running; one that sleeps wakes when `sleepAfterMs` is
   * set to `null`. An API key needs the scope `write`.
   *
   * `PATCH /instances/{instanceId}`
   */
  update(instanceId: string, body: BodyOf<'instances.update'>, options: CallOptions = {}): Promise<AnswerOf<'instances.update'>> {
    return this.http.json<AnswerOf<'instances.update'>>('PATCH', `/instances/${segment(instanceId)}`, { body, takesKey: true, options });
  }

  /**
   * Delete an instance and all its data.
   *
   * An instance can be deleted in every status, and the call can be repeated. The status is `destroying` until the instance
   * is deleted; after that, calls return 404. An API key needs the scope `write`.
   *
   * `DELETE /instances/{instanceId}`
   */
  delete(instanceId: string, options: CallOptions = {}): Promise<AnswerOf<'instances.delete'>> {
    return this.http.json<AnswerOf<'instances.delete'>>('DELETE', `/instances/${segment(instanceId)}`, { takesKey: true, options });
  }

  /**
   * Start an instance.
   *
   * The call returns the accepted target status before the instance runs, unless `wait` is given. An instance with the
   * status `error` is tried again. An API key needs the scope `write`.
   *
   * `POST /instances/{instanceId}/start`
   */
  start(instanceId: string, query: QueryOf<'instances.start'> = {}, options: CallOptions = {}): Promise<AnswerOf<'instances.start'>> {
    return this.http.json<AnswerOf<'instances.start'>>('POST', `/instances/${segment(instanceId)}/start`, { query, takesKey: true, options });
  }

  /**
   * Stop an instance.
   *
   * The call returns the accepted target status before the instance has stopped, unless `wait` is given. Running turns have
   * one minute to end. Charging ends with this call. An API key needs the scope `write`.
   *
   * `POST /instances/{instanceId}/stop`
   */
  stop(instanceId: string, query: QueryOf<'instances.stop'> = {}, options: CallOptions = {}): Promise<AnswerOf<'instances.stop'>> {
    return this.http.json<AnswerOf<'instances.stop'>>('POST', `/instances/${segment(instanceId)}/stop`, { query, takesKey: true, options });
  }

  /**
   * Wait until an instance has a status.
   *
   * Returns the instance as soon as it has the status, can no longer reach the status, or the timeout has passed. Waiting
   * does not wake a sleeping instance: `POST /instances/:instanceId/start` does, and so does a message to one of its agents.
   * An API key needs the scope `read`.
   *
   * `GET /instances/{instanceId}/wait`
   */
  wait(instanceId: string, query: QueryOf<'instances.wait'> = {}, options: CallOptions = {}): Promise<AnswerOf<'instances.wait'>> {
    return this.http.json<AnswerOf<'instances.wait'>>('GET', `/instances/${segment(instanceId)}/wait`, { query, options });
  }

  /**
   * Get the latest log lines of an instance, oldest first.
   *
   * An API key needs the scope `read`.
   *
   * `GET /instances/{instanceId}/logs`
   */
  logs(instanceId: string, query: QueryOf<'instances.logs'> = {}, options: CallOptions = {}): Promise<AnswerOf<'instances.logs'>> {
    return this.http.json<AnswerOf<'instances.logs'>>('GET', `/instances/${segment(instanceId)}/logs`, { query, options });
  }

  /**
   * Get the usage of the agents of an instance.
   *
   * An API key needs the scope `read`.
   *
   * `GET /instances/{instanceId}/usage`
   */
  usage(instanceId: string, query: QueryOf<'instances.usage'> = {}, options: CallOptions = {}): Promise<AnswerOf<'instances.usage'>> {
    return this.http.json<AnswerOf<'instances.usage'>>('GET', `/instances/${segment(instanceId)}/usage`, { query, options });
  }
}

export class AgentsResource extends Resource {
  /**
   * Create an agent.
   *
   * On a running instance, the call returns once the agent accepts messages. Otherwise the agent is created in the gateway
   * at the next start. An API key needs the scope `write`.
   *
   * `POST /instances/{instanceId}/agents`
   */
  create(instanceId: string, body: BodyOf<'agents.create'>, options: CallOptions = {}): Promise<AnswerOf<'agents.create'>> {
    return this.http.json<AnswerOf<'agents.create'>>('POST', `/instances/${segment(instanceId)}/agents`, { body, takesKey: true, options });
  }

  /**
   * List the agents of an instance, newest first.
   *
   * An API key needs the scope `read`.
   *
   * `GET /instances/{instanceId}/agents`
   */
  list(instanceId: string, query: QueryOf<'agents.list'> = {}, options: CallOptions = {}): Pages<AnswerOf<'agents.list'>, 'agents'> {
    return new Pages<AnswerOf<'agents.list'>, 'agents'>((more) => this.http.json<AnswerOf<'agents.list'>>('GET', `/instances/${segment(instanceId)}/agents`, { query: { ...query, ...more }, options }), { items: 'agents', cursor: 'cursor', next: 'nextCursor' });
  }

  /**
   * Get an agent and its workspace files.
   *
   * Agents can change their files. While the instance runs, the call returns the current files of the agent; otherwise, the
   * last known ones. An API key needs the scope `read`.
   *
   * `GET /instances/{instanceId}/agents/{agentId}`
   */
  get(instanceId: string, agentId: string, options: CallOptions = {}): Promise<AnswerOf<'agents.get'>> {
    return this.http.json<AnswerOf<'agents.get'>>('GET', `/instances/${segment(instanceId)}/agents/${segment(agentId)}`, { options });
  }

  /**
   * Update the names, the metadata or the workspace files of an agent.
   *
   * Only the given files change; the others stay as they are, but for an IDENTITY.md that is still the default one: it gets
   * a new display name. On a running instance, the call returns once the next message uses the change. An API key needs the
   * scope `write`.
   *
   * `PATCH /instances/{instanceId}/agents/{agentId}`
   */
  update(instanceId: string, agentId: string, body: BodyOf<'agents.update'>, options: CallOptions = {}): Promise<AnswerOf<'agents.update'>> {
    return this.http.json<AnswerOf<'agents.update'>>('PATCH', `/instances/${segment(instanceId)}/agents/${segment(agentId)}`, { body, takesKey: true, options });
  }

  /**
   * Delete an agent and its workspace.
   *
   * The running and waiting turns of the agent end as cancelled. A new agent can use the slug; it does not get the memory of
   * the deleted agent. An API key needs the scope `write`.
   *
   * `DELETE /instances/{instanceId}/agents/{agentId}`
   */
  delete(instanceId: string, agentId: string, options: CallOptions = {}): Promise<AnswerOf<'agents.delete'>> {
    return this.http.json<AnswerOf<'agents.delete'>>('DELETE', `/instances/${segment(instanceId)}/agents/${segment(agentId)}`, { takesKey: true, options });
  }
}

export class FilesResource extends Resource {
  /**
   * List the files in the workspace of an agent, by path.
   *
   * All folders are listed. Links, and what the gateway keeps for itself, are left out. A page can have fewer files than
   * `limit` although more follow: go on until `nextCursor` is `null`. An API key needs the scope `read`.
   *
   * `GET /instances/{instanceId}/agents/{agentId}/files`
   */
  list(instanceId: string, agentId: string, query: QueryOf<'files.list'> = {}, options: CallOptions = {}): Pages<AnswerOf<'files.list'>, 'files'> {
    return new Pages<AnswerOf<'files.list'>, 'files'>((more) => this.http.json<AnswerOf<'files.list'>>('GET', `/instances/${segment(instanceId)}/agents/${segment(agentId)}/files`, { query: { ...query, ...more }, options }), { items: 'files', cursor: 'cursor', next: 'nextCursor' });
  }

  /**
   * Get a file of an agent.
   *
   * Answers the bytes of the file. `Range` with one range of bytes, `If-Range` and `If-None-Match` are honoured. When the
   * agent changes the file before its last byte was sent, the connection is cut. An API key needs the scope `read`.
   *
   * `GET /instances/{instanceId}/agents/{agentId}/files/{path}`
   */
  get(instanceId: string, agentId: string, path: string, options: CallOptions = {}): Promise<Response> {
    return this.http.raw('GET', `/instances/${segment(instanceId)}/agents/${segment(agentId)}/files/${segments(path)}`, { options });
  }

  /**
   * Create or replace a file of an agent.
   *
   * The body is the bytes of the file, at most 25 MiB. It takes its place in one step once all of it has arrived. With
   * `If-Match`, only a file in that state is replaced. A file of the prompt, such as SOUL.md, is text with the limits of
   * `files` of an agent, and is given to a stopped instance at its next start. An API key needs the scope `write`.
   *
   * `PUT /instances/{instanceId}/agents/{agentId}/files/{path}`
   */
  put(instanceId: string, agentId: string, path: string, body: RawBody, options: CallOptions = {}): Promise<AnswerOf<'files.put'>> {
    return this.http.json<AnswerOf<'files.put'>>('PUT', `/instances/${segment(instanceId)}/agents/${segment(agentId)}/files/${segments(path)}`, { body, takesKey: true, options });
  }

  /**
   * Delete a file of an agent.
   *
   * An API key needs the scope `write`.
   *
   * `DELETE /instances/{instanceId}/agents/{agentId}/files/{path}`
   */
  delete(instanceId: string, agentId: string, path: string, options: CallOptions = {}): Promise<AnswerOf<'files.delete'>> {
    return this.http.json<AnswerOf<'files.delete'>>('DELETE', `/instances/${segment(instanceId)}/agents/${segment(agentId)}/files/${segments(path)}`, { takesKey: true, options });
  }
}

export class ModelsResource extends Resource {
  /**
   * List the available models.
   *
   * An API key needs the scope `read`.
   *
   * `GET /models`
   */
  list(options: CallOptions = {}): Promise<AnswerOf<'models.list'>> {
    return this.http.json<AnswerOf<'models.list'>>('GET', '/models', { options });
  }
}

export class SkillsResource extends Resource {
  /**
   * List the built-in skills.
   *
   * `GET /skills`
   */
  catalogue(options: CallOptions = {}): Promise<AnswerOf<'skills.catalogue'>> {
    return this.http.json<AnswerOf<'skills.catalogue'>>('GET', '/skills', { options });
  }

  /**
   * Install a built-in skill, or upload a custom skill.
   *
   * All agents of the instance share the skill. On a running instance, the call returns once the next turn can use the
   * skill. Otherwise the skill is applied at the next start. An API key needs the scope `write`.
   *
   * `POST /instances/{instanceId}/skills`
   */
  install(instanceId: string, body: BodyOf<'skills.install'>, options: CallOptions = {}): Promise<AnswerOf<'skills.install'>> {
    return this.http.json<AnswerOf<'skills.install'>>('POST', `/instances/${segment(instanceId)}/skills`, { body, takesKey: true, options });
  }

  /**
   * List the skills installed on an instance, sorted by name.
   *
   * An API key needs the scope `read`.
   *
   * `GET /instances/{instanceId}/skills`
   */
  list(instanceId: string, query: QueryOf<'skills.list'> = {}, options: CallOptions = {}): Pages<AnswerOf<'skills.list'>, 'skills'> {
    return new Pages<AnswerOf<'skills.list'>, 'skills'>((more) => this.http.json<AnswerOf<'skills.list'>>('GET', `/instances/${segment(instanceId)}/skills`, { query: { ...query, ...more }, options }), { items: 'skills', cursor: 'cursor', next: 'nextCursor' });
  }

  /**
   * Remove a skill from an instance.
   *
   * On a running instance, the call returns once the next turn no longer sees the skill. An API key needs the scope `write`.
   *
   * `DELETE /instances/{instanceId}/skills/{name}`
   */
  delete(instanceId: string, name: string, options: CallOptions = {}): Promise<AnswerOf<'skills.delete'>> {
    return this.http.json<AnswerOf<'skills.delete'>>('DELETE', `/instances/${segment(instanceId)}/skills/${segment(name)}`, { takesKey: true, options });
  }
}

export class SecretsResource extends Resource {
  /**
   * Store or replace secrets.
   *
   * Stores all of the given secrets, or none of them when one is invalid. A running instance restarts within seconds to load
   * the secrets; changes within two seconds share one restart. An API key needs the scope `secrets`.
   *
   * `POST /instances/{instanceId}/secrets`
   */
  store(instanceId: string, body: BodyOf<'secrets.store'>, options: CallOptions = {}): Promise<AnswerOf<'secrets.store'>> {
    return this.http.json<AnswerOf<'secrets.store'>>('POST', `/instances/${segment(instanceId)}/secrets`, { body, takesKey: true, options });
  }

  /**
   * List the secrets of an instance, sorted by key.
   *
   * The API never returns the values of secrets. An API key needs the scope `read`.
   *
   * `GET /instances/{instanceId}/secrets`
   */
  list(instanceId: string, query: QueryOf<'secrets.list'> = {}, options: CallOptions = {}): Pages<AnswerOf<'secrets.list'>, 'secrets'> {
    return new Pages<AnswerOf<'secrets.list'>, 'secrets'>((more) => this.http.json<AnswerOf<'secrets.list'>>('GET', `/instances/${segment(instanceId)}/secrets`, { query: { ...query, ...more }, options }), { items: 'secrets', cursor: 'cursor', next: 'nextCursor' });
  }

  /**
   * Delete a secret.
   *
   * A running instance restarts within seconds without the secret. An API key needs the scope `secrets`.
   *
   * `DELETE /instances/{instanceId}/secrets/{key}`
   */
  delete(instanceId: string, key: string, options: CallOptions = {}): Promise<AnswerOf<'secrets.delete'>> {
    return this.http.json<AnswerOf<'secrets.delete'>>('DELETE', `/instances/${segment(instanceId)}/secrets/${segment(key)}`, { takesKey: true, options });
  }
}

export class MessagesResource extends Resource {
  /**
   * Send a message to an agent and get its reply.
   *
   * With `stream`, the reply is sent as server-sent events: OpenAI `chat.completion.chunk` objects, then `[DONE]`; `GET
   * .../messages/:messageId/stream` goes on after any of them. With `async`, the call returns 202 at once with the reply as
   * `pending`, and `Location` is its path. When the timeout passes or the client disconnects, the turn continues, and the
   * reply is added to the history. An API key needs the scope `messages`.
   *
   * `POST /instances/{instanceId}/agents/{agentId}/messages`
   */
  send(instanceId: string, agentId: string, body: BodyOf<'messages.send'>, options: CallOptions = {}): Promise<AnswerOf<'messages.send'>> {
    return this.http.json<AnswerOf<'messages.send'>>('POST', `/instances/${segment(instanceId)}/agents/${segment(agentId)}/messages`, { body, takesKey: true, options });
  }

  /**
   * Get the message history of an agent, in time order.
   *
   * Returns the latest messages and replies of all conversations of the agent, or of one conversation; with `before` the
   * latest before that message, with `after` the first after it, and with both only those between. While a turn has not
   * ended, its reply has the status `pending`. Messages that the agent sent without a request are in the history of their
   * conversation. The result of a cron job is in the history of a conversation only when the gateway has added it there, as
   * it does for a job that the agent created in that conversation; get other results by their id. `nextCursor` leads to
   * earlier messages, with `after` to later ones. An API key needs the scope `read`.
   *
   * `GET /instances/{instanceId}/agents/{agentId}/messages`
   */
  list(instanceId: string, agentId: string, query: QueryOf<'messages.list'> = {}, options: CallOptions = {}): Pages<AnswerOf<'messages.list'>, 'messages'> {
    return new Pages<AnswerOf<'messages.list'>, 'messages'>((more) => this.http.json<AnswerOf<'messages.list'>>('GET', `/instances/${segment(instanceId)}/agents/${segment(agentId)}/messages`, { query: { ...query, ...more }, options }), { items: 'messages', cursor: 'cursor', next: 'nextCursor' });
  }

  /**
   * Get a message.
   *
   * Use this call after a 504: a reply shows its status, and its content once the status is `completed`. The call also
   * returns the message of an event by its `messageId`, including results of cron jobs and messages that an agent sent
   * without a request. An API key needs the scope `read`.
   *
   * `GET /instances/{instanceId}/agents/{agentId}/messages/{messageId}`
   */
  get(instanceId: string, agentId: string, messageId: string, query: QueryOf<'messages.get'> = {}, options: CallOptions = {}): Promise<AnswerOf<'messages.get'>> {
    return this.http.json<AnswerOf<'messages.get'>>('GET', `/instances/${segment(instanceId)}/agents/${segment(agentId)}/messages/${segment(messageId)}`, { query, options });
  }

  /**
   * Cancel a waiting or running turn.
   *
   * `messageId` is the id of the reply, or of the message that it answers. A turn that has ended cannot be cancelled: the
   * call returns 409, also for a message that the agent sent without a request. An API key needs the scope `messages`.
   *
   * `POST /instances/{instanceId}/agents/{agentId}/messages/{messageId}/cancel`
   */
  cancel(instanceId: string, agentId: string, messageId: string, options: CallOptions = {}): Promise<AnswerOf<'messages.cancel'>> {
    return this.http.json<AnswerOf<'messages.cancel'>>('POST', `/instances/${segment(instanceId)}/agents/${segment(agentId)}/messages/${segment(messageId)}/cancel`, { takesKey: true, options });
  }
}

export class ConversationsResource extends Resource {
  /**
   * List the conversations of an agent.
   *
   * The conversation with the newest message comes first. An API key needs the scope `read`.
   *
   * `GET /instances/{instanceId}/agents/{agentId}/conversations`
   */
  list(instanceId: string, agentId: string, query: QueryOf<'conversations.list'> = {}, options: CallOptions = {}): Pages<AnswerOf<'conversations.list'>, 'conversations'> {
    return new Pages<AnswerOf<'conversations.list'>, 'conversations'>((more) => this.http.json<AnswerOf<'conversations.list'>>('GET', `/instances/${segment(instanceId)}/agents/${segment(agentId)}/conversations`, { query: { ...query, ...more }, options }), { items: 'conversations', cursor: 'cursor', next: 'nextCursor' });
  }

  /**
   * Delete a conversation.
   *
   * `conversationId` is the id of the conversation or its `sessionId`. Its running and waiting turns end as cancelled, its
   * messages are deleted, and the gateway deletes its session when the instance runs. The agent may have noted what was said
   * in its files. The events of its replies are kept for their 30 days. A later message with the same `sessionId` begins a
   * new conversation. An API key needs the scope `messages`.
   *
   * `DELETE /instances/{instanceId}/agents/{agentId}/conversations/{conversationId}`
   */
  delete(instanceId: string, agentId: string, conversationId: string, options: CallOptions = {}): Promise<AnswerOf<'conversations.delete'>> {
    return this.http.json<AnswerOf<'conversations.delete'>>('DELETE', `/instances/${segment(instanceId)}/agents/${segment(agentId)}/conversations/${segment(conversationId)}`, { takesKey: true, options });
  }
}

export class CronsResource extends Resource {
  /**
   * Create a cron job for an agent.
   *
   * At each run, the agent receives the message in a separate conversation, and its reply is recorded as a `cron.completed`
   * event. An API key needs the scope `write`.
   *
   * `POST /instances/{instanceId}/agents/{agentId}/crons`
   */
  create(instanceId: string, agentId: string, body: BodyOf<'crons.create'>, options: CallOptions = {}): Promise<AnswerOf<'crons.create'>> {
    return this.http.json<AnswerOf<'crons.create'>>('POST', `/instances/${segment(instanceId)}/agents/${segment(agentId)}/crons`, { body, takesKey: true, options });
  }

  /**
   * List the cron jobs of an agent, newest first.
   *
   * The list includes the jobs that the agent created. Jobs run only while the instance is running. An API key needs the
   * scope `read`.
   *
   * `GET /instances/{instanceId}/agents/{agentId}/crons`
   */
  list(instanceId: string, agentId: string, query: QueryOf<'crons.list'> = {}, options: CallOptions = {}): Pages<AnswerOf<'crons.list'>, 'crons'> {
    return new Pages<AnswerOf<'crons.list'>, 'crons'>((more) => this.http.json<AnswerOf<'crons.list'>>('GET', `/instances/${segment(instanceId)}/agents/${segment(agentId)}/crons`, { query: { ...query, ...more }, options }), { items: 'crons', cursor: 'cursor', next: 'nextCursor' });
  }

  /**
   * Update, enable or disable a cron job.
   *
   * An API key needs the scope `write`.
   *
   * `PATCH /instances/{instanceId}/agents/{agentId}/crons/{cronId}`
   */
  update(instanceId: string, agentId: string, cronId: string, body: BodyOf<'crons.update'>, options: CallOptions = {}): Promise<AnswerOf<'crons.update'>> {
    return this.http.json<AnswerOf<'crons.update'>>('PATCH', `/instances/${segment(instanceId)}/agents/${segment(agentId)}/crons/${segment(cronId)}`, { body, takesKey: true, options });
  }

  /**
   * Delete a cron job.
   *
   * The events of earlier runs remain. An API key needs the scope `write`.
   *
   * `DELETE /instances/{instanceId}/agents/{agentId}/crons/{cronId}`
   */
  delete(instanceId: string, agentId: string, cronId: string, options: CallOptions = {}): Promise<AnswerOf<'crons.delete'>> {
    return this.http.json<AnswerOf<'crons.delete'>>('DELETE', `/instances/${segment(instanceId)}/agents/${segment(agentId)}/crons/${segment(cronId)}`, { takesKey: true, options });
  }

  /**
   * Run a cron job now.
   *
   * The call returns once the run is queued. The result is recorded as an event. The schedule does not change. An API key
   * needs the scope `write`.
   *
   * `POST /instances/{instanceId}/agents/{agentId}/crons/{cronId}/run`
   */
  run(instanceId: string, agentId: string, cronId: string, options: CallOptions = {}): Promise<AnswerOf<'crons.run'>> {
    return this.http.json<AnswerOf<'crons.run'>>('POST', `/instances/${segment(instanceId)}/agents/${segment(agentId)}/crons/${segment(cronId)}/run`, { takesKey: true, options });
  }
}

export class WebhooksDeliveriesResource extends Resource {
  /**
   * List the deliveries of a webhook with their attempts, newest first.
   *
   * An API key needs the scope `read`.
   *
   * `GET /webhooks/{webhookId}/deliveries`
   */
  list(webhookId: string, query: QueryOf<'webhooks.deliveries.list'> = {}, options: CallOptions = {}): Pages<AnswerOf<'webhooks.deliveries.list'>, 'deliveries'> {
    return new Pages<AnswerOf<'webhooks.deliveries.list'>, 'deliveries'>((more) => this.http.json<AnswerOf<'webhooks.deliveries.list'>>('GET', `/webhooks/${segment(webhookId)}/deliveries`, { query: { ...query, ...more }, options }), { items: 'deliveries', cursor: 'cursor', next: 'nextCursor' });
  }

  /**
   * Get a delivery with its body.
   *
   * An API key needs the scope `read`.
   *
   * `GET /webhooks/{webhookId}/deliveries/{deliveryId}`
   */
  get(webhookId: string, deliveryId: string, options: CallOptions = {}): Promise<AnswerOf<'webhooks.deliveries.get'>> {
    return this.http.json<AnswerOf<'webhooks.deliveries.get'>>('GET', `/webhooks/${segment(webhookId)}/deliveries/${segment(deliveryId)}`, { options });
  }

  /**
   * Send a delivery again.
   *
   * Sends the same body as a new delivery of the same event. An API key needs the scope `write`.
   *
   * `POST /webhooks/{webhookId}/deliveries/{deliveryId}/redeliver`
   */
  redeliver(webhookId: string, deliveryId: string, options: CallOptions = {}): Promise<AnswerOf<'webhooks.deliveries.redeliver'>> {
    return this.http.json<AnswerOf<'webhooks.deliveries.redeliver'>>('POST', `/webhooks/${segment(webhookId)}/deliveries/${segment(deliveryId)}/redeliver`, { takesKey: true, options });
  }
}

export class WebhooksResource extends Resource {
  readonly deliveries = new WebhooksDeliveriesResource(this.http);

  /**
   * Subscribe a URL to events.
   *
   * Store the secret securely: it is the key that verifies the signatures of deliveries. An API key needs the scope `write`.
   *
   * `POST /webhooks`
   */
  create(body: BodyOf<'webhooks.create'>, options: CallOptions = {}): Promise<AnswerOf<'webhooks.create'>> {
    return this.http.json<AnswerOf<'webhooks.create'>>('POST', '/webhooks', { body, takesKey: true, options });
  }

  /**
   * List your webhooks, newest first.
   *
   * The secrets are masked. An API key needs the scope `read`.
   *
   * `GET /webhooks`
   */
  list(query: QueryOf<'webhooks.list'> = {}, options: CallOptions = {}): Pages<AnswerOf<'webhooks.list'>, 'webhooks'> {
    return new Pages<AnswerOf<'webhooks.list'>, 'webhooks'>((more) => this.http.json<AnswerOf<'webhooks.list'>>('GET', '/webhooks', { query: { ...query, ...more }, options }), { items: 'webhooks', cursor: 'cursor', next: 'nextCursor' });
  }

  /**
   * Get a webhook, including its unmasked secret.
   *
   * An API key needs the scope `read`.
   *
   * `GET /webhooks/{webhookId}`
   */
  get(webhookId: string, options: CallOptions = {}): Promise<AnswerOf<'webhooks.get'>> {
    return this.http.json<AnswerOf<'webhooks.get'>>('GET', `/webhooks/${segment(webhookId)}`, { options });
  }

  /**
   * Enable, disable or update a webhook.
   *
   * While a webhook is disabled, new events are not queued for it. Deliveries that were already waiting are sent when the
   * webhook is enabled again. An API key needs the scope `write`.
   *
   * `PATCH /webhooks/{webhookId}`
   */
  update(webhookId: string, body: BodyOf<'webhooks.update'>, options: CallOptions = {}): Promise<AnswerOf<'webhooks.update'>> {
    return this.http.json<AnswerOf<'webhooks.update'>>('PATCH', `/webhooks/${segment(webhookId)}`, { body, takesKey: true, options });
  }

  /**
   * Delete a webhook.
   *
   * Deliveries that are waiting are discarded. An API key needs the scope `write`.
   *
   * `DELETE /webhooks/{webhookId}`
   */
  delete(webhookId: string, options: CallOptions = {}): Promise<AnswerOf<'webhooks.delete'>> {
    return this.http.json<AnswerOf<'webhooks.delete'>>('DELETE', `/webhooks/${segment(webhookId)}`, { takesKey: true, options });
  }

  /**
   * Send a test event.
   *
   * The test event is sent once, also while the webhook is disabled. The list of deliveries shows the result. An API key
   * needs the scope `write`.
   *
   * `POST /webhooks/{webhookId}/test`
   */
  test(webhookId: string, options: CallOptions = {}): Promise<AnswerOf<'webhooks.test'>> {
    return this.http.json<AnswerOf<'webhooks.test'>>('POST', `/webhooks/${segment(webhookId)}/test`, { takesKey: true, options });
  }

  /**
   * Rotate the secret of a webhook.
   *
   * `X-Thermidora-Signature` uses the new secret from now on. For 24 hours, `X-Thermidora-Signature-Previous` uses the old
   * secret, and `webhook-signature` contains both signatures. An API key needs the scope `write`.
   *
   * `POST /webhooks/{webhookId}/rotate-secret`
   */
  rotateSecret(webhookId: string, options: CallOptions = {}): Promise<AnswerOf<'webhooks.rotateSecret'>> {
    return this.http.json<AnswerOf<'webhooks.rotateSecret'>>('POST', `/webhooks/${segment(webhookId)}/rotate-secret`, { takesKey: true, options });
  }
}

export class EventsResource extends Resource {
  /**
   * List the events of an instance, newest first.
   *
   * Returns the results of cron jobs, the messages of agents and the errors of the last 30 days. An API key needs the scope
   * `read`.
   *
   * `GET /instances/{instanceId}/events`
   */
  listOfInstance(instanceId: string, query: QueryOf<'events.listOfInstance'> = {}, options: CallOptions = {}): Pages<AnswerOf<'events.listOfInstance'>, 'events'> {
    return new Pages<AnswerOf<'events.listOfInstance'>, 'events'>((more) => this.http.json<AnswerOf<'events.listOfInstance'>>('GET', `/instances/${segment(instanceId)}/events`, { query: { ...query, ...more }, options }), { items: 'events', cursor: 'cursor', next: 'nextCursor' });
  }

  /**
   * List the events of the account, oldest first.
   *
   * For consumers that must not miss an event: pass `nextAfter` as `after` in the next call, until a page is empty. The
   * numbers between `oldestSeq` and `latestSeq` have no gaps. A page with long contents can have fewer events than `limit`.
   * Events are kept for 30 days. An API key needs the scope `read`.
   *
   * `GET /events`
   */
  list(query: QueryOf<'events.list'> = {}, options: CallOptions = {}): Pages<AnswerOf<'events.list'>, 'events'> {
    return new Pages<AnswerOf<'events.list'>, 'events'>((more) => this.http.json<AnswerOf<'events.list'>>('GET', '/events', { query: { ...query, ...more }, options }), { items: 'events', cursor: 'after', next: 'nextAfter' });
  }
}

export class BillingResource extends Resource {
  /**
   * List the lines of your ledger, newest first.
   *
   * The balance is the sum of all amounts, minus the charges for running time and model calls that are not in the ledger
   * yet. An API key needs the scope `read`.
   *
   * `GET /billing/ledger`
   */
  ledger(query: QueryOf<'billing.ledger'> = {}, options: CallOptions = {}): Pages<AnswerOf<'billing.ledger'>, 'entries'> {
    return new Pages<AnswerOf<'billing.ledger'>, 'entries'>((more) => this.http.json<AnswerOf<'billing.ledger'>>('GET', '/billing/ledger', { query: { ...query, ...more }, options }), { items: 'entries', cursor: 'cursor', next: 'nextCursor' });
  }

  /**
   * Get the usage of the account: running time and its cost, messages and model tokens.
   *
   * An API key needs the scope `read`.
   *
   * `GET /billing/usage`
   */
  usage(query: QueryOf<'billing.usage'> = {}, options: CallOptions = {}): Promise<AnswerOf<'billing.usage'>> {
    return this.http.json<AnswerOf<'billing.usage'>>('GET', '/billing/usage', { query, options });
  }

  /**
   * Get a forecast of when the balance is used up.
   *
   * The forecast assumes that the instances that run now keep running. An API key needs the scope `read`.
   *
   * `GET /billing/forecast`
   */
  forecast(options: CallOptions = {}): Promise<AnswerOf<'billing.forecast'>> {
    return this.http.json<AnswerOf<'billing.forecast'>>('GET', '/billing/forecast', { options });
  }
}

export class BudgetsResource extends Resource {
  /**
   * Create a budget, a cap on what is spent.
   *
   * A message that a budget has no room for is refused with 402, and a running turn ends when its next model call has no
   * room. An instance whose running time a budget counts is stopped at the limit. Spending counts from the creation of the
   * budget on. An API key needs the scope `write`.
   *
   * `POST /budgets`
   */
  create(body: BodyOf<'budgets.create'>, options: CallOptions = {}): Promise<AnswerOf<'budgets.create'>> {
    return this.http.json<AnswerOf<'budgets.create'>>('POST', '/budgets', { body, takesKey: true, options });
  }

  /**
   * List your budgets, newest first.
   *
   * An API key needs the scope `read`.
   *
   * `GET /budgets`
   */
  list(query: QueryOf<'budgets.list'> = {}, options: CallOptions = {}): Pages<AnswerOf<'budgets.list'>, 'budgets'> {
    return new Pages<AnswerOf<'budgets.list'>, 'budgets'>((more) => this.http.json<AnswerOf<'budgets.list'>>('GET', '/budgets', { query: { ...query, ...more }, options }), { items: 'budgets', cursor: 'cursor', next: 'nextCursor' });
  }

  /**
   * Get a budget and its spending.
   *
   * An API key needs the scope `read`.
   *
   * `GET /budgets/{budgetId}`
   */
  get(budgetId: string, options: CallOptions = {}): Promise<AnswerOf<'budgets.get'>> {
    return this.http.json<AnswerOf<'budgets.get'>>('GET', `/budgets/${segment(budgetId)}`, { options });
  }

  /**
   * Rename a budget, or change its limit or warning.
   *
   * Spending so far still counts. When the new limit is below it, new messages are refused at once. An API key needs the
   * scope `write`.
   *
   * `PATCH /budgets/{budgetId}`
   */
  update(budgetId: string, body: BodyOf<'budgets.update'>, options: CallOptions = {}): Promise<AnswerOf<'budgets.update'>> {
    return this.http.json<AnswerOf<'budgets.update'>>('PATCH', `/budgets/${segment(budgetId)}`, { body, takesKey: true, options });
  }

  /**
   * Delete a budget.
   *
   * The budget no longer limits any spending. An API key needs the scope `write`.
   *
   * `DELETE /budgets/{budgetId}`
   */
  delete(budgetId: string, options: CallOptions = {}): Promise<AnswerOf<'budgets.delete'>> {
    return this.http.json<AnswerOf<'budgets.delete'>>('DELETE', `/budgets/${segment(budgetId)}`, { takesKey: true, options });
  }

  /**
   * List the spending of a budget for each end user, instance, or other key of its scope.
   *
   * For a budget with `*` in its scope, in the order of the keys. Other budgets have no keys. An API key needs the scope
   * `read`.
   *
   * `GET /budgets/{budgetId}/spend`
   */
  spend(budgetId: string, query: QueryOf<'budgets.spend'> = {}, options: CallOptions = {}): Pages<AnswerOf<'budgets.spend'>, 'keys'> {
    return new Pages<AnswerOf<'budgets.spend'>, 'keys'>((more) => this.http.json<AnswerOf<'budgets.spend'>>('GET', `/budgets/${segment(budgetId)}/spend`, { query: { ...query, ...more }, options }), { items: 'keys', cursor: 'cursor', next: 'nextCursor' });
  }
}

export class OperatorInvitesResource extends Resource {
  /**
   * Create an invite code.
   *
   * `POST /admin/invites`
   */
  create(body: BodyOf<'invites.create'>, options: CallOptions = {}): Promise<AnswerOf<'invites.create'>> {
    return this.http.json<AnswerOf<'invites.create'>>('POST', '/admin/invites', { body, takesKey: true, options });
  }

  /**
   * List the invite codes.
   *
   * `GET /admin/invites`
   */
  list(query: QueryOf<'invites.list'> = {}, options: CallOptions = {}): Pages<AnswerOf<'invites.list'>, 'invites'> {
    return new Pages<AnswerOf<'invites.list'>, 'invites'>((more) => this.http.json<AnswerOf<'invites.list'>>('GET', '/admin/invites', { query: { ...query, ...more }, options }), { items: 'invites', cursor: 'cursor', next: 'nextCursor' });
  }
}

export class OperatorAccountsResource extends Resource {
  /**
   * List the accounts, or find an account by its email address.
   *
   * `GET /admin/accounts`
   */
  list(query: QueryOf<'accounts.list'> = {}, options: CallOptions = {}): Pages<AnswerOf<'accounts.list'>, 'accounts'> {
    return new Pages<AnswerOf<'accounts.list'>, 'accounts'>((more) => this.http.json<AnswerOf<'accounts.list'>>('GET', '/admin/accounts', { query: { ...query, ...more }, options }), { items: 'accounts', cursor: 'cursor', next: 'nextCursor' });
  }

  /**
   * Make an account an operator, or take that away.
   *
   * In the console, an operator sees and does what the operator token allows. In the API, its keys and tokens remain those
   * of a customer. It takes effect at once.
   *
   * `PATCH /admin/accounts/{accountId}`
   */
  update(accountId: string, body: BodyOf<'accounts.update'>, options: CallOptions = {}): Promise<AnswerOf<'accounts.update'>> {
    return this.http.json<AnswerOf<'accounts.update'>>('PATCH', `/admin/accounts/${segment(accountId)}`, { body, takesKey: true, options });
  }
}

export class OperatorGrantsResource extends Resource {
  /**
   * Add credit to an account.
   *
   * `POST /admin/accounts/{accountId}/grants`
   */
  create(accountId: string, body: BodyOf<'grants.create'>, options: CallOptions = {}): Promise<AnswerOf<'grants.create'>> {
    return this.http.json<AnswerOf<'grants.create'>>('POST', `/admin/accounts/${segment(accountId)}/grants`, { body, takesKey: true, options });
  }
}

export class OperatorInstancesResource extends Resource {
  /**
   * List the instances of all accounts, newest first.
   *
   * `GET /admin/instances`
   */
  list(query: QueryOf<'operator.instances.list'> = {}, options: CallOptions = {}): Pages<AnswerOf<'operator.instances.list'>, 'instances'> {
    return new Pages<AnswerOf<'operator.instances.list'>, 'instances'>((more) => this.http.json<AnswerOf<'operator.instances.list'>>('GET', '/admin/instances', { query: { ...query, ...more }, options }), { items: 'instances', cursor: 'cursor', next: 'nextCursor' });
  }

  /**
   * Stop an instance of any account.
   *
   * `POST /admin/instances/{instanceId}/stop`
   */
  stop(instanceId: string, options: CallOptions = {}): Promise<AnswerOf<'operator.instances.stop'>> {
    return this.http.json<AnswerOf<'operator.instances.stop'>>('POST', `/admin/instances/${segment(instanceId)}/stop`, { takesKey: true, options });
  }

  /**
   * Reconcile an instance now.
   *
   * Starts a new attempt to bring the instance to its desired status, also when its status is `error`.
   *
   * `POST /admin/instances/{instanceId}/reconcile`
   */
  reconcile(instanceId: string, options: CallOptions = {}): Promise<AnswerOf<'operator.instances.reconcile'>> {
    return this.http.json<AnswerOf<'operator.instances.reconcile'>>('POST', `/admin/instances/${segment(instanceId)}/reconcile`, { takesKey: true, options });
  }
}

export class OperatorModelsResource extends Resource {
  /**
   * List the models of all accounts with the providers behind them.
   *
   * `GET /admin/models`
   */
  listAll(options: CallOptions = {}): Promise<AnswerOf<'models.listAll'>> {
    return this.http.json<AnswerOf<'models.listAll'>>('GET', '/admin/models', { options });
  }
}

export class OperatorHealthResource extends Resource {
  /**
   * Get the state of the parts of the installation and of what waits.
   *
   * What the Prometheus metrics of the parts say, as one answer. The model relay is judged by its calls: it shares no table
   * of processes with the other parts.
   *
   * `GET /admin/health`
   */
  get(options: CallOptions = {}): Promise<AnswerOf<'health.get'>> {
    return this.http.json<AnswerOf<'health.get'>>('GET', '/admin/health', { options });
  }
}

export class OperatorAuditResource extends Resource {
  /**
   * List the audit entries, newest first.
   *
   * `GET /admin/audit`
   */
  list(query: QueryOf<'audit.list'> = {}, options: CallOptions = {}): Pages<AnswerOf<'audit.list'>, 'entries'> {
    return new Pages<AnswerOf<'audit.list'>, 'entries'>((more) => this.http.json<AnswerOf<'audit.list'>>('GET', '/admin/audit', { query: { ...query, ...more }, options }), { items: 'entries', cursor: 'cursor', next: 'nextCursor' });
  }
}

export class OperatorRuntimesResource extends Resource {
  /**
   * List the runtimes of all nodes, newest first.
   *
   * A runtime is a gateway with its storage. Runtimes of deleted instances are not listed.
   *
   * `GET /admin/runtimes`
   */
  list(query: QueryOf<'runtimes.list'> = {}, options: CallOptions = {}): Pages<AnswerOf<'runtimes.list'>, 'runtimes'> {
    return new Pages<AnswerOf<'runtimes.list'>, 'runtimes'>((more) => this.http.json<AnswerOf<'runtimes.list'>>('GET', '/admin/runtimes', { query: { ...query, ...more }, options }), { items: 'runtimes', cursor: 'cursor', next: 'nextCursor' });
  }
}

export class OperatorQuarantineResource extends Resource {
  /**
   * List the runtimes that no instance owns, newest first.
   *
   * A runtime is a gateway with its storage. The list shows what the last sweep found. Sweeps run every minute.
   *
   * `GET /admin/quarantine`
   */
  list(query: QueryOf<'quarantine.list'> = {}, options: CallOptions = {}): Pages<AnswerOf<'quarantine.list'>, 'runtimes'> {
    return new Pages<AnswerOf<'quarantine.list'>, 'runtimes'>((more) => this.http.json<AnswerOf<'quarantine.list'>>('GET', '/admin/quarantine', { query: { ...query, ...more }, options }), { items: 'runtimes', cursor: 'cursor', next: 'nextCursor' });
  }

  /**
   * Restore unowned storage as an instance of an account.
   *
   * Creates a stopped instance that owns the storage. The next sweep, within about a minute, moves the storage out of the
   * quarantine, and so does a start. The new instance has no agents; the files of the former agents remain in its storage. A
   * runtime that belongs to an instance in a restored database needs no call: the next sweep restores it.
   *
   * `POST /admin/quarantine/{runtimeId}/restore`
   */
  restore(runtimeId: string, body: BodyOf<'quarantine.restore'>, options: CallOptions = {}): Promise<AnswerOf<'quarantine.restore'>> {
    return this.http.json<AnswerOf<'quarantine.restore'>>('POST', `/admin/quarantine/${segment(runtimeId)}/restore`, { body, takesKey: true, options });
  }

  /**
   * Delete a runtime that no instance owns.
   *
   * The next sweep, within about a minute, stops the gateway and deletes its storage, unless an instance owns the runtime by
   * then. The deletion cannot be undone.
   *
   * `DELETE /admin/quarantine/{runtimeId}`
   */
  delete(runtimeId: string, options: CallOptions = {}): Promise<AnswerOf<'quarantine.delete'>> {
    return this.http.json<AnswerOf<'quarantine.delete'>>('DELETE', `/admin/quarantine/${segment(runtimeId)}`, { takesKey: true, options });
  }
}

export class OperatorResource extends Resource {
  readonly invites = new OperatorInvitesResource(this.http);

  readonly accounts = new OperatorAccountsResource(this.http);

  readonly grants = new OperatorGrantsResource(this.http);

  readonly instances = new OperatorInstancesResource(this.http);

  readonly models = new OperatorModelsResource(this.http);

  readonly health = new OperatorHealthResource(this.http);

  readonly audit = new OperatorAuditResource(this.http);

  readonly runtimes = new OperatorRuntimesResource(this.http);

  readonly quarantine = new OperatorQuarantineResource(this.http);
}

export class AllResources extends Resource {
  readonly auth = new AuthResource(this.http);

  readonly keys = new KeysResource(this.http);

  readonly account = new AccountResource(this.http);

  readonly instances = new InstancesResource(this.http);

  readonly agents = new AgentsResource(this.http);

  readonly files = new FilesResource(this.http);

  readonly models = new ModelsResource(this.http);

  readonly skills = new SkillsResource(this.http);

  readonly secrets = new SecretsResource(this.http);

  readonly messages = new MessagesResource(this.http);

  readonly conversations = new ConversationsResource(this.http);

  readonly crons = new CronsResource(this.http);

  readonly webhooks = new WebhooksResource(this.http);

  readonly events = new EventsResource(this.http);

  readonly billing = new BillingResource(this.http);

  readonly budgets = new BudgetsResource(this.http);

  readonly operator = new OperatorResource(this.http);
}
