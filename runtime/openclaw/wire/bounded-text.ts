import { z } from 'zod';
import { cutText } from '../../../lib/text/cut-text.ts';

/** An id that a gateway chose. What has a longer one is of no form that we know. */
export const gatewayId = z.string().max(500);

/** A text of a gateway, of which no more than this many bytes are kept. */
export const textUpTo = (maxBytes: number) => z.string().transform((text) => cutText(text, maxBytes).text);
