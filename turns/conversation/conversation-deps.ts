import type { Models } from '../../lib/settings/models.ts';
import type { Notifications } from '../../database/notifications.ts';
import type { GatewayConnections } from '../../runtime/gateway-connections.ts';
import type { TurnDeps } from '../turn-deps.ts';
import type { TurnSender } from '../turn-sender.ts';

/** What the functions of this folder work with; each names what it needs of it. */
export interface ConversationDeps extends TurnDeps {
  notifications: Notifications;
  connections: GatewayConnections;
  turnSender: Pick<TurnSender, 'owner' | 'send' | 'follow'>;
  /** All models of the settings; `offersTo` says which of them an account may use. */
  models: Models;
}
