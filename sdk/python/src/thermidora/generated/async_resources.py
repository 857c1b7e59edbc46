# Written by `npm run sdk` from openapi.json. Do not change it by hand.
from __future__ import annotations

from typing import Any

import httpx

from .._async.pages import AsyncPages
from .._async.transport import AsyncTransport
from .._common import CallOptions, RawContent, segment, segments
from . import types


class AsyncAuthResource:
    def __init__(self, http: AsyncTransport) -> None:
        self._http = http

    async def register(self, body: types.AuthRegisterRequest, options: CallOptions | None = None) -> types.AuthRegisterResponse:
        """Create an account with an invite code.

        `POST /auth/register`"""
        answer: types.AuthRegisterResponse = await self._http.json("POST", "/auth/register", body=body, options=options)
        return answer

    async def login(self, body: types.AuthLoginRequest, options: CallOptions | None = None) -> types.AuthLoginResponse:
        """Request a one-time code by email.

        The response is the same for every email address, whether or not it has an account. A code is valid for ten
        minutes and for one login, and allows at most five attempts. Codes, attempts and emails are counted per IP
        address, so verify a code from the IP address that requested it: other IP addresses have at most two of the
        attempts.

        `POST /auth/login`"""
        answer: types.AuthLoginResponse = await self._http.json("POST", "/auth/login", body=body, options=options)
        return answer

    async def verify(self, body: types.AuthVerifyRequest, options: CallOptions | None = None) -> types.AuthVerifyResponse:
        """Exchange a one-time code for a token.

        `POST /auth/verify`"""
        answer: types.AuthVerifyResponse = await self._http.json("POST", "/auth/verify", body=body, options=options)
        return answer

    async def me(self, options: CallOptions | None = None) -> types.AuthMeResponse:
        """Get your account and its balance.

        An API key needs the scope `read`.

        `GET /auth/me`"""
        answer: types.AuthMeResponse = await self._http.json("GET", "/auth/me", options=options)
        return answer

    async def logout(self, options: CallOptions | None = None) -> types.AuthLogoutResponse:
        """Revoke all tokens of your account.

        The API rejects every token of the account from this moment on. API keys remain valid. An API key needs the
        scope `keys`.

        `POST /auth/logout`"""
        answer: types.AuthLogoutResponse = await self._http.json("POST", "/auth/logout", takes_key=True, options=options)
        return answer

    async def create_link(self, options: CallOptions | None = None) -> types.AuthCreateLinkResponse:
        """Create a link that opens the console signed in.

        The path, on the host of the API, opens the console with a session of your account. It is valid for one hour
        and for one use, and a new one makes the one before void. An API key with limits cannot create one. An API key
        needs the scope `keys`.

        `POST /auth/links`"""
        answer: types.AuthCreateLinkResponse = await self._http.json("POST", "/auth/links", takes_key=True, options=options)
        return answer


class AsyncKeysResource:
    def __init__(self, http: AsyncTransport) -> None:
        self._http = http

    async def create(self, body: types.KeysCreateRequest, options: CallOptions | None = None) -> types.KeysCreateResponse:
        """Create an API key.

        The response is the only place that shows the key. Store the key securely. A key may be limited to scopes, to
        an instance and in time; a key that creates another one passes its limits on, and cannot create one that may
        do more. An API key needs the scope `keys`.

        `POST /auth/keys`"""
        answer: types.KeysCreateResponse = await self._http.json("POST", "/auth/keys", body=body, takes_key=True, options=options)
        return answer

    def list(self, query: types.KeysListParametersQuery | None = None, options: CallOptions | None = None) -> AsyncPages[types.KeysListResponse, types.KeysListResponseKeysItem]:
        """List your API keys, newest first.

        An API key needs the scope `read`.

        `GET /auth/keys`"""

        async def read(more: dict[str, Any]) -> Any:
            return await self._http.json("GET", "/auth/keys", query={**(query or {}), **more}, options=options)

        return AsyncPages(read, items="keys", cursor="cursor", next="nextCursor")

    async def revoke(self, key_id: str, options: CallOptions | None = None) -> types.KeysRevokeResponse:
        """Revoke an API key.

        The API rejects the key from this moment on. An API key needs the scope `keys`.

        `DELETE /auth/keys/{keyId}`"""
        answer: types.KeysRevokeResponse = await self._http.json("DELETE", f"/auth/keys/{segment(key_id)}", takes_key=True, options=options)
        return answer


class AsyncAccountResource:
    def __init__(self, http: AsyncTransport) -> None:
        self._http = http

    async def export(self, options: CallOptions | None = None) -> httpx.Response:
        """Export everything of your account as one tar.gz archive.

        The archive holds what the list operations return, as JSON lines (a list of more than 200 items is in several
        files), and the files of every agent. It has the names of secrets but no values, and no API keys. If a file
        changes while it is being sent, the connection is cut and the archive is incomplete: stop the instance, then
        repeat the call. If the files of an agent cannot be read, the archive says so in `files-missing.txt`. One
        export of an account runs at a time. An API key needs the scope `read`.

        `GET /account/export`"""
        return await self._http.raw("GET", "/account/export", options=options)

    async def delete(self, body: types.AccountDeleteRequest, options: CallOptions | None = None) -> types.AccountDeleteResponse:
        """Delete your account and all its data.

        Request a code with `POST /auth/login`, then send it here. The instances of the account with everything in
        them, its keys, tokens, webhooks and budgets are deleted at once and cannot be restored; a balance that is
        left is forfeited. The email address can be registered again after 30 days. Ledger entries are kept without a
        name. An API key needs the scope `write`.

        `DELETE /account`"""
        answer: types.AccountDeleteResponse = await self._http.json("DELETE", "/account", body=body, takes_key=True, options=options)
        return answer


class AsyncInstancesResource:
    def __init__(self, http: AsyncTransport) -> None:
        self._http = http

    async def create(self, body: types.InstancesCreateRequest, query: types.InstancesCreateParametersQuery | None = None, options: CallOptions | None = None) -> types.Instance:
        """Create an instance.

        Provisioning is asynchronous: poll `GET /instances/:instanceId` until the status is `running`, or pass `wait`.
        An API key needs the scope `write`.

        `POST /instances`"""
        answer: types.Instance = await self._http.json("POST", "/instances", body=body, query=query, takes_key=True, options=options)
        return answer

    def list(self, query: types.InstancesListParametersQuery | None = None, options: CallOptions | None = None) -> AsyncPages[types.InstancesListResponse, types.Instance]:
        """List your instances, newest first.

        An API key needs the scope `read`.

        `GET /instances`"""

        async def read(more: dict[str, Any]) -> Any:
            return await self._http.json("GET", "/instances", query={**(query or {}), **more}, options=options)

        return AsyncPages(read, items="instances", cursor="cursor", next="nextCursor")

    async def get(self, instance_id: str, options: CallOptions | None = None) -> types.Instance:
        """Get an instance and its agents.

        An API key needs the scope `read`.

        `GET /instances/{instanceId}`"""
        answer: types.Instance = await self._http.json("GET", f"/instances/{segment(instance_id)}", options=options)
        return answer

    async def update(self, instance_id: str, body: types.InstancesUpdateRequest, options: CallOptions | None = None) -> types.Instance:
        """Change the name, the metadata or the sleep of an instance.

        Fields that are not given stay as they are. The instance goes on running; one that sleeps wakes when
        `sleepAfterMs` is set to `null`. An API key needs the scope `write`.

        `PATCH /instances/{instanceId}`"""
        answer: types.Instance = await self._http.json("PATCH", f"/instances/{segment(instance_id)}", body=body, takes_key=True, options=options)
        return answer

    async def delete(self, instance_id: str, options: CallOptions | None = None) -> types.InstancesDeleteResponse:
        """Delete an instance and all its data.

        An instance can be deleted in every status, and the call can be repeated. The status is `destroying` until the
        instance is deleted; after that, calls return 404. An API key needs the scope `write`.

        `DELETE /instances/{instanceId}`"""
        answer: types.InstancesDeleteResponse = await self._http.json("DELETE", f"/instances/{segment(instance_id)}", takes_key=True, options=options)
        return answer

    async def start(self, instance_id: str, query: types.InstancesStartParametersQuery | None = None, options: CallOptions | None = None) -> types.InstancesStartResponse:
        """Start an instance.

        The call returns the accepted target status before the instance runs, unless `wait` is given. An instance with
        the status `error` is tried again. An API key needs the scope `write`.

        `POST /instances/{instanceId}/start`"""
        answer: types.InstancesStartResponse = await self._http.json("POST", f"/instances/{segment(instance_id)}/start", query=query, takes_key=True, options=options)
        return answer

    async def stop(self, instance_id: str, query: types.InstancesStopParametersQuery | None = None, options: CallOptions | None = None) -> types.InstancesStopResponse:
        """Stop an instance.

        The call returns the accepted target status before the instance has stopped, unless `wait` is given. Running
        turns have one minute to end. Charging ends with this call. An API key needs the scope `write`.

        `POST /instances/{instanceId}/stop`"""
        answer: types.InstancesStopResponse = await self._http.json("POST", f"/instances/{segment(instance_id)}/stop", query=query, takes_key=True, options=options)
        return answer

    async def wait(self, instance_id: str, query: types.InstancesWaitParametersQuery | None = None, options: CallOptions | None = None) -> types.Instance:
        """Wait until an instance has a status.

        Returns the instance as soon as it has the status, can no longer reach the status, or the timeout has passed.
        Waiting does not wake a sleeping instance: `POST /instances/:instanceId/start` does, and so does a message to
        one of its agents. An API key needs the scope `read`.

        `GET /instances/{instanceId}/wait`"""
        answer: types.Instance = await self._http.json("GET", f"/instances/{segment(instance_id)}/wait", query=query, options=options)
        return answer

    async def logs(self, instance_id: str, query: types.InstancesLogsParametersQuery | None = None, options: CallOptions | None = None) -> types.InstancesLogsResponse:
        """Get the latest log lines of an instance, oldest first.

        An API key needs the scope `read`.

        `GET /instances/{instanceId}/logs`"""
        answer: types.InstancesLogsResponse = await self._http.json("GET", f"/instances/{segment(instance_id)}/logs", query=query, options=options)
        return answer

    async def usage(self, instance_id: str, query: types.InstancesUsageParametersQuery | None = None, options: CallOptions | None = None) -> types.Usage:
        """Get the usage of the agents of an instance.

        An API key needs the scope `read`.

        `GET /instances/{instanceId}/usage`"""
        answer: types.Usage = await self._http.json("GET", f"/instances/{segment(instance_id)}/usage", query=query, options=options)
        return answer


class AsyncAgentsResource:
    def __init__(self, http: AsyncTransport) -> None:
        self._http = http

    async def create(self, instance_id: str, body: types.AgentsCreateRequest, options: CallOptions | None = None) -> types.Agent:
        """Create an agent.

        On a running instance, the call returns once the agent accepts messages. Otherwise the agent is created in the
        gateway at the next start. An API key needs the scope `write`.

        `POST /instances/{instanceId}/agents`"""
        answer: types.Agent = await self._http.json("POST", f"/instances/{segment(instance_id)}/agents", body=body, takes_key=True, options=options)
        return answer

    def list(self, instance_id: str, query: types.AgentsListParametersQuery | None = None, options: CallOptions | None = None) -> AsyncPages[types.AgentsListResponse, types.Agent]:
        """List the agents of an instance, newest first.

        An API key needs the scope `read`.

        `GET /instances/{instanceId}/agents`"""

        async def read(more: dict[str, Any]) -> Any:
            return await self._http.json("GET", f"/instances/{segment(instance_id)}/agents", query={**(query or {}), **more}, options=options)

        return AsyncPages(read, items="agents", cursor="cursor", next="nextCursor")

    async def get(self, instance_id: str, agent_id: str, options: CallOptions | None = None) -> types.AgentWithFiles:
        """Get an agent and its workspace files.

        Agents can change their files. While the instance runs, the call returns the current files of the agent;
        otherwise, the last known ones. An API key needs the scope `read`.

        `GET /instances/{instanceId}/agents/{agentId}`"""
        answer: types.AgentWithFiles = await self._http.json("GET", f"/instances/{segment(instance_id)}/agents/{segment(agent_id)}", options=options)
        return answer

    async def update(self, instance_id: str, agent_id: str, body: types.AgentsUpdateRequest, options: CallOptions | None = None) -> types.AgentWithFiles:
        """Update the names, the metadata or the workspace files of an agent.

        Only the given files change; the others stay as they are, but for an IDENTITY.md that is still the default
        one: it gets a new display name. On a running instance, the call returns once the next message uses the
        change. An API key needs the scope `write`.

        `PATCH /instances/{instanceId}/agents/{agentId}`"""
        answer: types.AgentWithFiles = await self._http.json("PATCH", f"/instances/{segment(instance_id)}/agents/{segment(agent_id)}", body=body, takes_key=True, options=options)
        return answer

    async def delete(self, instance_id: str, agent_id: str, options: CallOptions | None = None) -> types.AgentsDeleteResponse:
        """Delete an agent and its workspace.

        The running and waiting turns of the agent end as cancelled. A new agent can use the slug; it does not get the
        memory of the deleted agent. An API key needs the scope `write`.

        `DELETE /instances/{instanceId}/agents/{agentId}`"""
        answer: types.AgentsDeleteResponse = await self._http.json("DELETE", f"/instances/{segment(instance_id)}/agents/{segment(agent_id)}", takes_key=True, options=options)
        return answer


class AsyncFilesResource:
    def __init__(self, http: AsyncTransport) -> None:
        self._http = http

    def list(self, instance_id: str, agent_id: str, query: types.FilesListParametersQuery | None = None, options: CallOptions | None = None) -> AsyncPages[types.FilesListResponse, types.FilesListResponseFilesItem]:
        """List the files in the workspace of an agent, by path.

        All folders are listed. Links, and what the gateway keeps for itself, are left out. A page can have fewer
        files than `limit` although more follow: go on until `nextCursor` is `null`. An API key needs the scope
        `read`.

        `GET /instances/{instanceId}/agents/{agentId}/files`"""

        async def read(more: dict[str, Any]) -> Any:
            return await self._http.json("GET", f"/instances/{segment(instance_id)}/agents/{segment(agent_id)}/files", query={**(query or {}), **more}, options=options)

        return AsyncPages(read, items="files", cursor="cursor", next="nextCursor")

    async def get(self, instance_id: str, agent_id: str, path: str, options: CallOptions | None = None) -> httpx.Response:
        """Get a file of an agent.

        Answers the bytes of the file. `Range` with one range of bytes, `If-Range` and `If-None-Match` are honoured.
        When the agent changes the file before its last byte was sent, the connection is cut. An API key needs the
        scope `read`.

        `GET /instances/{instanceId}/agents/{agentId}/files/{path}`"""
        return await self._http.raw("GET", f"/instances/{segment(instance_id)}/agents/{segment(agent_id)}/files/{segments(path)}", options=options)

    async def put(self, instance_id: str, agent_id: str, path: str, body: RawContent, options: CallOptions | None = None) -> types.FilesPutResponse:
        """Create or replace a file of an agent.

        The body is the bytes of the file, at most 25 MiB. It takes its place in one step once all of it has arrived.
        With `If-Match`, only a file in that state is replaced. A file of the prompt, such as SOUL.md, is text with
        the limits of `files` of an agent, and is given to a stopped instance at its next start. An API key needs the
        scope `write`.

        `PUT /instances/{instanceId}/agents/{agentId}/files/{path}`"""
        answer: types.FilesPutResponse = await self._http.json("PUT", f"/instances/{segment(instance_id)}/agents/{segment(agent_id)}/files/{segments(path)}", body=body, takes_key=True, options=options)
        return answer

    async def delete(self, instance_id: str, agent_id: str, path: str, options: CallOptions | None = None) -> types.FilesDeleteResponse:
        """Delete a file of an agent.

        An API key needs the scope `write`.

        `DELETE /instances/{instanceId}/agents/{agentId}/files/{path}`"""
        answer: types.FilesDeleteResponse = await self._http.json("DELETE", f"/instances/{segment(instance_id)}/agents/{segment(agent_id)}/files/{segments(path)}", takes_key=True, options=options)
        return answer


class AsyncModelsResource:
    def __init__(self, http: AsyncTransport) -> None:
        self._http = http

    async def list(self, options: CallOptions | None = None) -> types.ModelsListResponse:
        """List the available models.

        An API key needs the scope `read`.

        `GET /models`"""
        answer: types.ModelsListResponse = await self._http.json("GET", "/models", options=options)
        return answer


class AsyncSkillsResource:
    def __init__(self, http: AsyncTransport) -> None:
        self._http = http

    async def catalogue(self, options: CallOptions | None = None) -> types.SkillsCatalogueResponse:
        """List the built-in skills.

        `GET /skills`"""
        answer: types.SkillsCatalogueResponse = await self._http.json("GET", "/skills", options=options)
        return answer

    async def install(self, instance_id: str, body: types.SkillsInstallRequest, options: CallOptions | None = None) -> types.InstalledSkill:
        """Install a built-in skill, or upload a custom skill.

        All agents of the instance share the skill. On a running instance, the call returns once the next turn can use
        the skill. Otherwise the skill is applied at the next start. An API key needs the scope `write`.

        `POST /instances/{instanceId}/skills`"""
        answer: types.InstalledSkill = await self._http.json("POST", f"/instances/{segment(instance_id)}/skills", body=body, takes_key=True, options=options)
        return answer

    def list(self, instance_id: str, query: types.SkillsListParametersQuery | None = None, options: CallOptions | None = None) -> AsyncPages[types.SkillsListResponse, types.InstalledSkill]:
        """List the skills installed on an instance, sorted by name.

        An API key needs the scope `read`.

        `GET /instances/{instanceId}/skills`"""

        async def read(more: dict[str, Any]) -> Any:
            return await self._http.json("GET", f"/instances/{segment(instance_id)}/skills", query={**(query or {}), **more}, options=options)

        return AsyncPages(read, items="skills", cursor="cursor", next="nextCursor")

    async def delete(self, instance_id: str, name: str, options: CallOptions | None = None) -> types.SkillsDeleteResponse:
        """Remove a skill from an instance.

        On a running instance, the call returns once the next turn no longer sees the skill. An API key needs the
        scope `write`.

        `DELETE /instances/{instanceId}/skills/{name}`"""
        answer: types.SkillsDeleteResponse = await self._http.json("DELETE", f"/instances/{segment(instance_id)}/skills/{segment(name)}", takes_key=True, options=options)
        return answer


class AsyncSecretsResource:
    def __init__(self, http: AsyncTransport) -> None:
        self._http = http

    async def store(self, instance_id: str, body: types.SecretsStoreRequest, options: CallOptions | None = None) -> types.SecretsStoreResponse:
        """Store or replace secrets.

        Stores all of the given secrets, or none of them when one is invalid. A running instance restarts within
        seconds to load the secrets; changes within two seconds share one restart. An API key needs the scope
        `secrets`.

        `POST /instances/{instanceId}/secrets`"""
        answer: types.SecretsStoreResponse = await self._http.json("POST", f"/instances/{segment(instance_id)}/secrets", body=body, takes_key=True, options=options)
        return answer

    def list(self, instance_id: str, query: types.SecretsListParametersQuery | None = None, options: CallOptions | None = None) -> AsyncPages[types.SecretsListResponse, types.SecretsListResponseSecretsItem]:
        """List the secrets of an instance, sorted by key.

        The API never returns the values of secrets. An API key needs the scope `read`.

        `GET /instances/{instanceId}/secrets`"""

        async def read(more: dict[str, Any]) -> Any:
            return await self._http.json("GET", f"/instances/{segment(instance_id)}/secrets", query={**(query or {}), **more}, options=options)

        return AsyncPages(read, items="secrets", cursor="cursor", next="nextCursor")

    async def delete(self, instance_id: str, key: str, options: CallOptions | None = None) -> types.SecretsDeleteResponse:
        """Delete a secret.

        A running instance restarts within seconds without the secret. An API key needs the scope `secrets`.

        `DELETE /instances/{instanceId}/secrets/{key}`"""
        answer: types.SecretsDeleteResponse = await self._http.json("DELETE", f"/instances/{segment(instance_id)}/secrets/{segment(key)}", takes_key=True, options=options)
        return answer


class AsyncMessagesResource:
    def __init__(self, http: AsyncTransport) -> None:
        self._http = http

    async def send(self, instance_id: str, agent_id: str, body: types.MessagesSendRequest, options: CallOptions | None = None) -> types.Message:
        """Send a message to an agent and get its reply.

        With `stream`, the reply is sent as server-sent events: OpenAI `chat.completion.chunk` objects, then `[DONE]`;
        `GET .../messages/:messageId/stream` goes on after any of them. With `async`, the call returns 202 at once
        with the reply as `pending`, and `Location` is its path. When the timeout passes or the client disconnects,
        the turn continues, and the reply is added to the history. An API key needs the scope `messages`.

        `POST /instances/{instanceId}/agents/{agentId}/messages`"""
        answer: types.Message = await self._http.json("POST", f"/instances/{segment(instance_id)}/agents/{segment(agent_id)}/messages", body=body, takes_key=True, options=options)
        return answer

    def list(self, instance_id: str, agent_id: str, query: types.MessagesListParametersQuery | None = None, options: CallOptions | None = None) -> AsyncPages[types.MessagesListResponse, types.Message]:
        """Get the message history of an agent, in time order.

        Returns the latest messages and replies of all conversations of the agent, or of one conversation; with
        `before` the latest before that message, with `after` the first after it, and with both only those between.
        While a turn has not ended, its reply has the status `pending`. Messages that the agent sent without a request
        are in the history of their conversation. The result of a cron job is in the history of a conversation only
        when the gateway has added it there, as it does for a job that the agent created in that conversation; get
        other results by their id. `nextCursor` leads to earlier messages, with `after` to later ones. An API key
        needs the scope `read`.

        `GET /instances/{instanceId}/agents/{agentId}/messages`"""

        async def read(more: dict[str, Any]) -> Any:
            return await self._http.json("GET", f"/instances/{segment(instance_id)}/agents/{segment(agent_id)}/messages", query={**(query or {}), **more}, options=options)

        return AsyncPages(read, items="messages", cursor="cursor", next="nextCursor")

    async def get(self, instance_id: str, agent_id: str, message_id: str, query: types.MessagesGetParametersQuery | None = None, options: CallOptions | None = None) -> types.Message:
        """Get a message.

        Use this call after a 504: a reply shows its status, and its content once the status is `completed`. The call
        also returns the message of an event by its `messageId`, including results of cron jobs and messages that an
        agent sent without a request. An API key needs the scope `read`.

        `GET /instances/{instanceId}/agents/{agentId}/messages/{messageId}`"""
        answer: types.Message = await self._http.json("GET", f"/instances/{segment(instance_id)}/agents/{segment(agent_id)}/messages/{segment(message_id)}", query=query, options=options)
        return answer

    async def cancel(self, instance_id: str, agent_id: str, message_id: str, options: CallOptions | None = None) -> types.Message:
        """Cancel a waiting or running turn.

        `messageId` is the id of the reply, or of the message that it answers. A turn that has ended cannot be
        cancelled: the call returns 409, also for a message that the agent sent without a request. An API key needs
        the scope `messages`.

        `POST /instances/{instanceId}/agents/{agentId}/messages/{messageId}/cancel`"""
        answer: types.Message = await self._http.json("POST", f"/instances/{segment(instance_id)}/agents/{segment(agent_id)}/messages/{segment(message_id)}/cancel", takes_key=True, options=options)
        return answer


class AsyncConversationsResource:
    def __init__(self, http: AsyncTransport) -> None:
        self._http = http

    def list(self, instance_id: str, agent_id: str, query: types.ConversationsListParametersQuery | None = None, options: CallOptions | None = None) -> AsyncPages[types.ConversationsListResponse, types.ConversationsListResponseConversationsItem]:
        """List the conversations of an agent.

        The conversation with the newest message comes first. An API key needs the scope `read`.

        `GET /instances/{instanceId}/agents/{agentId}/conversations`"""

        async def read(more: dict[str, Any]) -> Any:
            return await self._http.json("GET", f"/instances/{segment(instance_id)}/agents/{segment(agent_id)}/conversations", query={**(query or {}), **more}, options=options)

        return AsyncPages(read, items="conversations", cursor="cursor", next="nextCursor")

    async def delete(self, instance_id: str, agent_id: str, conversation_id: str, options: CallOptions | None = None) -> types.ConversationsDeleteResponse:
        """Delete a conversation.

        `conversationId` is the id of the conversation or its `sessionId`. Its running and waiting turns end as
        cancelled, its messages are deleted, and the gateway deletes its session when the instance runs. The agent may
        have noted what was said in its files. The events of its replies are kept for their 30 days. A later message
        with the same `sessionId` begins a new conversation. An API key needs the scope `messages`.

        `DELETE /instances/{instanceId}/agents/{agentId}/conversations/{conversationId}`"""
        answer: types.ConversationsDeleteResponse = await self._http.json("DELETE", f"/instances/{segment(instance_id)}/agents/{segment(agent_id)}/conversations/{segment(conversation_id)}", takes_key=True, options=options)
        return answer


class AsyncCronsResource:
    def __init__(self, http: AsyncTransport) -> None:
        self._http = http

    async def create(self, instance_id: str, agent_id: str, body: types.CronsCreateRequest, options: CallOptions | None = None) -> types.Cron:
        """Create a cron job for an agent.

        At each run, the agent receives the message in a separate conversation, and its reply is recorded as a
        `cron.completed` event. An API key needs the scope `write`.

        `POST /instances/{instanceId}/agents/{agentId}/crons`"""
        answer: types.Cron = await self._http.json("POST", f"/instances/{segment(instance_id)}/agents/{segment(agent_id)}/crons", body=body, takes_key=True, options=options)
        return answer

    def list(self, instance_id: str, agent_id: str, query: types.CronsListParametersQuery | None = None, options: CallOptions | None = None) -> AsyncPages[types.CronsListResponse, types.Cron]:
        """List the cron jobs of an agent, newest first.

        The list includes the jobs that the agent created. Jobs run only while the instance is running. An API key
        needs the scope `read`.

        `GET /instances/{instanceId}/agents/{agentId}/crons`"""

        async def read(more: dict[str, Any]) -> Any:
            return await self._http.json("GET", f"/instances/{segment(instance_id)}/agents/{segment(agent_id)}/crons", query={**(query or {}), **more}, options=options)

        return AsyncPages(read, items="crons", cursor="cursor", next="nextCursor")

    async def update(self, instance_id: str, agent_id: str, cron_id: str, body: types.CronsUpdateRequest, options: CallOptions | None = None) -> types.Cron:
        """Update, enable or disable a cron job.

        An API key needs the scope `write`.

        `PATCH /instances/{instanceId}/agents/{agentId}/crons/{cronId}`"""
        answer: types.Cron = await self._http.json("PATCH", f"/instances/{segment(instance_id)}/agents/{segment(agent_id)}/crons/{segment(cron_id)}", body=body, takes_key=True, options=options)
        return answer

    async def delete(self, instance_id: str, agent_id: str, cron_id: str, options: CallOptions | None = None) -> types.CronsDeleteResponse:
        """Delete a cron job.

        The events of earlier runs remain. An API key needs the scope `write`.

        `DELETE /instances/{instanceId}/agents/{agentId}/crons/{cronId}`"""
        answer: types.CronsDeleteResponse = await self._http.json("DELETE", f"/instances/{segment(instance_id)}/agents/{segment(agent_id)}/crons/{segment(cron_id)}", takes_key=True, options=options)
        return answer

    async def run(self, instance_id: str, agent_id: str, cron_id: str, options: CallOptions | None = None) -> types.Cron:
        """Run a cron job now.

        The call returns once the run is queued. The result is recorded as an event. The schedule does not change. An
        API key needs the scope `write`.

        `POST /instances/{instanceId}/agents/{agentId}/crons/{cronId}/run`"""
        answer: types.Cron = await self._http.json("POST", f"/instances/{segment(instance_id)}/agents/{segment(agent_id)}/crons/{segment(cron_id)}/run", takes_key=True, options=options)
        return answer


class AsyncWebhooksDeliveriesResource:
    def __init__(self, http: AsyncTransport) -> None:
        self._http = http

    def list(self, webhook_id: str, query: types.WebhooksDeliveriesListParametersQuery | None = None, options: CallOptions | None = None) -> AsyncPages[types.WebhooksDeliveriesListResponse, types.Delivery]:
        """List the deliveries of a webhook with their attempts, newest first.

        An API key needs the scope `read`.

        `GET /webhooks/{webhookId}/deliveries`"""

        async def read(more: dict[str, Any]) -> Any:
            return await self._http.json("GET", f"/webhooks/{segment(webhook_id)}/deliveries", query={**(query or {}), **more}, options=options)

        return AsyncPages(read, items="deliveries", cursor="cursor", next="nextCursor")

    async def get(self, webhook_id: str, delivery_id: str, options: CallOptions | None = None) -> types.DeliveryWithBody:
        """Get a delivery with its body.

        An API key needs the scope `read`.

        `GET /webhooks/{webhookId}/deliveries/{deliveryId}`"""
        answer: types.DeliveryWithBody = await self._http.json("GET", f"/webhooks/{segment(webhook_id)}/deliveries/{segment(delivery_id)}", options=options)
        return answer

    async def redeliver(self, webhook_id: str, delivery_id: str, options: CallOptions | None = None) -> types.Delivery:
        """Send a delivery again.

        Sends the same body as a new delivery of the same event. An API key needs the scope `write`.

        `POST /webhooks/{webhookId}/deliveries/{deliveryId}/redeliver`"""
        answer: types.Delivery = await self._http.json("POST", f"/webhooks/{segment(webhook_id)}/deliveries/{segment(delivery_id)}/redeliver", takes_key=True, options=options)
        return answer


class AsyncWebhooksResource:
    def __init__(self, http: AsyncTransport) -> None:
        self._http = http
        self.deliveries = AsyncWebhooksDeliveriesResource(http)

    async def create(self, body: types.WebhooksCreateRequest, options: CallOptions | None = None) -> types.Webhook:
        """Subscribe a URL to events.

        Store the secret securely: it is the key that verifies the signatures of deliveries. An API key needs the
        scope `write`.

        `POST /webhooks`"""
        answer: types.Webhook = await self._http.json("POST", "/webhooks", body=body, takes_key=True, options=options)
        return answer

    def list(self, query: types.WebhooksListParametersQuery | None = None, options: CallOptions | None = None) -> AsyncPages[types.WebhooksListResponse, types.Webhook]:
        """List your webhooks, newest first.

        The secrets are masked. An API key needs the scope `read`.

        `GET /webhooks`"""

        async def read(more: dict[str, Any]) -> Any:
            return await self._http.json("GET", "/webhooks", query={**(query or {}), **more}, options=options)

        return AsyncPages(read, items="webhooks", cursor="cursor", next="nextCursor")

    async def get(self, webhook_id: str, options: CallOptions | None = None) -> types.Webhook:
        """Get a webhook, including its unmasked secret.

        An API key needs the scope `read`.

        `GET /webhooks/{webhookId}`"""
        answer: types.Webhook = await self._http.json("GET", f"/webhooks/{segment(webhook_id)}", options=options)
        return answer

    async def update(self, webhook_id: str, body: types.WebhooksUpdateRequest, options: CallOptions | None = None) -> types.Webhook:
        """Enable, disable or update a webhook.

        While a webhook is disabled, new events are not queued for it. Deliveries that were already waiting are sent
        when the webhook is enabled again. An API key needs the scope `write`.

        `PATCH /webhooks/{webhookId}`"""
        answer: types.Webhook = await self._http.json("PATCH", f"/webhooks/{segment(webhook_id)}", body=body, takes_key=True, options=options)
        return answer

    async def delete(self, webhook_id: str, options: CallOptions | None = None) -> types.WebhooksDeleteResponse:
        """Delete a webhook.

        Deliveries that are waiting are discarded. An API key needs the scope `write`.

        `DELETE /webhooks/{webhookId}`"""
        answer: types.WebhooksDeleteResponse = await self._http.json("DELETE", f"/webhooks/{segment(webhook_id)}", takes_key=True, options=options)
        return answer

    async def test(self, webhook_id: str, options: CallOptions | None = None) -> types.WebhooksTestResponse:
        """Send a test event.

        The test event is sent once, also while the webhook is disabled. The list of deliveries shows the result. An
        API key needs the scope `write`.

        `POST /webhooks/{webhookId}/test`"""
        answer: types.WebhooksTestResponse = await self._http.json("POST", f"/webhooks/{segment(webhook_id)}/test", takes_key=True, options=options)
        return answer

    async def rotate_secret(self, webhook_id: str, options: CallOptions | None = None) -> types.WebhooksRotateSecretResponse:
        """Rotate the secret of a webhook.

        `X-Thermidora-Signature` uses the new secret from now on. For 24 hours, `X-Thermidora-Signature-Previous` uses
        the old secret, and `webhook-signature` contains both signatures. An API key needs the scope `write`.

        `POST /webhooks/{webhookId}/rotate-secret`"""
        answer: types.WebhooksRotateSecretResponse = await self._http.json("POST", f"/webhooks/{segment(webhook_id)}/rotate-secret", takes_key=True, options=options)
        return answer


class AsyncEventsResource:
    def __init__(self, http: AsyncTransport) -> None:
        self._http = http

    def list_of_instance(self, instance_id: str, query: types.EventsListOfInstanceParametersQuery | None = None, options: CallOptions | None = None) -> AsyncPages[types.EventsListOfInstanceResponse, types.Event]:
        """List the events of an instance, newest first.

        Returns the results of cron jobs, the messages of agents and the errors of the last 30 days. An API key needs
        the scope `read`.

        `GET /instances/{instanceId}/events`"""

        async def read(more: dict[str, Any]) -> Any:
            return await self._http.json("GET", f"/instances/{segment(instance_id)}/events", query={**(query or {}), **more}, options=options)

        return AsyncPages(read, items="events", cursor="cursor", next="nextCursor")

    def list(self, query: types.EventsListParametersQuery | None = None, options: CallOptions | None = None) -> AsyncPages[types.EventsListResponse, types.DeletedEvent | types.AccountEvent]:
        """List the events of the account, oldest first.

        For consumers that must not miss an event: pass `nextAfter` as `after` in the next call, until a page is
        empty. The numbers between `oldestSeq` and `latestSeq` have no gaps. A page with long contents can have fewer
        events than `limit`. Events are kept for 30 days. An API key needs the scope `read`.

        `GET /events`"""

        async def read(more: dict[str, Any]) -> Any:
            return await self._http.json("GET", "/events", query={**(query or {}), **more}, options=options)

        return AsyncPages(read, items="events", cursor="after", next="nextAfter")


class AsyncBillingResource:
    def __init__(self, http: AsyncTransport) -> None:
        self._http = http

    def ledger(self, query: types.BillingLedgerParametersQuery | None = None, options: CallOptions | None = None) -> AsyncPages[types.BillingLedgerResponse, types.BillingLedgerResponseEntriesItem]:
        """List the lines of your ledger, newest first.

        The balance is the sum of all amounts, minus the charges for running time and model calls that are not in the
        ledger yet. An API key needs the scope `read`.

        `GET /billing/ledger`"""

        async def read(more: dict[str, Any]) -> Any:
            return await self._http.json("GET", "/billing/ledger", query={**(query or {}), **more}, options=options)

        return AsyncPages(read, items="entries", cursor="cursor", next="nextCursor")

    async def usage(self, query: types.BillingUsageParametersQuery | None = None, options: CallOptions | None = None) -> types.Usage:
        """Get the usage of the account: running time and its cost, messages and model tokens.

        An API key needs the scope `read`.

        `GET /billing/usage`"""
        answer: types.Usage = await self._http.json("GET", "/billing/usage", query=query, options=options)
        return answer

    async def forecast(self, options: CallOptions | None = None) -> types.BillingForecastResponse:
        """Get a forecast of when the balance is used up.

        The forecast assumes that the instances that run now keep running. An API key needs the scope `read`.

        `GET /billing/forecast`"""
        answer: types.BillingForecastResponse = await self._http.json("GET", "/billing/forecast", options=options)
        return answer


class AsyncBudgetsResource:
    def __init__(self, http: AsyncTransport) -> None:
        self._http = http

    async def create(self, body: types.BudgetsCreateRequest, options: CallOptions | None = None) -> types.Budget:
        """Create a budget, a cap on what is spent.

        A message that a budget has no room for is refused with 402, and a running turn ends when its next model call
        has no room. An instance whose running time a budget counts is stopped at the limit. Spending counts from the
        creation of the budget on. An API key needs the scope `write`.

        `POST /budgets`"""
        answer: types.Budget = await self._http.json("POST", "/budgets", body=body, takes_key=True, options=options)
        return answer

    def list(self, query: types.BudgetsListParametersQuery | None = None, options: CallOptions | None = None) -> AsyncPages[types.BudgetsListResponse, types.Budget]:
        """List your budgets, newest first.

        An API key needs the scope `read`.

        `GET /budgets`"""

        async def read(more: dict[str, Any]) -> Any:
            return await self._http.json("GET", "/budgets", query={**(query or {}), **more}, options=options)

        return AsyncPages(read, items="budgets", cursor="cursor", next="nextCursor")

    async def get(self, budget_id: str, options: CallOptions | None = None) -> types.Budget:
        """Get a budget and its spending.

        An API key needs the scope `read`.

        `GET /budgets/{budgetId}`"""
        answer: types.Budget = await self._http.json("GET", f"/budgets/{segment(budget_id)}", options=options)
        return answer

    async def update(self, budget_id: str, body: types.BudgetsUpdateRequest, options: CallOptions | None = None) -> types.Budget:
        """Rename a budget, or change its limit or warning.

        Spending so far still counts. When the new limit is below it, new messages are refused at once. An API key
        needs the scope `write`.

        `PATCH /budgets/{budgetId}`"""
        answer: types.Budget = await self._http.json("PATCH", f"/budgets/{segment(budget_id)}", body=body, takes_key=True, options=options)
        return answer

    async def delete(self, budget_id: str, options: CallOptions | None = None) -> types.BudgetsDeleteResponse:
        """Delete a budget.

        The budget no longer limits any spending. An API key needs the scope `write`.

        `DELETE /budgets/{budgetId}`"""
        answer: types.BudgetsDeleteResponse = await self._http.json("DELETE", f"/budgets/{segment(budget_id)}", takes_key=True, options=options)
        return answer

    def spend(self, budget_id: str, query: types.BudgetsSpendParametersQuery | None = None, options: CallOptions | None = None) -> AsyncPages[types.BudgetsSpendResponse, types.BudgetsSpendResponseKeysItem]:
        """List the spending of a budget for each end user, instance, or other key of its scope.

        For a budget with `*` in its scope, in the order of the keys. Other budgets have no keys. An API key needs the
        scope `read`.

        `GET /budgets/{budgetId}/spend`"""

        async def read(more: dict[str, Any]) -> Any:
            return await self._http.json("GET", f"/budgets/{segment(budget_id)}/spend", query={**(query or {}), **more}, options=options)

        return AsyncPages(read, items="keys", cursor="cursor", next="nextCursor")


class AsyncOperatorInvitesResource:
    def __init__(self, http: AsyncTransport) -> None:
        self._http = http

    async def create(self, body: types.InvitesCreateRequest, options: CallOptions | None = None) -> types.InvitesCreateResponse:
        """Create an invite code.

        `POST /admin/invites`"""
        answer: types.InvitesCreateResponse = await self._http.json("POST", "/admin/invites", body=body, takes_key=True, options=options)
        return answer

    def list(self, query: types.InvitesListParametersQuery | None = None, options: CallOptions | None = None) -> AsyncPages[types.InvitesListResponse, types.InvitesListResponseInvitesItem]:
        """List the invite codes.

        `GET /admin/invites`"""

        async def read(more: dict[str, Any]) -> Any:
            return await self._http.json("GET", "/admin/invites", query={**(query or {}), **more}, options=options)

        return AsyncPages(read, items="invites", cursor="cursor", next="nextCursor")


class AsyncOperatorAccountsResource:
    def __init__(self, http: AsyncTransport) -> None:
        self._http = http

    def list(self, query: types.AccountsListParametersQuery | None = None, options: CallOptions | None = None) -> AsyncPages[types.AccountsListResponse, types.AccountsListResponseAccountsItem]:
        """List the accounts, or find an account by its email address.

        `GET /admin/accounts`"""

        async def read(more: dict[str, Any]) -> Any:
            return await self._http.json("GET", "/admin/accounts", query={**(query or {}), **more}, options=options)

        return AsyncPages(read, items="accounts", cursor="cursor", next="nextCursor")

    async def update(self, account_id: str, body: types.AccountsUpdateRequest, options: CallOptions | None = None) -> types.AccountsUpdateResponse:
        """Make an account an operator, or take that away.

        In the console, an operator sees and does what the operator token allows. In the API, its keys and tokens
        remain those of a customer. It takes effect at once.

        `PATCH /admin/accounts/{accountId}`"""
        answer: types.AccountsUpdateResponse = await self._http.json("PATCH", f"/admin/accounts/{segment(account_id)}", body=body, takes_key=True, options=options)
        return answer


class AsyncOperatorGrantsResource:
    def __init__(self, http: AsyncTransport) -> None:
        self._http = http

    async def create(self, account_id: str, body: types.GrantsCreateRequest, options: CallOptions | None = None) -> types.GrantsCreateResponse:
        """Add credit to an account.

        `POST /admin/accounts/{accountId}/grants`"""
        answer: types.GrantsCreateResponse = await self._http.json("POST", f"/admin/accounts/{segment(account_id)}/grants", body=body, takes_key=True, options=options)
        return answer


class AsyncOperatorInstancesResource:
    def __init__(self, http: AsyncTransport) -> None:
        self._http = http

    def list(self, query: types.OperatorInstancesListParametersQuery | None = None, options: CallOptions | None = None) -> AsyncPages[types.OperatorInstancesListResponse, types.OperatorInstance]:
        """List the instances of all accounts, newest first.

        `GET /admin/instances`"""

        async def read(more: dict[str, Any]) -> Any:
            return await self._http.json("GET", "/admin/instances", query={**(query or {}), **more}, options=options)

        return AsyncPages(read, items="instances", cursor="cursor", next="nextCursor")

    async def stop(self, instance_id: str, options: CallOptions | None = None) -> types.OperatorInstancesStopResponse:
        """Stop an instance of any account.

        `POST /admin/instances/{instanceId}/stop`"""
        answer: types.OperatorInstancesStopResponse = await self._http.json("POST", f"/admin/instances/{segment(instance_id)}/stop", takes_key=True, options=options)
        return answer

    async def reconcile(self, instance_id: str, options: CallOptions | None = None) -> types.OperatorInstancesReconcileResponse:
        """Reconcile an instance now.

        Starts a new attempt to bring the instance to its desired status, also when its status is `error`.

        `POST /admin/instances/{instanceId}/reconcile`"""
        answer: types.OperatorInstancesReconcileResponse = await self._http.json("POST", f"/admin/instances/{segment(instance_id)}/reconcile", takes_key=True, options=options)
        return answer


class AsyncOperatorModelsResource:
    def __init__(self, http: AsyncTransport) -> None:
        self._http = http

    async def list_all(self, options: CallOptions | None = None) -> types.ModelsListAllResponse:
        """List the models of all accounts with the providers behind them.

        `GET /admin/models`"""
        answer: types.ModelsListAllResponse = await self._http.json("GET", "/admin/models", options=options)
        return answer


class AsyncOperatorHealthResource:
    def __init__(self, http: AsyncTransport) -> None:
        self._http = http

    async def get(self, options: CallOptions | None = None) -> types.HealthGetResponse:
        """Get the state of the parts of the installation and of what waits.

        What the Prometheus metrics of the parts say, as one answer. The model relay is judged by its calls: it shares
        no table of processes with the other parts.

        `GET /admin/health`"""
        answer: types.HealthGetResponse = await self._http.json("GET", "/admin/health", options=options)
        return answer


class AsyncOperatorAuditResource:
    def __init__(self, http: AsyncTransport) -> None:
        self._http = http

    def list(self, query: types.AuditListParametersQuery | None = None, options: CallOptions | None = None) -> AsyncPages[types.AuditListResponse, types.AuditListResponseEntriesItem]:
        """List the audit entries, newest first.

        `GET /admin/audit`"""

        async def read(more: dict[str, Any]) -> Any:
            return await self._http.json("GET", "/admin/audit", query={**(query or {}), **more}, options=options)

        return AsyncPages(read, items="entries", cursor="cursor", next="nextCursor")


class AsyncOperatorRuntimesResource:
    def __init__(self, http: AsyncTransport) -> None:
        self._http = http

    def list(self, query: types.RuntimesListParametersQuery | None = None, options: CallOptions | None = None) -> AsyncPages[types.RuntimesListResponse, types.Runtime]:
        """List the runtimes of all nodes, newest first.

        A runtime is a gateway with its storage. Runtimes of deleted instances are not listed.

        `GET /admin/runtimes`"""

        async def read(more: dict[str, Any]) -> Any:
            return await self._http.json("GET", "/admin/runtimes", query={**(query or {}), **more}, options=options)

        return AsyncPages(read, items="runtimes", cursor="cursor", next="nextCursor")


class AsyncOperatorQuarantineResource:
    def __init__(self, http: AsyncTransport) -> None:
        self._http = http

    def list(self, query: types.QuarantineListParametersQuery | None = None, options: CallOptions | None = None) -> AsyncPages[types.QuarantineListResponse, types.UnownedRuntime]:
        """List the runtimes that no instance owns, newest first.

        A runtime is a gateway with its storage. The list shows what the last sweep found. Sweeps run every minute.

        `GET /admin/quarantine`"""

        async def read(more: dict[str, Any]) -> Any:
            return await self._http.json("GET", "/admin/quarantine", query={**(query or {}), **more}, options=options)

        return AsyncPages(read, items="runtimes", cursor="cursor", next="nextCursor")

    async def restore(self, runtime_id: str, body: types.QuarantineRestoreRequest, options: CallOptions | None = None) -> types.OperatorInstance:
        """Restore unowned storage as an instance of an account.

        Creates a stopped instance that owns the storage. The next sweep, within about a minute, moves the storage out
        of the quarantine, and so does a start. The new instance has no agents; the files of the former agents remain
        in its storage. A runtime that belongs to an instance in a restored database needs no call: the next sweep
        restores it.

        `POST /admin/quarantine/{runtimeId}/restore`"""
        answer: types.OperatorInstance = await self._http.json("POST", f"/admin/quarantine/{segment(runtime_id)}/restore", body=body, takes_key=True, options=options)
        return answer

    async def delete(self, runtime_id: str, options: CallOptions | None = None) -> types.QuarantineDeleteResponse:
        """Delete a runtime that no instance owns.

        The next sweep, within about a minute, stops the gateway and deletes its storage, unless an instance owns the
        runtime by then. The deletion cannot be undone.

        `DELETE /admin/quarantine/{runtimeId}`"""
        answer: types.QuarantineDeleteResponse = await self._http.json("DELETE", f"/admin/quarantine/{segment(runtime_id)}", takes_key=True, options=options)
        return answer


class AsyncOperatorResource:
    def __init__(self, http: AsyncTransport) -> None:
        self._http = http
        self.invites = AsyncOperatorInvitesResource(http)
        self.accounts = AsyncOperatorAccountsResource(http)
        self.grants = AsyncOperatorGrantsResource(http)
        self.instances = AsyncOperatorInstancesResource(http)
        self.models = AsyncOperatorModelsResource(http)
        self.health = AsyncOperatorHealthResource(http)
        self.audit = AsyncOperatorAuditResource(http)
        self.runtimes = AsyncOperatorRuntimesResource(http)
        self.quarantine = AsyncOperatorQuarantineResource(http)


class AsyncAllResources:
    def __init__(self, http: AsyncTransport) -> None:
        self._http = http
        self.auth = AsyncAuthResource(http)
        self.keys = AsyncKeysResource(http)
        self.account = AsyncAccountResource(http)
        self.instances = AsyncInstancesResource(http)
        self.agents = AsyncAgentsResource(http)
        self.files = AsyncFilesResource(http)
        self.models = AsyncModelsResource(http)
        self.skills = AsyncSkillsResource(http)
        self.secrets = AsyncSecretsResource(http)
        self.messages = AsyncMessagesResource(http)
        self.conversations = AsyncConversationsResource(http)
        self.crons = AsyncCronsResource(http)
        self.webhooks = AsyncWebhooksResource(http)
        self.events = AsyncEventsResource(http)
        self.billing = AsyncBillingResource(http)
        self.budgets = AsyncBudgetsResource(http)
        self.operator = AsyncOperatorResource(http)
