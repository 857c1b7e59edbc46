import { describeDriver } from './driver-contract.ts';
import { openProcessHarness } from './process/process-harness.ts';

describeDriver('process', { areSkillsMounted: false }, openProcessHarness);
