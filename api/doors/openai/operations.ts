import type { Operation } from '../../contract/define-operation.ts';
import { cancelResponse } from './responses/cancel-response.ts';
import { createChatCompletion } from './chat/create-chat-completion.ts';
import { createResponse } from './responses/create-response.ts';
import { deleteResponse } from './responses/delete-response.ts';
import { getModel } from './models/get-model.ts';
import { getResponse } from './responses/get-response.ts';
import { listInputItems } from './responses/list-input-items.ts';
import { listModels } from './models/list-models.ts';

/** Every operation behind OpenAI's door. */
export const openaiOperations: readonly Operation[] = [
  listModels,
  getModel,
  createChatCompletion,
  createResponse,
  getResponse,
  cancelResponse,
  deleteResponse,
  listInputItems,
];
