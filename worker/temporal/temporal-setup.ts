import { msToTs } from '@temporalio/common/lib/time.js';
import type { NativeConnection } from '@temporalio/worker';
import { SEARCH_ATTRIBUTES } from '../../domain/temporal/search-attributes.ts';
import { grpcCodeOf, GRPC } from './grpc-code.ts';

/** IndexedValueType of Temporal's interface. */
const KEYWORD = 2;
const RETENTION = msToTs('7 days');

type Services = Pick<NativeConnection, 'workflowService' | 'operatorService'>;

/** Makes the namespace and its search attributes, where they are missing. Throws what Temporal says when it is away. */
export async function ensureNamespace(connection: Services, namespace: string): Promise<void> {
  const { workflowService } = connection;
  try {
    await workflowService.describeNamespace({ namespace });
  } catch (error) {
    if (grpcCodeOf(error) !== GRPC.notFound) throw error;
    await unlessThere(workflowService.registerNamespace({ namespace, workflowExecutionRetentionPeriod: RETENTION }));
  }
  await ensureSearchAttributes(connection, namespace);
}

async function ensureSearchAttributes({ operatorService }: Services, namespace: string): Promise<void> {
  const { customAttributes } = await operatorService.listSearchAttributes({ namespace });
  const missing = SEARCH_ATTRIBUTES.filter((name) => !Object.hasOwn(customAttributes ?? {}, name));
  if (missing.length === 0) return;
  const searchAttributes = Object.fromEntries(missing.map((name) => [name, KEYWORD]));
  await unlessThere(operatorService.addSearchAttributes({ namespace, searchAttributes }));
}

async function unlessThere(creation: Promise<unknown>): Promise<void> {
  await creation.catch((error: unknown) => {
    if (grpcCodeOf(error) !== GRPC.alreadyExists) throw error;
  });
}
