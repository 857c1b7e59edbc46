import { columns } from '../db.ts';
import { Message } from '../entities/message.ts';
import { sql } from '../sql.ts';

const message = columns(Message, 'message');

/**
 * The words of a row `message`, and the id of its agent as one of them, so that a search reads messages of one agent only.
 * A longer message counts with its first 100,000 characters, because a tsvector holds at most a megabyte. This expression
 * and the condition below are those of messages_search_index.
 */
export const WORDS_OF_MESSAGE = sql`(array_to_tsvector(array[${message.agent}]) || to_tsvector('simple', left(${message.content}, 100000)))`;
export const IS_SEARCHED = sql`${message.conversation} is not null and ${message.content} <> ''`;
