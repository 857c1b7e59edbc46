import { Page } from '../../ui/page.tsx';
import { Tabs } from '../../ui/tabs.tsx';
import { Accounts } from './accounts.tsx';
import { AllInstances } from './all-instances.tsx';
import { Audit } from './audit.tsx';
import { Health } from './health.tsx';
import { Models } from './models.tsx';
import { Quarantine } from './quarantine.tsx';
import { Runtimes } from './runtimes.tsx';

const TABS = [
  ['instances', 'Instances'],
  ['health', 'Health'],
  ['runtimes', 'Runtimes'],
  ['accounts', 'Accounts'],
  ['models', 'Models'],
  ['quarantine', 'Quarantine'],
  ['audit', 'Audit'],
] as const;

/** What an operator sees of all accounts. */
export function OperatorPage({ tab }: { tab: string }) {
  return (
    <Page title="Operator">
      <Tabs base="/operator" tabs={TABS} at={tab} />
      {tab === 'instances' && <AllInstances />}
      {tab === 'health' && <Health />}
      {tab === 'runtimes' && <Runtimes />}
      {tab === 'accounts' && <Accounts />}
      {tab === 'models' && <Models />}
      {tab === 'quarantine' && <Quarantine />}
      {tab === 'audit' && <Audit />}
    </Page>
  );
}
