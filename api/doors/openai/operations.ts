import type { Operation } from '../../contract/define-operation.ts';
import { cancelResponse } from './cancel-response.ts';
import { createChatCompletion } from './create-chat-completion.ts';
import { createResponse } from './create-response.ts';
import { deleteResponse } from './delete-response.ts';
import { getModel } from './get-model.ts';
import { getResponse } from './get-response.ts';
import { listInputItems } from './list-input-items.ts';
import { listModels } from './list-models.ts';

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
