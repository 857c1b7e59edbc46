import { describeSuspension } from '../suspend-contract.ts';
import { openProcessHarness } from './process-harness.ts';

describeSuspension('process', openProcessHarness);
